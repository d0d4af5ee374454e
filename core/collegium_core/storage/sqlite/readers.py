"""Threads that read: each call gets one thread and one connection, no call waits for the writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from collegium_core.errors import Unavailable
from collegium_core.storage.sqlite.files import Connection
from collegium_core.storage.sqlite.pool import ConnectionPool
from collegium_core.storage.sqlite.schema import Schema

__all__ = ["Readers"]

T = TypeVar("T")

_THREADS: Final = 4
_IDLE_CONNECTIONS: Final = 48
_CACHE_KIB: Final = 1024


class Readers:
    """Reads one kind of file.

    :param schema: the kind of file.
    """

    def __init__(self, schema: Schema) -> None:
        self._pool = ConnectionPool(schema, idle=_IDLE_CONNECTIONS, cache_kib=_CACHE_KIB)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"read-{schema.file}")
        self._closed = False

    async def run(self, path: Path, read: Callable[[Connection], T], nothing: T) -> T:
        """Return what *read* returns, run in a thread; *nothing* when there is no file at *path*.

        :raises Unavailable: the file cannot be used.
        """

        def task() -> T:
            with self._pool.lend(path) as connection:
                return nothing if connection is None else read(connection)

        if self._closed:
            raise Unavailable("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, task)

    def close(self) -> None:
        """Finish what runs, then close the files. Blocks: call it in a thread."""
        self._closed = True
        self._threads.shutdown(wait=True)
        self._pool.close()
