"""The work queue: keys, each at most once in it and never worked on twice at the same time.

Level-triggered: a key says *look at this object*, not what happened to it. A failure comes again with exponential
backoff and jitter; a new event does not wait for that.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import msgspec

__all__ = ["Key", "WorkQueue", "backoff"]

_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 60.0


class Key(msgspec.Struct, frozen=True, order=True):
    """What to look at: a kind and a name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


def backoff(failures: int, chance: Callable[[], float] = random.random) -> float:
    """Return the seconds to wait after so many failures in a row: 0.5 s doubling up to 60 s, less up to a fifth."""
    longest = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** min(failures - 1, 30))
    return longest * (1 - 0.2 * chance())


K = TypeVar("K")


class WorkQueue(Generic[K]):
    """Keys that wait, in the order of their arrival. Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[K, float] = {}
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def oldest_seconds(self) -> float:
        """Return how long the first key has waited."""
        return time.monotonic() - next(iter(self._waiting.values())) if self._waiting else 0.0

    def add(self, key: K) -> None:
        """Have *key* looked at soon; once, however often it is added before that."""
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting[key] = time.monotonic()
            self._arrived.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Have *key* looked at in *seconds*, or sooner when it is added meanwhile."""
        if key in self._waiting or key in self._again:
            return
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(seconds, self.add, key)

    def forget(self, key: K) -> None:
        """Drop what is remembered of failures of *key*."""
        self._failures.pop(key, None)

    async def work(
        self, handle: Callable[[K], Awaitable[float | None]], failed: Callable[[K, Exception], None]
    ) -> None:
        """Take keys and *handle* them one after the other, for ever; run as many of these as keys shall run at once.

        *handle* may return the seconds after which the key shall be looked at again. What it raises is given to
        *failed*, and the key comes again later.
        """
        while True:
            key = await self._take()
            try:
                again = await handle(key)
            except Exception as error:  # noqa: BLE001 - whatever one object does, the others are looked at
                failed(key, error)
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                again = backoff(failures)
            else:
                self._failures.pop(key, None)
            finally:
                self._working.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self._waiting[key] = time.monotonic()
                    self._arrived.set()
            if again is not None:
                self.add_after(key, again)

    async def _take(self) -> K:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        key = next(iter(self._waiting))
        del self._waiting[key]
        self._working.add(key)
        return key

    def close(self) -> None:
        """Cancel what would come later."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
