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
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@platform_options
def import_(tenant: str, files: tuple[Path, ...], where: Where) -> None:
    """Send statements to a tenant: one JSON object per line, plain, .gz or .zst; - is standard input, plain.

    What was interrupted goes on where it stopped; importing a file again adds nothing. A line that is refused is named
    with its reason, the others go on, and the exit code is 1 in the end. What comes through a pipe can be read only
    once: after an interruption it has to be sent again from its beginning, which adds nothing twice.
    """
    from collegium_workers.transfer.import_run import import_files  # noqa: PLC0415 - not needed for --help
    from collegium_workers.transfer.sources import is_stream  # noqa: PLC0415 - not needed for --help

    once = any(map(is_stream, files))
    try:
        refused = run(import_files(where, tenant, files))
    except KeyboardInterrupt:
        if once:
            click.echo("interrupted; what comes through a pipe must be sent again from its beginning", err=True)
        else:
            click.echo("interrupted; the same command goes on where it stopped", err=True)
        click.get_current_context().exit(130)
    if refused:
        click.get_current_context().exit(1)
