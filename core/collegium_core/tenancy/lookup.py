"""Look-ups of ids in a tenant's store, shared by concurrent requests: one mget, one thread hop, for all that wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from collegium_core.errors import Unavailable
from collegium_core.storage.ports import StatementStore
from collegium_core.streams.log import RedisClock

__all__ = ["SharedLookup"]


class SharedLookup:
    """Asks one tenant's store which ids it has; while one question is under way, the next one gathers."""

    def __init__(self, store: StatementStore, clock: RedisClock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: list[tuple[Sequence[str], asyncio.Future[tuple[frozenset[str], int]]]] = []
        self._task: asyncio.Task[None] | None = None

    async def existing(self, ids: Sequence[str]) -> tuple[frozenset[str], int]:
        """Return what is stored among *ids* (and perhaps others), and when by Redis' clock that was surely still so.

        :raises Unavailable: the store is away.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[frozenset[str], int]] = loop.create_future()
        self._waiting.append((ids, future))
        if self._task is None:
            self._task = loop.create_task(self._ask())
        return await future

    async def _ask(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                asked_at = self._clock.now()
                try:
                    found = await self._store.existing([i for ids, _ in waiting for i in ids])
                except Unavailable as error:
                    for _, future in waiting:
                        if not future.done():
                            future.set_exception(Unavailable(error.detail))
                except BaseException:
                    for _, future in waiting:
                        future.cancel()
                    raise
                else:
                    for _, future in waiting:
                        if not future.done():
                            future.set_result((found, asked_at))
        finally:
            self._task = None

    async def close(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
