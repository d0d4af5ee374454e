"""A tenant's statements as a whole, log and store together: accept a batch, read one, read a page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

import msgspec

from collegium_core.errors import Conflict, Unavailable
from collegium_core.lrs.compare import repeats
from collegium_core.lrs.query import Place, StatementQuery
from collegium_core.lrs.record import Missing, StoredStatement
from collegium_core.storage.ports import StatementStore
from collegium_core.streams import Appended, Full, PendingBatch, ReceivedStatement, StaleLookup, Taken, TenantLog
from collegium_core.tenancy.intake import Incoming, Intake, Known

__all__ = ["Accepted", "Page", "Statements"]

_TRIES: Final = 8
_FULL_SECONDS: Final = 10
_WATERMARK_SECONDS: Final = 0.25
_PAGE_BYTES: Final = 8 * 2**20
_FIRST_LOOK: Final = 25


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """A batch that is durable, and how many of its statements are new."""

    statements: Sequence[ReceivedStatement]
    added: int


class Page(msgspec.Struct, frozen=True):
    """One page of a list.

    ``rest`` is the place after which the next page goes on, ``None`` at the end; ``through`` the
    watermark (microseconds) that bounds it.
    """

    statements: list[StoredStatement]
    rest: Place | None
    through: int


class Statements:
    """The statements of one tenant."""

    def __init__(self, log: TenantLog, store: StatementStore, *, backlog_limit: int) -> None:
        self._log = log
        self._store = store
        self._intake = Intake(log, store, limit=backlog_limit)
        self._watermark = (0, 0.0)

    async def accept(
        self,
        prepare: Callable[[], Sequence[ReceivedStatement]],
        *,
        size: int,
        authority: bytes,
        version: str,
        ids_chosen: bool = False,
    ) -> Accepted:
        """Make a batch durable, all of it or nothing.

        Statements that are here already with the same content are left as they are (xAPI-Communication 2.1.2).

        :param prepare: makes the batch, or raises a ``Problem``, which is raised here.
        :param size: about how many bytes *prepare* goes through.
        :param authority: the agent who vouches, JSON bytes.
        :param version: the ``version`` to supply where the client sent none.
        :param ids_chosen: the client chose the ids even where they do not stand in the statements (PUT).
        :raises Conflict: an id of the batch is here with other content; nothing was stored.
        :raises Unavailable: the log is away or full; send it again with the same ids.
        """

        def first() -> Incoming:
            return incoming(prepare())

        def incoming(batch: Sequence[ReceivedStatement]) -> Incoming:
            chosen = [s.id for s in batch if s.missing is Missing.NOTHING or ids_chosen or not s.missing & Missing.ID]
            return Incoming(PendingBatch(batch, authority, version), chosen)

        brought, outcome = await self._intake.append(first, size=size)
        batch = brought.batch.statements
        for _ in range(_TRIES):
            pending = brought.batch.statements
            match outcome:
                case Appended():
                    return Accepted(batch, added=len(pending))
                case Known(ids):
                    pending = await self._unknown(pending, ids)
                case Taken(positions):
                    pending = await self._unknown(pending, {pending[index].id for index in positions})
                case Full(backlog):
                    raise Unavailable(
                        f"{backlog} statements of this tenant wait to be indexed, which is as many as may",
                        retry_after_seconds=_FULL_SECONDS,
                    )
                case StaleLookup():
                    pass
            if not pending:
                return Accepted(batch, added=0)
            brought, outcome = await self._intake.append(partial(incoming, pending), size=size)
        raise Unavailable("the ids of this batch could not be looked up in time")

    async def _unknown(
        self, batch: Iterable[ReceivedStatement], known: set[str] | frozenset[str]
    ) -> list[ReceivedStatement]:
        """Return the statements whose ids are not in *known*, having compared the others with what is here."""
        here = {statement.id: statement for statement in batch if statement.id in known}
        stored = await self.get(list(here))
        different: list[str] = []
        for statement_id, statement in here.items():
            other = stored.get(statement_id)
            if other is None:
                raise Unavailable("a statement of this batch is between log and store; send the batch again")
            if not repeats(other, statement.raw):
                different.append(statement_id)
        if different:
            raise Conflict(f"stored already with other content: {', '.join(different[:5])}")
        return [statement for statement in batch if statement.id not in here]

    async def get(self, ids: Sequence[str]) -> dict[str, StoredStatement]:
        """Return those of *ids* that were accepted, indexed or not.

        :raises Unavailable: log or store is away.
        """
        if not ids:
            return {}
        # The log first: what leaves it in between is in the store by then.
        found, _ = await self._log.locate(ids)
        if rest := [statement_id for statement_id in ids if statement_id not in found]:
            found |= await self._store.get(rest)
        return found

    async def page(self, query: StatementQuery, *, after: Place | None, limit: int) -> Page:
        """Return at most *limit* statements matching *query*, bounded by the watermark, beyond *after*.

        :raises Unavailable: log or store is away.
        """
        through = await self._log.watermark()
        self._watermark = (through, time.monotonic())
        found, whole = await self._find(query, through=through, after=after, limit=limit)
        rest = None if whole else Place(found[-1].stored, found[-1].position)
        return Page(found, rest, through)

    async def _find(
        self, query: StatementQuery, *, through: int, after: Place | None, limit: int
    ) -> tuple[list[StoredStatement], bool]:
        """Return at most *limit* statements and about ``_PAGE_BYTES``, but one at least; and whether that is all."""
        found: list[StoredStatement] = []
        size, ask = 0, min(limit, _FIRST_LOOK)
        while True:
            more = await self._store.find(query, through=through, after=after, limit=ask + 1)
            for statement in more[:ask]:
                if found and size + len(statement.raw) > _PAGE_BYTES:
                    return found, False
                found.append(statement)
                size += len(statement.raw)
            if len(more) <= ask:
                return found, True
            if len(found) >= limit:
                return found, False
            # As many as are likely to fit: what is large is not read a page at a time.
            after = Place(found[-1].stored, found[-1].position)
            ask = max(1, min(limit - len(found), (_PAGE_BYTES - size) * len(found) // max(size, 1)))

    async def consistent_through(self) -> int:
        """Return a watermark at most a quarter of a second old: still true, only modest.

        :raises Unavailable: the log is away.
        """
        value, at = self._watermark
        if time.monotonic() - at > _WATERMARK_SECONDS:
            value = await self._log.watermark()
            self._watermark = (value, time.monotonic())
        return value

    async def close(self) -> None:
        """Give up look-ups under way."""
        await self._intake.close()
