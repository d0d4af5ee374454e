"""One tenant's documents (state, agent and activity profiles) in one SQLite file, compare-and-set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from collegium_core.clock import Clock
from collegium_core.errors import PreconditionFailed
from collegium_core.storage.ports import ANY, Document, DocumentKey, Expectation
from collegium_core.storage.sqlite.files import Connection
from collegium_core.storage.sqlite.readers import Readers
from collegium_core.storage.sqlite.writer import Writer

__all__ = ["SqliteDocumentStore"]

_HERE: Final = "resource = ? AND owner = ? AND id = ?"


class SqliteDocumentStore:
    """A :class:`collegium_core.storage.ports.DocumentStore` on one file.

    Each change checks and writes within one ``BEGIN IMMEDIATE`` transaction, so that no other process comes between.

    :param path: the file; made by the first write.
    """

    def __init__(self, path: Path, readers: Readers, writer: Writer, clock: Clock) -> None:
        self._path = path
        self._readers = readers
        self._writer = writer
        self._clock = clock

    async def prepare(self) -> None:
        """Make the file."""
        await self._writer.run(self._path, lambda _: None)

    async def get(self, key: DocumentKey) -> Document | None:
        """Return the document under *key*."""

        def read(connection: Connection) -> Document | None:
            row = connection.execute(
                f"SELECT content, content_type, etag, updated FROM document WHERE {_HERE}",  # noqa: S608 - constants and placeholders
                _where(key),
            ).fetchone()
            return None if row is None else Document(key, *row)

        return await self._readers.run(self._path, read, None)

    async def put(self, key: DocumentKey, content: bytes, content_type: str, *, expected: Expectation) -> Document:
        """Store *content* under *key* if *expected* holds."""
        # Off the loop's thread below: SHA-1 of a large document takes milliseconds.
        change = _put(key, content, content_type, expected, self._clock)
        document = await self._writer.run(self._path, change)
        if document is None:
            raise AssertionError("the writer makes the file")
        return document

    async def delete(self, key: DocumentKey, *, expected: Expectation) -> bool:
        """Delete what stands under *key* if *expected* holds; return whether something was there."""

        def change(connection: Connection) -> bool:
            present = _etag(connection, key)
            _check(present, expected)
            connection.execute(f"DELETE FROM document WHERE {_HERE}", _where(key))  # noqa: S608 - constants and placeholders
            return present is not None

        deleted = await self._writer.run(self._path, change, create=False)
        if deleted is None:
            _check(None, expected)
        return bool(deleted)

    async def ids(self, resource: str, owner: str, *, since: int | None = None) -> list[str]:
        """Return the ids of *owner*'s documents updated after *since*, in order of code points."""

        def read(connection: Connection) -> list[str]:
            rows = connection.execute(
                "SELECT id FROM document WHERE resource = ? AND owner = ? AND updated > ? ORDER BY id",
                (resource, owner, -1 if since is None else since),
            )
            return [row[0] for row in rows]

        return await self._readers.run(self._path, read, [])

    async def drop(self) -> None:
        """Empty the file and shrink it. The file itself stays: another process may hold it open."""
        await self._writer.run(self._path, _empty, create=False)
        await self._writer.run(self._path, _shrink, create=False, alone=True)


def _put(
    key: DocumentKey, content: bytes, content_type: str, expected: Expectation, clock: Clock
) -> Callable[[Connection], Document]:
    def change(connection: Connection) -> Document:
        _check(_etag(connection, key), expected)
        etag = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        document = Document(key, content, content_type, etag, clock.wall_microseconds())
        connection.execute(
            "INSERT INTO document (resource, owner, id, etag, updated, content_type, content)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (resource, owner, id) DO UPDATE SET etag = excluded.etag,"
            " updated = excluded.updated, content_type = excluded.content_type, content = excluded.content",
            (*_where(key), document.etag, document.updated, content_type, content),
        )
        return document

    return change


def _where(key: DocumentKey) -> tuple[str, str, str]:
    return key.resource, key.owner, key.id


def _etag(connection: Connection, key: DocumentKey) -> str | None:
    row = connection.execute(f"SELECT etag FROM document WHERE {_HERE}", _where(key)).fetchone()  # noqa: S608 - constants and placeholders
    return None if row is None else str(row[0])


def _check(present: str | None, expected: Expectation) -> None:
    if expected is ANY or expected == present:
        return
    if expected is None:
        raise PreconditionFailed("there is a document already")
    if present is None:
        raise PreconditionFailed("there is no document")
    raise PreconditionFailed("the document has changed: its ETag is another one")


def _empty(connection: Connection) -> None:
    connection.execute("DELETE FROM document")


def _shrink(connection: Connection) -> None:
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
