"""One child process: started so that it dies with us, watched, started again after a pause, stopped in good order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from collegium_workers.backoff import Backoff
from collegium_workers.supervisor.logstream import LogStream
from collegium_workers.supervisor.orphans import ProcessBook, identify

__all__ = ["Child", "ChildSpec"]

_LAUNCHER: Final = Path(__file__).with_name("launch.py")
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_STABLE_SECONDS: Final = 10.0
_KILL_SECONDS: Final = 5.0


class ChildSpec(msgspec.Struct, frozen=True):
    """What to run.

    :param name: how log lines and events call it (``api-1``).
    :param command: absolute path of the program, then its arguments.
    :param environment: asked at every start for the variables, so that a port can be chosen anew.
    :param descriptors: those it inherits, under the same numbers.
    :param death_signal: what the kernel sends it when the supervisor dies.
    :param stop_seconds: how long it may take to drain after SIGTERM before it is killed.
    :param explain: returns one sentence on why it ended with a code above 0, asked in a thread; None where its log
        lines tell.
    """

    name: str
    command: tuple[str, ...]
    environment: Callable[[], Mapping[str, str]]
    descriptors: tuple[int, ...] = ()
    death_signal: signal.Signals = signal.SIGKILL
    stop_seconds: float = 15.0
    explain: Callable[[], str] | None = None


class Child:
    """One child and its restarts. ``await start()``, later ``await stop()``; all from the main thread's loop.

    The main thread matters: the kernel sends the death signal when the *thread* that forked ends.

    :param report: called with an event's name and its fields.
    """

    def __init__(self, spec: ChildSpec, book: ProcessBook, log: LogStream, report: Callable[..., None]) -> None:
        self.spec = spec
        self.exits = 0
        self.last_exit: int | None = None
        self._book = book
        self._log = log
        self._report = report
        self._process: asyncio.subprocess.Process | None = None
        self._environment: Mapping[str, str] = {}
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that the running process was started with."""
        return self._environment

    async def start(self) -> None:
        """Start the process and keep it running.

        :raises OSError: it cannot be started at all.
        """
        await self._spawn()
        self._task = asyncio.get_running_loop().create_task(self._keep(), name=f"child {self.spec.name}")

    async def stop(self) -> None:
        """End it: SIGTERM, wait, SIGKILL. Returns when it is gone."""
        self._stopping.set()
        if self._task is None:
            await self._discard()
            return
        self._signal(signal.SIGTERM)
        done, _ = await asyncio.wait([self._task], timeout=self.spec.stop_seconds)
        if not done:
            self._report("child-killed", process=self.spec.name, after_seconds=self.spec.stop_seconds)
            self._signal(signal.SIGKILL)
            done, _ = await asyncio.wait([self._task], timeout=_KILL_SECONDS)
        if not done:
            # Stuck in the kernel (a disk that does not answer): nothing more can be done from here.
            self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def run_once(self) -> int:
        """Start the process, wait for its end and return its exit code; when cancelled, end it.

        :raises OSError: it cannot be started at all.
        """
        try:
            await self._spawn()
            await self._watch()
        finally:
            await self._discard()
        return self.last_exit or 0

    def kill(self) -> None:
        """Do not wait any longer for a process that has been told to stop."""
        self._signal(signal.SIGKILL)

    async def _spawn(self) -> None:
        self._environment = self.spec.environment()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(_LAUNCHER),
            str(os.getpid()),
            str(int(self.spec.death_signal)),
            *self.spec.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(self._environment),
            pass_fds=self.spec.descriptors,
            # Its own session: Ctrl-C reaches the supervisor alone, which stops everything in order.
            start_new_session=True,
        )
        mark = identify(self.spec.name, self._process.pid)
        if mark is not None:
            await self._book.add(mark)

    async def _discard(self) -> None:
        """End a process that nobody watches."""
        process = self._process
        if process is not None and process.returncode is None:
            self._signal(signal.SIGKILL)
            await process.wait()
            await self._book.remove(process.pid)

    async def _keep(self) -> None:
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        while True:
            if await self._watch() >= _STABLE_SECONDS:
                backoff.reset()
            while True:
                if self._stopping.is_set():
                    return
                pause = backoff.next()
                fields = {"process": self.spec.name, "code": self.last_exit, "restart_in_seconds": round(pause, 3)}
                if self.spec.explain is not None and (self.last_exit or 0) > 0:
                    fields["detail"] = await asyncio.to_thread(self.spec.explain)
                self._report("child-exited", **fields)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
                    return
                try:
                    await self._spawn()
                except OSError as error:
                    # No process, no memory, no program: as transient as an exit, and reported as one.
                    self.exits += 1
                    self._log.write("supervisor", f"{self.spec.name} cannot be started: {error.strerror}".encode())
                else:
                    break
            if self._stopping.is_set():
                self._signal(signal.SIGTERM)

    async def _watch(self) -> float:
        """Copy the process's lines until it ends; return for how many seconds it ran."""
        process = self._process
        if process is None or process.stdout is None:
            raise AssertionError("watched before it was started")
        started = time.monotonic()
        copying = asyncio.get_running_loop().create_task(self._log.copy(self.spec.name, process.stdout))
        try:
            self.last_exit = await process.wait()
            self.exits += 1
            # A grandchild may hold the pipe open; what the process itself wrote is there already.
            await asyncio.wait([copying], timeout=1.0)
        finally:
            copying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await copying
        await self._book.remove(process.pid)
        return time.monotonic() - started

    def _signal(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
