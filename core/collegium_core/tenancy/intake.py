"""The way in: look-ups and appends of concurrent requests go together, each request on its own account.

A request that is alone goes at once. Where several are under way they gather for up to three milliseconds: one look-up
in the store and one append, under one sync of the disk, cost nearly the same for one statement as for many. Validation
waits for the group too: done one after the other it finds its code and data in the processor's caches, and costs a
quarter of what it costs between the other steps of each request.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from collegium_core.errors import Problem, Unavailable
from collegium_core.storage.ports import StatementStore
from collegium_core.streams import Appended, Full, PendingBatch, StaleLookup, Taken, TenantLog

__all__ = ["Incoming", "Intake", "Known", "Outcome"]

_GATHER_SECONDS: Final = 0.001
_GATHER_TIMES: Final = 3
_GROUP_BYTES: Final = 2**20
_GROUPS: Final = 4  # under way at a time: while one is synced, the next one is looked up
_LOOK_UP_SECONDS: Final = 2.0  # a store that takes longer counts as away: writes do not wait for one that hangs
_AWAY_SECONDS: Final = 5.0  # between two tries of a store that was away


class Known(msgspec.Struct, frozen=True):
    """Nothing was appended: these ids of the batch are in the store already."""

    ids: frozenset[str]


Outcome = Appended | Taken | StaleLookup | Full | Known


class Incoming(msgspec.Struct, frozen=True):
    """One request's statements, ready to be looked up: the batch, and those of its ids that the client chose."""

    batch: PendingBatch
    chosen: Sequence[str]


class _Request(msgspec.Struct):
    prepare: Callable[[], Incoming]
    size: int
    done: asyncio.Future[tuple[Incoming, Outcome]]


_Ready = tuple[_Request, Incoming]


class Intake:
    """Brings the batches of one tenant into its log.

    :param limit: most statements that may wait for the index.
    """

    def __init__(self, log: TenantLog, store: StatementStore, *, limit: int) -> None:
        self._log = log
        self._store = store
        self._limit = limit
        self._waiting: list[_Request] = []
        self._under_way = 0
        self._gatherer: asyncio.Task[None] | None = None
        self._groups: set[asyncio.Task[None]] = set()
        self._store_away_until = 0.0  # on the loop's clock; 0 while the store answers

    async def append(self, prepare: Callable[[], Incoming], *, size: int) -> tuple[Incoming, Outcome]:
        """Look up the ids that the client chose, then append the batch, all of it or nothing.

        :param prepare: makes the batch, or raises a ``Problem``, which is raised here; called when the group goes.
        :param size: about how many bytes *prepare* goes through.
        :raises Unavailable: the log is away; what became of the batch is unknown.
        """
        loop = asyncio.get_running_loop()
        request = _Request(prepare, size, loop.create_future())
        self._waiting.append(request)
        self._under_way += 1
        try:
            if self._gatherer is None:
                self._gatherer = loop.create_task(self._gather())
            return await request.done
        finally:
            self._under_way -= 1
            # Else an exception, its traceback, this frame and the future that holds the exception hold each other, and
            # the body with them, until the collector comes by.
            del request

    async def _gather(self) -> None:
        try:
            while self._waiting:
                for _ in range(_GATHER_TIMES):
                    if 4 * len(self._waiting) > 3 * self._under_way:
                        break  # nearly all are here; a single one is not held up at all
                    await asyncio.sleep(_GATHER_SECONDS)
                if len(self._groups) >= _GROUPS:
                    await asyncio.wait(self._groups, return_when=asyncio.FIRST_COMPLETED)
                group = asyncio.get_running_loop().create_task(self._bring(self._cut()))
                self._groups.add(group)
                group.add_done_callback(self._groups.discard)
        finally:
            self._gatherer = None

    def _cut(self) -> list[_Request]:
        """Take the requests of the next group off the waiting ones: in order, at least one."""
        size = 0
        for count, request in enumerate(self._waiting):
            size += request.size
            if count and size > _GROUP_BYTES:
                break
        else:
            count = len(self._waiting)
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _bring(self, group: list[_Request]) -> None:
        try:
            ready = _prepared(group)
            ready, looked_up_at = await self._look_up(ready)
            if ready:
                batches = [incoming.batch for _, incoming in ready]
                outcomes = await self._log.append(batches, looked_up_at=looked_up_at, limit=self._limit)
                for (request, incoming), outcome in zip(ready, outcomes, strict=True):
                    _answer(request, incoming, outcome)
        except Unavailable as error:
            for request in group:
                if not request.done.done():
                    request.done.set_exception(Unavailable(error.detail))
        except Exception as error:  # noqa: BLE001 - it is raised where each request is awaited
            for request in group:
                if not request.done.done():
                    request.done.set_exception(error)
        except BaseException:
            for request in group:
                request.done.cancel()
            raise

    async def _look_up(self, ready: list[_Ready]) -> tuple[list[_Ready], int | None]:
        """Answer the requests with ids that the store has; return the others, and when that was so."""
        chosen = [statement_id for _, incoming in ready for statement_id in incoming.chosen]
        if not chosen:
            return ready, None
        asked_at = self._log.clock.now()
        found = await self._existing(chosen)
        if found is None:
            # Writes go on without the store. What is claimed is compared all the same; an id that only the store knows
            # is told apart when it is indexed (same content: dropped; other: a dead letter).
            return ready, None
        if not found:
            return ready, asked_at
        others: list[_Ready] = []
        for request, incoming in ready:
            if known := found.intersection(incoming.chosen):
                _answer(request, incoming, Known(known))
            else:
                others.append((request, incoming))
        return others, asked_at

    async def _existing(self, ids: Sequence[str]) -> frozenset[str] | None:
        """Return those of *ids* that the store has; ``None`` while it is away, when only one group in a while asks."""
        clock = asyncio.get_running_loop().time
        if self._store_away_until:
            if clock() < self._store_away_until:
                return None
            self._store_away_until = clock() + _AWAY_SECONDS  # this one asks, the others go on
        try:
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                found = await self._store.existing(ids)
        except (Unavailable, TimeoutError):
            self._store_away_until = clock() + _AWAY_SECONDS
            return None
        self._store_away_until = 0.0
        return found

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = [*self._groups, *([self._gatherer] if self._gatherer else [])]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _prepared(group: list[_Request]) -> list[_Ready]:
    """Prepare each request of *group*; tell those that fail, return the others."""
    ready: list[_Ready] = []
    for request in group:
        if request.done.done():
            continue  # nobody waits any more
        try:
            incoming = request.prepare()
        except Problem as problem:
            request.done.set_exception(problem.with_traceback(None))  # its frames hold the body
            continue
        except Exception as error:  # noqa: BLE001 - it is raised where the request is awaited
            request.done.set_exception(error)
            continue
        if incoming.batch.statements:
            ready.append((request, incoming))
        else:
            request.done.set_result((incoming, Known(frozenset())))
    return ready


def _answer(request: _Request, incoming: Incoming, outcome: Outcome) -> None:
    if not request.done.done():
        request.done.set_result((incoming, outcome))
