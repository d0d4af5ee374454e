"""One thread that writes: whatever waits for the same file becomes one transaction and one sync (group commit)."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from collegium_core.errors import Problem, Unavailable
from collegium_core.storage.sqlite.files import Connection
from collegium_core.storage.sqlite.pool import ConnectionPool
from collegium_core.storage.sqlite.schema import Schema

__all__ = ["Change", "Writer"]

T = TypeVar("T")
Change = Callable[[Connection], T]

_IDLE_CONNECTIONS: Final = 8
_CACHE_KIB: Final = 16 * 1024
_GROUP_WEIGHT: Final = 5000
_QUIET_SECONDS: Final = 2.0


class _Job(msgspec.Struct, eq=False):
    path: Path
    change: Change[Any]
    weight: int
    create: bool
    alone: bool
    future: Future[Any]


_Outcome: TypeAlias = tuple[_Job, Any, BaseException | None]


class Writer:
    """The only writer of one kind of file in this process; other processes are kept out by SQLite's lock.

    :param schema: the kind of file.
    :param quiet_seconds: how long a file must rest before its log is written back into it.
    """

    def __init__(self, schema: Schema, *, quiet_seconds: float = _QUIET_SECONDS) -> None:
        self._name = f"write-{schema.file}"
        self._pool = ConnectionPool(schema, idle=_IDLE_CONNECTIONS, cache_kib=_CACHE_KIB)
        self._quiet = quiet_seconds
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._written: dict[Path, float] = {}

    async def run(
        self, path: Path, change: Change[T], *, weight: int = 1, create: bool = True, alone: bool = False
    ) -> T | None:
        """Return what *change* returns, once it is durable.

        *change* runs in the writer's thread within a transaction. It raises a :class:`Problem` only before it changes
        anything, and may be run a second time after another change of its transaction failed.

        :param weight: statements or documents that it writes; bounds what shares a transaction.
        :param create: make the file where there is none; without it the result is then None.
        :param alone: run outside any transaction (for what SQLite refuses inside one).
        :raises Unavailable: the file cannot be written; nothing of it is stored.
        """
        job = _Job(path, change, weight, create, alone, Future())
        with self._lock:
            if self._closed:
                raise Unavailable("the store is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                self._thread.start()
            self._queue.put(job)
        result: T | None = await asyncio.wrap_future(job.future)
        return result

    def close(self) -> None:
        """Finish what waits, then close the files. Blocks: call it in a thread."""
        with self._lock:
            self._closed = True
            thread = self._thread
            self._queue.put(None)
        if thread is not None:
            thread.join()
        self._pool.close()

    def _loop(self) -> None:
        while True:
            jobs = self._waiting()
            if jobs is None:
                return
            for group in _grouped(jobs):
                self._commit(group)
            self._write_back()

    def _waiting(self) -> list[_Job] | None:
        """Return all that waits, nothing after a quiet while, None at the end."""
        jobs: list[_Job] = []
        with contextlib.suppress(queue.Empty):
            job = self._queue.get(timeout=self._quiet / 2 if self._written else None)
            while job is not None:
                jobs.append(job)
                job = self._queue.get_nowait()
            if not jobs:
                return None
            self._queue.put(None)  # what came before the end is done first
        return jobs

    def _commit(self, jobs: list[_Job]) -> None:
        jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
        if not jobs:
            return
        for job, result, fault in self._outcomes(jobs):
            if fault is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(fault)

    def _outcomes(self, jobs: list[_Job]) -> list[_Outcome]:
        path = jobs[0].path
        try:
            with self._pool.lend(path, create=any(job.create for job in jobs)) as connection:
                if connection is None:
                    return [(job, None, None) for job in jobs]
                if jobs[0].alone:
                    outcomes: list[_Outcome] = [(jobs[0], jobs[0].change(connection), None)]
                else:
                    outcomes = _in_transaction(connection, jobs)
        except Problem as error:
            return [(job, None, error) for job in jobs]
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait; the thread goes on
            if len(jobs) == 1:
                return [(jobs[0], None, error)]
            # One change is at fault, and the transaction is undone: each for itself, then only that one fails.
            return [outcome for job in jobs for outcome in self._outcomes([job])]
        self._written[path] = time.monotonic()
        return outcomes

    def _write_back(self) -> None:
        """Bring the log of one file that has rested back into it, and give its disk space and memory back."""
        if not self._queue.empty():
            return
        now = time.monotonic()
        path = next((path for path, when in self._written.items() if now - when >= self._quiet), None)
        if path is None:
            return
        del self._written[path]
        # Not being able to (a reader in the way, a full disk) loses nothing: the next write brings the file back here.
        with contextlib.suppress(Unavailable), self._pool.lend(path) as connection:
            if connection is not None:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.execute("PRAGMA shrink_memory")


def _grouped(jobs: list[_Job]) -> list[list[_Job]]:
    """Return *jobs* by file, in order of arrival; a group shares one transaction."""
    groups: list[list[_Job]] = []
    current: dict[Path, tuple[list[_Job], int]] = {}
    for job in jobs:
        group, weight = current.get(job.path, ([], 0))
        if not group or job.alone or group[0].alone or weight + job.weight > _GROUP_WEIGHT:
            group, weight = [], 0
            groups.append(group)
        group.append(job)
        current[job.path] = (group, weight + job.weight)
    return groups


def _in_transaction(connection: Connection, jobs: list[_Job]) -> list[_Outcome]:
    # No savepoint per job: SQLite would copy every page that a large write touches.
    outcomes: list[_Outcome] = []
    connection.execute("BEGIN IMMEDIATE")
    try:
        for job in jobs:
            try:
                outcomes.append((job, job.change(connection), None))
            except Problem as problem:
                outcomes.append((job, None, problem))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcomes
