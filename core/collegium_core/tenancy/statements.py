"""A tenant's statements as a whole, log and store together: accept a batch, read one, read a page."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from collegium_core.errors import Conflict, Unavailable
from collegium_core.lrs.compare import equivalent
from collegium_core.lrs.query import Place, StatementQuery
from collegium_core.lrs.record import Missing, StoredStatement
from collegium_core.storage.ports import StatementStore
from collegium_core.streams.log import Appended, ReceivedStatement, StaleLookup, Taken, TenantLog
from collegium_core.tenancy.lookup import SharedLookup

__all__ = ["Page", "Statements"]

_TRIES: Final = 8
_WATERMARK_SECONDS: Final = 0.25


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
        self._lookup = SharedLookup(store, log.clock)
        self._limit = backlog_limit
        self._watermark = (0, 0.0)

    async def accept(
        self, batch: Sequence[ReceivedStatement], *, authority: bytes, version: str, ids_chosen: bool = False
    ) -> int:
        """Make *batch* durable, all of it or nothing; return how many statements are new.

        Statements that are here already with the same content are left as they are (xAPI-Communication 2.1.2).

        :param authority: the agent who vouches, JSON bytes.
        :param version: the ``version`` to supply where the client sent none.
        :param ids_chosen: the client chose the ids even where they do not stand in the statements (PUT).
        :raises Conflict: an id of the batch is here with other content; nothing was stored.
        :raises Unavailable: the log is away or full; send it again with the same ids.
        """
        pending = list(batch)
        chosen = [s.id for s in pending if ids_chosen or not s.missing & Missing.ID]
        for _ in range(_TRIES):
            looked_up_at: int | None = None
            if chosen:
                try:
                    found, looked_up_at = await self._lookup.existing(chosen)
                except Unavailable:
                    # Writes go on without the store. What is claimed is compared all the same; an id that only the
                    # store knows is told apart when it is indexed (same content: dropped; other: a dead letter).
                    found = frozenset()
                if found:
                    pending = await self._unknown(pending, found)
            if not pending:
                return 0
            outcome = await self._log.append(
                pending, authority=authority, version=version, looked_up_at=looked_up_at, limit=self._limit
            )
            match outcome:
                case Appended():
                    return len(pending)
                case Taken(positions):
                    pending = await self._unknown(pending, {pending[index].id for index in positions})
                case StaleLookup():
                    pass
            if not pending:
                return 0
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
            if not equivalent(statement.raw, other.raw):
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
        found = await self._store.find(query, through=through, after=after, limit=limit + 1)
        rest: Place | None = None
        if len(found) > limit:
            found = found[:limit]
            rest = Place(found[-1].stored, found[-1].position)
        return Page(found, rest, through)

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
        await self._lookup.close()
