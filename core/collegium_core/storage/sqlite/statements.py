"""One tenant's statements in one SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

from collegium_core.lrs.compare import equivalent
from collegium_core.lrs.query import Place, StatementQuery
from collegium_core.lrs.record import Missing, StoredStatement
from collegium_core.storage.ports import IndexedStatement, Rejection
from collegium_core.storage.sqlite.files import Connection
from collegium_core.storage.sqlite.readers import Readers
from collegium_core.storage.sqlite.terms import COLUMNS, find_sql, terms_of
from collegium_core.storage.sqlite.writer import Writer

__all__ = ["SqliteStatementStore"]

T = TypeVar("T")

_CHUNK: Final = 250
_TERMS_PER_CALL: Final = 200
# SQLite's own limit is 1e9 bytes in one row.
_MAX_RAW_BYTES: Final = 900_000_000


class SqliteStatementStore:
    """A :class:`collegium_core.storage.ports.StatementStore` on one file.

    :param path: the file; made by the first write.
    """

    def __init__(self, path: Path, readers: Readers, writer: Writer) -> None:
        self._path = path
        self._readers = readers
        self._writer = writer

    async def prepare(self) -> None:
        """Make the file."""
        await self._writer.run(self._path, lambda _: None)

    async def existing(self, ids: Collection[str]) -> frozenset[str]:
        """Return those of *ids* that are stored."""
        return await self._read(lambda connection: _existing(connection, ids), frozenset())

    async def get(self, statement_ids: Sequence[str]) -> dict[str, StoredStatement]:
        """Return the stored statements among *statement_ids* by id."""
        return await self._read(lambda connection: _get(connection, statement_ids), {})

    async def write(self, statements: Sequence[IndexedStatement]) -> list[Rejection]:
        """Store *statements*; return those that can never be stored."""
        if not statements:
            return []
        rejections = await self._writer.run(
            self._path, lambda connection: _write(connection, statements), weight=len(statements)
        )
        return rejections or []

    async def find(
        self, query: StatementQuery, *, through: int, after: Place | None, limit: int
    ) -> list[StoredStatement]:
        """Return one page of the statements matching *query*."""

        def page(connection: Connection) -> list[StoredStatement]:
            sql, parameters = find_sql(connection, query, through=through, after=after, limit=limit)
            return [_statement(row) for row in connection.execute(sql, parameters)]

        return await self._read(page, []) if limit > 0 else []

    async def count(self) -> int:
        """Return how many statements are stored."""
        return await self._read(
            lambda connection: int(connection.execute("SELECT count(*) FROM statement").fetchone()[0]), 0
        )

    async def drop(self) -> None:
        """Empty the file and shrink it. The file itself stays: another process may hold it open."""
        await self._writer.run(self._path, _empty, create=False)
        await self._writer.run(self._path, _shrink, create=False, alone=True)

    async def _read(self, read: Callable[[Connection], T], nothing: T) -> T:
        return await self._readers.run(self._path, read, nothing)


def _key(statement_id: str) -> bytes | None:
    """Return the 16 bytes of a UUID, None when it is none."""
    try:
        key = bytes.fromhex(statement_id.replace("-", ""))
    except ValueError:
        return None
    return key if len(key) == 16 else None


def _id(key: bytes) -> str:
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _statement(row: tuple[bytes, bytes, int, int, bytes, int, str]) -> StoredStatement:
    key, raw, stored, position, authority, missing, version = row
    return StoredStatement(_id(key), raw, stored, position, authority, Missing(missing), version)


def _chunks(keys: Sequence[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Yield *keys* in pieces with the placeholders for each; few different texts, so that SQLite prepares each once."""
    for start in range(0, len(keys), _CHUNK):
        piece = list(keys[start : start + _CHUNK])
        size = next(size for size in (1, 2, 5, 10, 50, _CHUNK) if size >= len(piece))
        piece += [piece[-1]] * (size - len(piece))
        yield ",".join("?" * size), piece


def _existing(connection: Connection, ids: Collection[str]) -> frozenset[str]:
    by_key = {key: text for text in ids if (key := _key(text)) is not None}
    found: list[str] = []
    for marks, piece in _chunks(list(by_key)):
        rows = connection.execute(f"SELECT id FROM statement WHERE id IN ({marks})", piece)  # noqa: S608 - constants and placeholders
        found += [by_key[key] for (key,) in rows]
    return frozenset(found)


def _get(connection: Connection, ids: Sequence[str]) -> dict[str, StoredStatement]:
    by_key = {key: text for text in ids if (key := _key(text)) is not None}
    found: dict[str, StoredStatement] = {}
    for marks, piece in _chunks(list(by_key)):
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM statement s JOIN authority a ON a.number = s.authority WHERE s.id IN ({marks})",  # noqa: S608 - constants and placeholders
            piece,
        )
        for row in rows:
            found[by_key[row[0]]] = _statement(row)
    return found


def _write(connection: Connection, statements: Sequence[IndexedStatement]) -> list[Rejection]:
    rejections: list[Rejection] = []
    keyed: list[tuple[bytes, IndexedStatement]] = []
    for item in statements:
        key = _key(item.statement.id)
        if key is None:
            rejections.append(Rejection(item.statement.id, "the id is not a UUID"))
        elif len(item.statement.raw) > _MAX_RAW_BYTES:
            rejections.append(Rejection(item.statement.id, f"the statement is larger than {_MAX_RAW_BYTES} bytes"))
        else:
            keyed.append((key, item))
    positions = _positions(connection, [key for key, _ in keyed])
    fresh: dict[bytes, IndexedStatement] = {}
    for key, item in keyed:
        statement = item.statement
        earlier = fresh.get(key)
        position = positions.get(key) if earlier is None else earlier.statement.position
        if position is None:
            fresh[key] = item
        elif position != statement.position:
            raw = _raw(connection, key) if earlier is None else earlier.statement.raw
            if not equivalent(raw, statement.raw):
                rejections.append(Rejection(statement.id, "conflict"))
    _insert(connection, fresh)
    return rejections


def _positions(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for marks, piece in _chunks(keys):
        found.update(connection.execute(f"SELECT id, stored + tie FROM statement WHERE id IN ({marks})", piece))  # noqa: S608 - constants and placeholders
    return found


def _raw(connection: Connection, key: bytes) -> bytes:
    raw: bytes = connection.execute("SELECT raw FROM statement WHERE id = ?", (key,)).fetchone()[0]
    return raw


def _insert(connection: Connection, fresh: dict[bytes, IndexedStatement]) -> None:
    salt = connection.salt
    seq: int = connection.execute("SELECT coalesce(max(seq), 0) FROM statement").fetchone()[0]
    authorities: dict[bytes, int] = {}
    rows = []
    terms = []
    for key, item in fresh.items():
        seq += 1
        statement = item.statement
        keys = item.keys
        stored = statement.stored
        tie = statement.position - stored
        number = authorities.get(statement.authority)
        if number is None:
            number = authorities[statement.authority] = _authority(connection, statement.authority)
        rows.append(
            (
                seq,
                key,
                stored,
                tie,
                number,
                int(statement.missing),
                statement.version,
                keys.ref,
                keys.voids,
                statement.raw,
            )
        )
        terms += [(term, stored, tie, seq) for term in terms_of(salt, keys)]
    connection.executemany("INSERT INTO statement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    # In the tree's order: neighbours meet the same page while it is at hand.
    terms.sort()
    _insert_terms(connection, terms)


def _insert_terms(connection: Connection, terms: Sequence[tuple[int, int, int, int]]) -> None:
    # Many rows per call: half the cost of one call per row. OR IGNORE: two keys of one statement may share a term.
    whole = len(terms) // _TERMS_PER_CALL * _TERMS_PER_CALL
    marks = ",".join(["(?, ?, ?, ?)"] * _TERMS_PER_CALL)
    for start in range(0, whole, _TERMS_PER_CALL):
        connection.execute(
            f"INSERT OR IGNORE INTO term VALUES {marks}",  # noqa: S608 - constants and placeholders
            tuple(chain.from_iterable(terms[start : start + _TERMS_PER_CALL])),
        )
    connection.executemany("INSERT OR IGNORE INTO term VALUES (?, ?, ?, ?)", terms[whole:])


def _authority(connection: Connection, json: bytes) -> int:
    row = connection.execute("SELECT number FROM authority WHERE json = ?", (json,)).fetchone()
    if row is None:
        row = connection.execute("INSERT INTO authority (json) VALUES (?) RETURNING number", (json,)).fetchone()
    return int(row[0])


def _empty(connection: Connection) -> None:
    for table in ("term", "statement", "authority"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - constants and placeholders


def _shrink(connection: Connection) -> None:
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
