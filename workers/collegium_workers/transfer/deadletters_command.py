"""``collegium deadletters``: statements that were accepted and that no store takes."""

from __future__ import annotations

from pathlib import Path

import click

from collegium_workers.transfer.options import run

__all__ = ["deadletters"]

_data = click.option("--data", type=click.Path(path_type=Path), help="Data folder of collegium up (setting DATA_DIR).")


@click.group()
def deadletters() -> None:
    """List, replay and drop the dead letters of a tenant."""


@deadletters.command("list")
@click.argument("tenant")
@_data
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per dead letter, the statement included.")
def list_(tenant: str, data: Path | None, *, as_json: bool) -> None:
    """List the dead letters: position, statement id, reason."""
    from collegium_workers.transfer.deadletters import list_letters  # noqa: PLC0415 - not needed for --help

    run(list_letters(data, tenant, as_json=as_json))


@deadletters.command()
@click.argument("tenant")
@click.argument("position", nargs=-1, type=int)
@_data
def replay(tenant: str, position: tuple[int, ...], data: Path | None) -> None:
    """Try to store dead letters again, those at POSITION or all; what is stored then leaves the list."""
    from collegium_workers.transfer.deadletters import replay_letters  # noqa: PLC0415 - not needed for --help

    if run(replay_letters(data, tenant, position)):
        click.get_current_context().exit(1)


@deadletters.command()
@click.argument("tenant")
@click.argument("position", nargs=-1, type=int)
@_data
@click.option("--all", "everything", is_flag=True, help="Drop every dead letter.")
def drop(tenant: str, position: tuple[int, ...], data: Path | None, *, everything: bool) -> None:
    """Delete dead letters for good, those at POSITION or with --all every one."""
    from collegium_workers.transfer.deadletters import drop_letters  # noqa: PLC0415 - not needed for --help

    if bool(position) == everything:
        raise click.UsageError("name positions, or --all")
    run(drop_letters(data, tenant, position))
