"""One tenant's log of statements: append, find by id, watermark (design: the log is the truth until indexed)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol

import msgspec

from collegium_core.lrs.record import Missing, StoredStatement
from collegium_core.streams.connection import Connection, partition_of, ring_key, tenant_key

__all__ = [
    "CONSUMERS",
    "Appended",
    "Backlog",
    "DeadLetter",
    "Full",
    "PendingBatch",
    "ReceivedStatement",
    "RedisClock",
    "StaleLookup",
    "Taken",
    "TenantLog",
]

CONSUMERS: Final = ("index",)
"""Whose ready rings an append marks."""


class ReceivedStatement(Protocol):
    """What the log needs of a validated statement."""

    @property
    def id(self) -> str:
        """The statement's UUID, lower case."""

    @property
    def raw(self) -> bytes:
        """The bytes to keep."""

    @property
    def missing(self) -> Missing:
        """What the client left out."""


class PendingBatch(msgspec.Struct, frozen=True, gc=False):
    """One request's statements on their way into the log.

    :param authority: the agent who vouches, JSON bytes.
    :param version: the ``version`` to supply where the client sent none.
    """

    statements: Sequence[ReceivedStatement]
    authority: bytes
    version: str


class Appended(msgspec.Struct, frozen=True, gc=False):
    """An append that is durable; the i-th statement's ``stored`` and position are ``first + i`` (microseconds)."""

    first: int


class Taken(msgspec.Struct, frozen=True):
    """Nothing was appended: these statements (index in the batch → position) are claimed already.

    At most a thousand are named; there may be more.
    """

    positions: dict[int, int]


class Full(msgspec.Struct, frozen=True):
    """Nothing was appended: so many statements wait to be indexed already."""

    backlog: int


class StaleLookup(msgspec.Struct, frozen=True):
    """Nothing was appended: the look-up in the store is so old that a claim may have come and gone since."""


class Backlog(msgspec.Struct, frozen=True, gc=False):
    """What waits in a tenant's log: statements, the oldest one's position (or ``None``), counters, Redis' clock."""

    statements: int
    oldest: int | None
    last: int
    appended: int
    dead: int
    now: int


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """A statement that no store takes: why, and all that is needed to try again."""

    id: str
    position: int
    reason: str
    raw: bytes
    authority: bytes
    version: str
    missing: Missing


class RedisClock:
    """Estimates Redis' clock (microseconds) from the last answer that told it; free of the local wall clock."""

    def __init__(self) -> None:
        self._offset: int | None = None

    def heard(self, now: int) -> None:
        """Note that Redis' clock stood at *now* when it answered."""
        self._offset = now - time.monotonic_ns() // 1000

    def now(self) -> int:
        """Return the estimate; 0, which counts as stale, before the first answer."""
        return 0 if self._offset is None else self._offset + time.monotonic_ns() // 1000


class TenantLog:
    """The log of one tenant. Made by :mod:`collegium_core.tenancy.scope`; reaches that tenant's keys only."""

    def __init__(self, connection: Connection, slug: str, clock: RedisClock) -> None:
        self._connection = connection
        self._slug = slug
        self._clock = clock
        self._partition = partition_of(slug)
        self._key = tenant_key(slug, "log")
        self._dead = tenant_key(slug, "dead")
        self._append_keys = [self._key, *(ring_key(self._partition, consumer) for consumer in CONSUMERS)]

    @property
    def clock(self) -> RedisClock:
        """Redis' clock, for dating look-ups."""
        return self._clock

    async def append(
        self, batches: Sequence[PendingBatch], *, looked_up_at: int | None, limit: int
    ) -> list[Appended | Taken | StaleLookup | Full]:
        """Append *batches*, each whole or not at all, durably; claim their ids. Return each one's outcome, in order.

        :param looked_up_at: when (Redis' clock) the ids were looked up in the store; ``None`` when the server made all
            of them or the store cannot be asked.
        :param limit: most statements that may wait for the index.
        :raises Unavailable: Redis is away. What became of the batches is unknown: send them again with the same ids.
        """
        args: list[bytes | str | int] = [self._slug, "" if looked_up_at is None else looked_up_at, limit]
        for batch in batches:
            args += (batch.authority, batch.version, "".join([_digit(s.missing) for s in batch.statements]))
            for statement in batch.statements:
                args += (statement.id, statement.raw)
        reply = await self._connection.call("collegium_append", self._partition, self._append_keys, *args)
        self._clock.heard(int(reply[0]))
        return [_outcome(answer) for answer in reply[1:]]

    async def locate(self, ids: Sequence[str]) -> tuple[dict[str, StoredStatement], dict[str, int]]:
        """Return those of *ids* that are still in the log, and the positions of those claimed but already indexed.

        :raises Unavailable: Redis is away.
        """
        reply = await self._connection.call("collegium_locate", self._partition, [self._key], *ids)
        in_log: dict[str, StoredStatement] = {}
        indexed: dict[str, int] = {}
        for statement_id, found in zip(ids, reply, strict=True):
            if not found:
                continue
            position = int(found[0])
            if len(found) == 1:
                indexed[statement_id] = position
                continue
            _, authority, version, missing, raw = found
            in_log[statement_id] = StoredStatement(
                id=statement_id,
                raw=raw,
                stored=position,
                position=position,
                authority=authority,
                missing=Missing(int(missing)),
                version=version.decode(),
            )
        return in_log, indexed

    async def watermark(self) -> int:
        """Return the position up to which everything is in the store; read it *before* the query it bounds.

        :raises Unavailable: Redis is away.
        """
        return int(await self._connection.call("collegium_watermark", self._partition, [self._key]))

    async def backlog(self) -> Backlog:
        """Return what waits in the log.

        :raises Unavailable: Redis is away.
        """
        waiting, first, last, appended, dead, now = await self._connection.call(
            "collegium_state", self._partition, [self._key]
        )
        return Backlog(
            statements=int(waiting),
            oldest=int(first) if first else None,
            last=int(last),
            appended=int(appended),
            dead=int(dead),
            now=int(now),
        )

    async def dead_letters(self, *, batch: int = 100) -> AsyncIterator[DeadLetter]:
        """Yield the statements that no store took, oldest first.

        :raises Unavailable: Redis is away.
        """
        start = "-"
        while True:
            page = await self._connection.command(self._partition, "XRANGE", self._dead, start, "+", "COUNT", batch)
            for entry, fields in page:
                pairs = dict(zip(fields[::2], fields[1::2], strict=True))
                yield DeadLetter(
                    id=pairs[b"id"].decode(),
                    position=int(entry.split(b"-")[0]),
                    reason=pairs[b"reason"].decode(),
                    raw=pairs[b"raw"],
                    authority=pairs[b"authority"],
                    version=pairs[b"version"].decode(),
                    missing=Missing(int(pairs[b"missing"])),
                )
                start = f"({entry.decode()}"
            if len(page) < batch:
                return

    async def drop_dead_letter(self, position: int) -> bool:
        """Delete one dead letter; return whether it was there.

        :raises Unavailable: Redis is away.
        """
        return bool(await self._connection.command(self._partition, "XDEL", self._dead, f"{position}-0"))

    async def drop(self) -> None:
        """Forget this tenant's log, claims, leases and dead letters.

        :raises Unavailable: Redis is away.
        """
        await self._connection.call("collegium_drop", self._partition, self._append_keys, self._slug)


def _digit(missing: Missing) -> str:
    return "0" if missing is Missing.NOTHING else str(int(missing))


def _outcome(answer: list[bytes]) -> Appended | Taken | StaleLookup | Full:
    match answer[0]:
        case b"ok":
            return Appended(int(answer[1]))
        case b"taken":
            return Taken({int(answer[i]) - 1: int(answer[i + 1]) for i in range(1, len(answer), 2)})
        case b"full":
            return Full(int(answer[1]))
    return StaleLookup()
