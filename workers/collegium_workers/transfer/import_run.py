"""The import of several files as the person at the terminal sees it: progress, refusals, sums."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress
from rich.text import Text

from collegium_workers.transfer.client import Client, Target
from collegium_workers.transfer.display import file_progress, make_console
from collegium_workers.transfer.importing import FileImport, Tally
from collegium_workers.transfer.lines import Fault, FileFaultError
from collegium_workers.transfer.progress import ProgressFile
from collegium_workers.transfer.sources import STANDARD_INPUT, is_stream
from collegium_workers.transfer.target import Where, data_folder, reach

__all__ = ["import_files"]


async def import_files(where: Where, tenant: str, files: Sequence[Path]) -> int:
    """Import *files* into *tenant* one after the other; return how many lines or files were refused.

    :raises PlatformAwayError: see :class:`Client`; as is :class:`RefusedError`.
    """
    refused = 0
    async with reach(where) as target:
        with file_progress(make_console()) as progress:
            for file in files:
                refused += await _import_file(target, tenant, file, data_folder(where) / "imports", progress)
    return refused


async def _import_file(target: Target, tenant: str, file: Path, folder: Path, progress: Progress) -> int:
    began = time.monotonic()
    size, place = await asyncio.to_thread(_look_at, file, folder, target, tenant)
    shown = "standard input" if file == STANDARD_INPUT else str(file)
    task = progress.add_task(shown if size is None else file.name, total=size, statements=0, note="")
    sums = {"statements": 0}

    def advance(accepted: int, read: int) -> None:
        sums["statements"] += accepted
        progress.update(task, completed=read, statements=sums["statements"])

    def complain(fault: Fault) -> None:
        progress.console.print(Text(f"{shown}:{fault.number}: ", "red").append(fault.detail))

    def wait(reason: str) -> None:
        progress.update(task, note=f"waiting: {reason}" if reason else "")

    try:
        async with Client(target, tenant, waiting=wait) as client:
            tally = await FileImport(client, file, place, advance=advance, complain=complain).run()
    except FileFaultError as error:
        progress.console.print(Text(str(error), "red"))
        return 1
    _sum_up(shown, tally, time.monotonic() - began)
    return tally.refused


def _look_at(file: Path, folder: Path, target: Target, tenant: str) -> tuple[int | None, ProgressFile | None]:
    """Return the size and where the progress is kept; neither is known of what can be read only once."""
    if is_stream(file):
        return None, None
    return file.stat().st_size, ProgressFile(folder, file, platform=target.identity, tenant=tenant)


def _sum_up(file: str, tally: Tally, seconds: float) -> None:
    words = [f"{file}: {tally.accepted:,} statements accepted"]
    if tally.resumed:
        words.append(f"(going on after line {tally.resumed:,})")
    else:
        words.append(f"in {seconds:.1f} s, {tally.accepted / max(seconds, 0.001):,.0f}/s")
    if tally.refused:
        words.append(f"- {tally.refused:,} lines refused")
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()
