"""How a transfer shows that it gets on: a line on standard error, nothing where that is no terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = ["count_progress", "file_progress", "make_console"]


class _RateColumn(ProgressColumn):
    """Statements so far, and per second."""

    def render(self, task: Task) -> Text:
        """Return the cell of *task*."""
        count: int = task.fields["statements"]
        seconds = max(task.elapsed or 0.0, 0.001)
        return Text(f"{count:,} statements  {count / seconds:,.0f}/s")


def make_console() -> Console:
    """Return a console on standard error that breaks no lines."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def file_progress(console: Console) -> Progress:
    """Return the display of a transfer whose length in bytes is known; tasks have ``statements`` and ``note``."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    return _make(console, *columns, _RateColumn(), TimeRemainingColumn())


def count_progress(console: Console) -> Progress:
    """Return the display of a transfer whose length is known in statements or not at all."""
    return _make(console, SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), _RateColumn())


def _make(console: Console, *columns: ProgressColumn) -> Progress:
    note = TextColumn("{task.fields[note]}", style="yellow")
    return Progress(*columns, note, console=console, disable=not console.is_terminal)
