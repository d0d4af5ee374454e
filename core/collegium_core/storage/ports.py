"""What the platform needs of its stores. Every implementation passes the suites in ``tests/contract``.

A port object belongs to one tenant: it is made by :mod:`collegium_core.tenancy.scope` and can reach nothing else.
All methods are coroutines, none blocks the loop; an unreachable store raises
:class:`collegium_core.errors.Unavailable`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Protocol

import msgspec

from collegium_core.lrs.keys import FilterKeys
from collegium_core.lrs.query import Place, StatementQuery
from collegium_core.lrs.record import StoredStatement
from collegium_core.tenancy.record import Placement

__all__ = [
    "ANY",
    "Document",
    "DocumentKey",
    "DocumentStore",
    "Expectation",
    "IndexedStatement",
    "ObjectInfo",
    "ObjectStore",
    "Rejection",
    "StatementStore",
    "StorageBackend",
]


class IndexedStatement(msgspec.Struct, frozen=True, gc=False):
    """A statement and the keys under which queries find it."""

    statement: StoredStatement
    keys: FilterKeys


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """A statement that the store will never take, and why; it goes to the dead letters and stops nobody."""

    id: str
    reason: str


class StatementStore(Protocol):
    """One tenant's statements."""

    async def prepare(self) -> None:
        """Make what writing needs (index, file); doing it again changes nothing."""

    async def existing(self, ids: Collection[str]) -> frozenset[str]:
        """Return those of *ids* that are stored. Realtime: sees everything written, refreshed or not."""

    async def get(self, statement_ids: Sequence[str]) -> dict[str, StoredStatement]:
        """Return the stored statements among *statement_ids* by id. Realtime."""

    async def write(self, statements: Sequence[IndexedStatement]) -> list[Rejection]:
        """Store *statements* durably and searchably; return those that can never be stored.

        Idempotent: a statement stored before under the same ``position`` is left as it is and not rejected. One stored
        before under another position is a duplicate: equal by :func:`collegium_core.lrs.compare.equivalent` it is
        skipped silently, else it is rejected with the reason ``conflict``. When this returns, all others are durable
        and ``find`` sees them.
        """

    async def find(
        self, query: StatementQuery, *, through: int, after: Place | None, limit: int
    ) -> list[StoredStatement]:
        """Return at most *limit* statements matching *query* in order of (stored, position).

        Newest first, or oldest first with ``query.ascending``; only those with ``stored <= through`` (the watermark),
        and only those beyond *after* in that order. The cost of a page does not depend on its depth.
        """

    async def count(self) -> int:
        """Return how many statements are searchable."""

    async def drop(self) -> None:
        """Delete everything of this tenant and this class, and nothing else."""


class DocumentKey(msgspec.Struct, frozen=True):
    """Where a document stands.

    :param resource: ``state``, ``agent-profile`` or ``activity-profile``.
    :param owner: what it belongs to, compared code point by code point.
    :param id: its id there.
    """

    resource: str
    owner: str
    id: str


class Document(msgspec.Struct, frozen=True):
    """One document. ``etag`` is the hex SHA-1 of ``content`` (xAPI-Communication 3.1); ``updated`` is microseconds."""

    key: DocumentKey
    content: bytes
    content_type: str
    etag: str
    updated: int


class _Any:
    """The type of :data:`ANY`."""


ANY = _Any()
"""No expectation: write whatever stands there."""

Expectation = str | None | _Any
"""What must stand there for a write to happen: an etag, ``None`` for nothing, :data:`ANY` for no matter what."""


class DocumentStore(Protocol):
    """One tenant's documents, compare-and-set. A broken expectation raises ``PreconditionFailed``."""

    async def prepare(self) -> None:
        """Make what writing needs; doing it again changes nothing."""

    async def get(self, key: DocumentKey) -> Document | None:
        """Return the document, realtime."""

    async def put(self, key: DocumentKey, content: bytes, content_type: str, *, expected: Expectation) -> Document:
        """Store *content* under *key* if *expected* holds; atomic against every other writer."""

    async def delete(self, key: DocumentKey, *, expected: Expectation) -> bool:
        """Delete if *expected* holds; return whether something was there."""

    async def ids(self, resource: str, owner: str, *, since: int | None = None) -> list[str]:
        """Return the ids, sorted, of documents updated after *since* (microseconds, exclusive). Sees all writes."""

    async def drop(self) -> None:
        """Delete everything of this tenant and this class, and nothing else."""


class ObjectInfo(msgspec.Struct, frozen=True):
    """What is known of an object without reading it: bytes, content type, entity tag."""

    path: str
    size: int
    content_type: str
    etag: str


class ObjectStore(Protocol):
    """One tenant's files (attachments, artifacts). Paths are relative to the tenant and never leave it.

    A path is one or more segments between slashes; an empty segment, ``.``, ``..``, a control character, a segment over
    240 or a path over 900 bytes (percent-encoded) is a ``BadRequest``. No object's path may begin with another's and a
    slash: a folder cannot be a file.
    """

    async def put(
        self, path: str, content: bytes | AsyncIterator[bytes], *, content_type: str, create: bool = False
    ) -> ObjectInfo:
        """Store *content*; visible only when whole, durable on return.

        With *create* an existing object raises ``Conflict``. A content type is at most 400 printable ASCII characters,
        else ``BadRequest``.
        """

    async def info(self, path: str) -> ObjectInfo | None:
        """Return what is known of the object at *path*."""

    def read(self, path: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from *start* to *end* (exclusive) in chunks; ``NotFound`` when there is no object.

        Nothing is yielded beyond the object's end. All bytes are of one object: when it is replaced meanwhile,
        ``Unavailable``.
        """

    async def delete(self, path: str) -> None:
        """Delete the object; none there is fine."""

    def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Yield the objects below the folder *prefix* in order of path (code points).

        A listing does not know content types: they are empty here, :meth:`info` tells them.
        """

    async def drop(self) -> None:
        """Delete everything of this tenant, and nothing else."""


class StorageBackend(Protocol):
    """One kind of store: makes a tenant's ports, and owns the connections behind them."""

    def statements(self, slug: str, placement: Placement) -> StatementStore:
        """Return the statement store of one tenant; no I/O."""

    def documents(self, slug: str, placement: Placement) -> DocumentStore:
        """Return the document store of one tenant; no I/O."""

    async def adopt(self, slug: str, placement: Placement, owner: str) -> None:
        """Make what writing needs, for both stores of a tenant; doing it again changes nothing.

        Where the backend has a place for it, it notes there that the stores are those of *owner* (the record's:
        ``namespace/name/uid`` of a Tenant; empty: nobody's, which leaves the note as it is). Another owner takes over.

        :raises Conflict: something that is not this tenant's stands in the place of its stores.
        """

    async def check(self) -> None:
        """Answer quickly whether the backend is reachable; ``Unavailable`` says what is missing."""

    async def close(self) -> None:
        """Close the connections."""
