"""The processes of one data folder, by process id and start time, so that a later supervisor recognises what is left.

Nothing is adopted: a child whose supervisor is gone has been told to end by the kernel (``launch.py``); the next
supervisor waits for that, helps where it takes too long, and starts afresh.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from collegium_core.files import write_whole

__all__ = ["ProcessBook", "ProcessMark", "end_orphans", "identify", "is_running"]

_POLL_SECONDS: Final = 0.02
_RETRY_SECONDS: Final = 2.0

_log = structlog.get_logger(__name__)


class ProcessMark(msgspec.Struct, frozen=True):
    """One process for ever: the id alone is used again by the system, id and start time are not.

    :param started: the boot and the clock tick at which it started (Linux), else what ``ps`` says.
    """

    name: str
    pid: int
    started: str


def identify(name: str, pid: int) -> ProcessMark | None:
    """Return the mark of the process *pid*, or None where there is none (any more)."""
    started = _started(pid)
    return ProcessMark(name=name, pid=pid, started=started) if started else None


def is_running(mark: ProcessMark) -> bool:
    """Say whether the very process of *mark* still runs; one that waits to be reaped does not."""
    return _started(mark.pid) == mark.started


async def end_orphans(marks: Sequence[ProcessMark], *, patience: float = 5.0) -> list[ProcessMark]:
    """Wait until none of *marks* runs; return those that had to be told.

    They get *patience* seconds to end by themselves, as long again after SIGTERM, then SIGKILL.
    """
    told: list[ProcessMark] = []
    left = await _wait(marks, patience)
    for mark in left:
        told.append(mark)
        _send(mark, signal.SIGTERM)
    left = await _wait(left, patience)
    for mark in left:
        _send(mark, signal.SIGKILL)
    await _wait(left, patience)
    return told


class ProcessBook:
    """The file that names the running children of this folder's supervisor.

    A full disk must not keep the supervisor from starting a child again: what cannot be written is kept in mind, and
    written by :meth:`keep` when it can be.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks: dict[int, ProcessMark] = {}
        self._lock = asyncio.Lock()
        self._is_behind = False

    def read(self) -> list[ProcessMark]:
        """Return what the last supervisor wrote; an unreadable file names nobody. Blocks for one small file."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[ProcessMark])
        except (OSError, msgspec.MsgspecError):
            return []

    async def add(self, mark: ProcessMark) -> None:
        """Write down one more child."""
        self._marks[mark.pid] = mark
        await self._write()

    async def remove(self, pid: int) -> None:
        """Strike out a child that has ended."""
        self._marks.pop(pid, None)
        await self._write()

    async def keep(self) -> None:
        """Write, for ever, what could not be written before."""
        while True:
            await asyncio.sleep(_RETRY_SECONDS)
            if self._is_behind:
                await self._write()

    async def _write(self) -> None:
        async with self._lock:
            text = msgspec.json.encode(list(self._marks.values()))
            try:
                await asyncio.to_thread(write_whole, self._path, text)
            except OSError as error:
                if not self._is_behind:
                    _log.warning("process_book_not_written", reason=error.strerror)
                self._is_behind = True
            else:
                self._is_behind = False


async def _wait(marks: Sequence[ProcessMark], seconds: float) -> list[ProcessMark]:
    """Return those of *marks* that still run after at most *seconds*."""
    end = time.monotonic() + seconds
    left = [mark for mark in marks if is_running(mark)]
    while left and time.monotonic() < end:
        await asyncio.sleep(_POLL_SECONDS)
        left = [mark for mark in left if is_running(mark)]
    return left


def _send(mark: ProcessMark, number: signal.Signals) -> None:
    """Signal the very process of *mark*: through a handle where the system has one, so that no other is ever hit."""
    with contextlib.suppress(ProcessLookupError):
        if sys.platform != "linux":
            os.kill(mark.pid, number)
            return
        handle = os.pidfd_open(mark.pid)
        try:
            if is_running(mark):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def _started(pid: int) -> str:
    """Return when *pid* started, in words that only compare equal; empty where no such process runs."""
    if sys.platform != "linux":
        answer = subprocess.run(  # noqa: S603 - a fixed command and a number
            ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
        )
        return answer.stdout.strip()
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    # The name in brackets may hold anything, brackets included: what follows the last one is in columns.
    state, *columns = stat.rpartition(")")[2].split()
    if state in {"Z", "X"}:
        return ""
    return f"{_boot()}:{columns[18]}"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
