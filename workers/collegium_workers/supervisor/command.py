"""``collegium up``: the whole platform on one machine."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["up"]


@click.command()
@click.option(
    "--manifests",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of Tenant and Secret documents; watched, changes take effect at once.",
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder for everything that is kept (setting DATA_DIR).")
@click.option("--host", help="Address to listen on (setting HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the API, 0 for a free one (setting PORT).")
@click.option(
    "--metrics-port", type=click.IntRange(0, 65535), help="Port of /metrics, 0 for a free one (setting METRICS_PORT)."
)
@click.option("--api-replicas", type=click.IntRange(1, 64), default=1, show_default=True, help="API processes.")
@click.option("--demo", type=click.IntRange(0), default=0, help="Made-up statements for the first tenant, once ready.")
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines, the first one when ready.")
@click.option("--quiet", is_flag=True, help="Write warnings and errors only to the log.")
@click.pass_context
def up(  # noqa: PLR0913 - one argument per option is click's way
    ctx: click.Context,
    manifests: Path | None,
    data: Path | None,
    host: str | None,
    port: int | None,
    metrics_port: int | None,
    api_replicas: int,
    demo: int,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run the whole platform on this machine: Valkey, API, workers, metrics.

    Tenants come from the manifests folder, the same documents that `kubectl apply` takes. Stop with Ctrl-C or SIGTERM:
    what was accepted is kept, and the next start on the same data folder finds it.
    """
    from collegium_workers.supervisor.start import start  # noqa: PLC0415 - loads the platform only when it is wanted

    options = {
        "DATA_DIR": str(data.absolute()) if data else None,
        "HOST": host,
        "PORT": None if port is None else str(port),
        "METRICS_PORT": None if metrics_port is None else str(metrics_port),
        "LOG_LEVEL": "warning" if quiet else None,
    }
    given = {f"COLLEGIUM_{name}": value for name, value in options.items() if value is not None}
    ctx.exit(start(given, manifests=manifests, api_replicas=api_replicas, demo=demo, as_json=as_json))
