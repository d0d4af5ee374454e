"""``python -m collegium_testing.services``: get every real service that this machine can have (``make services``)."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

import rich_click as click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from collegium_testing.services import cache
from collegium_testing.services.catalog import COMPONENTS
from collegium_testing.services.component import BuildError, Component, Workshop

__all__ = ["get_services"]


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([component.name for component in COMPONENTS]))
@click.option("--plan", is_flag=True, help="Only say what there is and what would be made.")
def get_services(names: Sequence[str], *, plan: bool) -> None:
    """Fetch and build the services that the tests use, once per machine and version.

    Without NAMES, all of them. What is there already is left alone, so a second call does nothing. Ends with 1 when
    something failed, or when something cannot be had and COLLEGIUM_REQUIRE_SERVICES=1.
    """
    wanted = [component for component in COMPONENTS if not names or component.name in names]
    console = Console(stderr=False, highlight=False)
    todo = [component for component in wanted if not component.present() and component.obstacle() is None]
    blocked = [component for component in wanted if not component.present() and component.obstacle() is not None]
    if not todo and not blocked:
        console.print(f"Services for the tests: all {len(wanted)} are there ({cache.cache_root()}).")
        return
    console.print(_plan(wanted))
    if plan:
        return
    failed = [component for component in todo if not _make(component, console)]
    strict = os.environ.get("COLLEGIUM_REQUIRE_SERVICES") == "1"
    if failed or (blocked and strict):
        sys.exit(1)


def _plan(wanted: Sequence[Component]) -> Table:
    table = Table(title=f"Services for the tests, kept in {cache.cache_root()}", title_justify="left", box=None)
    for heading in ("service", "state", "what it takes"):
        table.add_column(heading, overflow="fold")
    for component in wanted:
        if component.present():
            table.add_row(component.title, "[green]there[/]", "")
        elif missing := component.obstacle():
            table.add_row(component.title, "[yellow]cannot be had[/]", escape(str(missing)))
        else:
            table.add_row(component.title, "[cyan]will be made[/]", component.cost)
    return table


def _make(component: Component, console: Console) -> bool:
    """Make *component* under a line of progress; say what happened and return whether it worked."""
    began = time.monotonic()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[line]}"),
    )
    if not console.is_terminal:
        console.print(f"Making {component.title} ({component.cost}) …")
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(component.title, total=None, line="")
            component.make(Workshop(lambda line: progress.update(task, line=escape(line[:60]))))
    except BuildError as error:
        console.print(f"[red]failed[/] {component.title} after {time.monotonic() - began:.0f} s\n{escape(str(error))}")
        return False
    console.print(f"[green]made[/] {component.title} in {time.monotonic() - began:.0f} s")
    return True


if __name__ == "__main__":
    get_services(prog_name="python -m collegium_testing.services")
