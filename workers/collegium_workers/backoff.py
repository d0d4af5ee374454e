"""How long to wait before trying again."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["Backoff"]


class Backoff:
    """Exponential delays with jitter, in seconds.

    Each delay is drawn from the upper half of the present step, so that processes which failed together do not return
    together, and none returns at once.

    :param initial: the first step.
    :param maximum: no step is longer.
    :param draw: returns a number from 0 to 1; replaced in tests.
    """

    def __init__(self, initial: float, maximum: float, *, draw: Callable[[], float] = random.random) -> None:
        self._initial = initial
        self._maximum = maximum
        self._draw = draw
        self._step = initial

    def next(self) -> float:
        """Return the delay to wait now, and double the step for the time after."""
        step = self._step
        self._step = min(step * 2, self._maximum)
        return step * (0.5 + 0.5 * self._draw())

    def reset(self) -> None:
        """Begin again at the initial step: the last try went well."""
        self._step = self._initial
