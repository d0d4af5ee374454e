"""``collegium import``: newline-delimited JSON into a tenant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from collegium_workers.transfer.options import platform_options, run

if TYPE_CHECKING:
    from collegium_workers.transfer.target import Where

__all__ = ["import_"]


@click.command("import")
@click.argument("tenant")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@platform_options
def import_(tenant: str, files: tuple[Path, ...], where: Where) -> None:
    """Send statements to a tenant: one JSON object per line, plain, .gz or .zst.

    What was interrupted goes on where it stopped; importing a file again adds nothing. A line that is refused is named
    with its reason, the others go on, and the exit code is 1 in the end.
    """
    from collegium_workers.transfer.import_run import import_files  # noqa: PLC0415 - not needed for --help

    try:
        refused = run(import_files(where, tenant, files))
    except KeyboardInterrupt:
        click.echo("interrupted; the same command goes on where it stopped", err=True)
        click.get_current_context().exit(130)
    if refused:
        click.get_current_context().exit(1)
