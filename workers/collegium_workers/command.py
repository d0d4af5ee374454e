"""``collegium worker``: one worker process, configured by the environment."""

from __future__ import annotations

import click

from collegium_workers.roles import ROLES

__all__ = ["worker"]


@click.command()
@click.option(
    "--role",
    "roles",
    default=",".join(ROLES),
    show_default=True,
    help=f"What to do, separated by commas: {', '.join(ROLES)}.",
)
@click.option(
    "--metrics-port", type=click.IntRange(0, 65535), help="Port of /metrics (default: the setting METRICS_PORT)."
)
def worker(roles: str, metrics_port: int | None) -> None:
    """Carry accepted statements on: into the index."""
    names = [name.strip() for name in roles.split(",") if name.strip()]
    if unknown := [name for name in names if name not in ROLES]:
        raise click.BadParameter(
            f"no such role: {', '.join(unknown)} (there are: {', '.join(ROLES)})", param_hint="--role"
        )
    if not names:
        raise click.BadParameter("name at least one role", param_hint="--role")
    from collegium_workers.work import run  # noqa: PLC0415 - commands load lazily

    run(names, metrics_port=metrics_port)
