"""Time, as an argument: code that asks what time it is takes a :class:`Clock`, so that tests decide the answer."""

from __future__ import annotations

import time
from typing import Final, Protocol

__all__ = ["SYSTEM_CLOCK", "Clock"]


class Clock(Protocol):
    """What time it is, in two meanings that must not be mixed."""

    def wall_microseconds(self) -> int:
        """Return microseconds since 1970-01-01T00:00:00Z; it may step in either direction."""
        ...

    def monotonic(self) -> float:
        """Return seconds since an arbitrary instant of this process; it never goes back."""
        ...


class _SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def wall_microseconds(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()


SYSTEM_CLOCK: Final[Clock] = _SystemClock()
