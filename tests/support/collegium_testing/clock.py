"""A clock that stands still until a test moves it."""

from __future__ import annotations

__all__ = ["ManualClock"]


class ManualClock:
    """A :class:`collegium_core.clock.Clock` for tests; both its times move together."""

    def __init__(self, wall_microseconds: int = 1_700_000_000_000_000) -> None:
        self._wall = wall_microseconds
        self._monotonic = 1000.0

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self._wall += round(seconds * 1_000_000)
        self._monotonic += seconds

    def wall_microseconds(self) -> int:
        """Return microseconds since 1970."""
        return self._wall

    def monotonic(self) -> float:
        """Return seconds since an arbitrary instant."""
        return self._monotonic
