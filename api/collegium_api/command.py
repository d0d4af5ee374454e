"""``collegium api``: one API process, configured by the environment."""

from __future__ import annotations

import click

__all__ = ["api"]


@click.command()
@click.option("--host", help="Address to listen on (default: the setting HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default: the setting PORT).")
@click.option(
    "--metrics-port", type=click.IntRange(0, 65535), help="Port of /metrics (default: the setting METRICS_PORT)."
)
@click.option("--fd", type=click.IntRange(3), help="An open listening socket to take over instead of host and port.")
def api(host: str | None, port: int | None, metrics_port: int | None, fd: int | None) -> None:
    """Serve the REST API: one process, one event loop."""
    from collegium_api.serve import run  # noqa: PLC0415 - loads the server only when it is wanted

    run(host=host, port=port, metrics_port=metrics_port, fd=fd)
