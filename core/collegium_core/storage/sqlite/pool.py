"""Open connections, kept for the files used last: ten thousand tenants do not take ten thousand file handles."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from collegium_core.errors import Unavailable
from collegium_core.storage.sqlite.files import Connection, clear_errors, identity_of, open_file
from collegium_core.storage.sqlite.schema import Schema

__all__ = ["ConnectionPool"]


class ConnectionPool:
    """Connections lent to one thread at a time.

    :param schema: the kind of file.
    :param idle: how many connections stay open unused; beyond that the one used longest ago is closed.
    :param cache_kib: how much of a file one connection keeps in memory, KiB.
    """

    def __init__(self, schema: Schema, *, idle: int, cache_kib: int) -> None:
        self._schema = schema
        self._limit = idle
        self._cache_kib = cache_kib
        self._lock = threading.Lock()
        self._idle: OrderedDict[int, tuple[Path, Connection]] = OrderedDict()
        self._by_path: dict[Path, list[int]] = {}
        self._next = 0
        self._closed = False

    @contextlib.contextmanager
    def lend(self, path: Path, *, create: bool = False) -> Iterator[Connection | None]:
        """Lend a connection to the file at *path*; None when there is no file and not *create*.

        A connection on which something failed is closed, not kept.

        :raises Unavailable: the file cannot be used.
        """
        connection = self._take(path) or open_file(path, self._schema, create=create, cache_kib=self._cache_kib)
        if connection is None:
            yield None
            return
        try:
            with clear_errors(path):
                yield connection
        except BaseException:
            connection.close()
            raise
        self._give_back(path, connection)

    def close(self) -> None:
        """Close every idle connection; those on loan are closed when they come back."""
        with self._lock:
            self._closed = True
            connections = [connection for _, connection in self._idle.values()]
            self._idle.clear()
            self._by_path.clear()
        for connection in connections:
            connection.close()

    def _take(self, path: Path) -> Connection | None:
        with clear_errors(path):
            identity = identity_of(path)
        while True:
            with self._lock:
                if self._closed:
                    raise Unavailable("the store is closed")
                numbers = self._by_path.get(path)
                if not numbers:
                    return None
                number = numbers.pop()
                if not numbers:
                    del self._by_path[path]
                connection = self._idle.pop(number)[1]
            if connection.identity == identity:
                return connection
            # The file was removed or replaced (a restored backup): what this connection sees is the old one.
            connection.close()

    def _give_back(self, path: Path, connection: Connection) -> None:
        surplus: list[Connection] = []
        with self._lock:
            if self._closed:
                surplus.append(connection)
            else:
                self._next += 1
                self._idle[self._next] = (path, connection)
                self._by_path.setdefault(path, []).append(self._next)
                while len(self._idle) > self._limit:
                    number, (old_path, old) = self._idle.popitem(last=False)
                    numbers = self._by_path[old_path]
                    numbers.remove(number)
                    if not numbers:
                        del self._by_path[old_path]
                    surplus.append(old)
        for old in surplus:
            old.close()
