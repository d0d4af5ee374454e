"""A tenant's dead letters from the command line, through the tenant's scope."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import click
import msgspec

from collegium_core.errors import Problem
from collegium_core.lrs.record import format_stored
from collegium_core.streams import DeadLetter, ReceivedStatement
from collegium_core.tenancy.names import parse_name
from collegium_core.tenancy.scope import TenantScope
from collegium_workers.transfer.tenants import open_platform

__all__ = ["drop_letters", "list_letters", "replay_letters"]


async def list_letters(data: Path | None, tenant: str, *, as_json: bool) -> None:
    """Print the dead letters of *tenant*, oldest first."""
    async with _scope(data, tenant) as scope:
        count = 0
        async for letter in scope.log.dead_letters():
            count += 1
            click.echo(_json(letter) if as_json else _line(letter))
        if not count and not as_json:
            click.echo("no dead letters", err=True)


async def replay_letters(data: Path | None, tenant: str, positions: Sequence[int]) -> int:
    """Accept dead letters again; return how many are still dead."""
    left = 0
    async with _scope(data, tenant) as scope:
        for letter in await _chosen(scope, positions):
            try:
                await scope.statements.accept(
                    partial(_only, letter),
                    size=len(letter.raw),
                    authority=letter.authority,
                    version=letter.version,
                    ids_chosen=True,
                )
            except Problem as problem:
                left += 1
                click.echo(f"{letter.position}  {letter.id}  stays: {problem.detail}", err=True)
            else:
                await scope.log.drop_dead_letter(letter.position)
                click.echo(f"{letter.position}  {letter.id}  accepted")
    return left


async def drop_letters(data: Path | None, tenant: str, positions: Sequence[int]) -> None:
    """Delete the dead letters at *positions*, all of them where none is named."""
    async with _scope(data, tenant) as scope:
        for letter in await _chosen(scope, positions):
            await scope.log.drop_dead_letter(letter.position)
            click.echo(f"{letter.position}  {letter.id}  dropped")


@contextlib.asynccontextmanager
async def _scope(data: Path | None, tenant: str) -> AsyncIterator[TenantScope]:
    async with open_platform(data) as platform:
        record = await platform.registry.known(parse_name(tenant).slug)
        if record is None:
            raise click.ClickException(f"there is no tenant {tenant!r}")
        yield platform.scope(record)


async def _chosen(scope: TenantScope, positions: Sequence[int]) -> list[DeadLetter]:
    """Return the dead letters at *positions*, all where none is named.

    :raises click.ClickException: there is none at one of them.
    """
    letters = [letter async for letter in scope.log.dead_letters()]
    if not positions:
        return letters
    found = [letter for letter in letters if letter.position in positions]
    if absent := set(positions) - {letter.position for letter in found}:
        raise click.ClickException(f"no dead letter at {', '.join(map(str, sorted(absent)))}")
    return found


def _only(letter: DeadLetter) -> Sequence[ReceivedStatement]:
    return [letter]


def _line(letter: DeadLetter) -> str:
    return f"{letter.position}  {format_stored(letter.position)}  {letter.id}  {letter.reason}"


def _json(letter: DeadLetter) -> str:
    value = {
        "position": letter.position,
        "stored": format_stored(letter.position),
        "id": letter.id,
        "reason": letter.reason,
        "statement": msgspec.Raw(letter.raw),
    }
    return msgspec.json.encode(value).decode()
