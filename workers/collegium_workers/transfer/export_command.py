"""``collegium export``: a tenant's statements as newline-delimited JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from collegium_workers.transfer.options import platform_options, run

if TYPE_CHECKING:
    from collegium_workers.transfer.target import Where

__all__ = ["export"]


@click.command()
@click.argument("tenant")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, compressed where its name ends in .gz or .zst (default: standard output).",
)
@platform_options
def export(tenant: str, output: Path | None, where: Where) -> None:
    """Write a tenant's statements, one JSON object per line, oldest first.

    Each is the statement as it was received and what the platform adds: stored, authority, and where the client sent
    none, id, timestamp and version.
    """
    from collegium_workers.transfer.export_run import export_statements  # noqa: PLC0415 - not needed for --help

    run(export_statements(where, tenant, output))
