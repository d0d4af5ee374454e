"""How many failed passwords a user name may have from one address before hashing stops for a while."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections import OrderedDict, deque
from typing import Final

from collegium_core.clock import Clock

__all__ = ["FAILURES_PER_MINUTE", "FailureLimit"]

FAILURES_PER_MINUTE: Final = 50
_WINDOW_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 30.0
_REMEMBERED: Final = 10_000


class _Failures:
    """The last failures of one key, and until when it must wait."""

    __slots__ = ("blocked_until", "times")

    def __init__(self) -> None:
        self.times: deque[float] = deque(maxlen=FAILURES_PER_MINUTE)
        self.blocked_until = 0.0


class FailureLimit:
    """Counts failures by tenant, user name and address; from 50 within a minute on, 30 seconds of pause.

    The number of keys is bounded: the one that failed longest ago is forgotten first.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._failures: OrderedDict[bytes, _Failures] = OrderedDict()

    def key(self, tenant: str, username: str, address: str) -> bytes:
        """Return the key of the three, of one length however long they are."""
        text = f"{tenant}\0{username}\0{address}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._secret, digest_size=16).digest()

    def pause(self, key: bytes) -> int:
        """Return for how many whole seconds *key* must wait, at least 1; 0 where it need not."""
        failures = self._failures.get(key)
        if failures is None:
            return 0
        return max(0, math.ceil(failures.blocked_until - self._clock.monotonic()))

    def fail(self, key: bytes) -> None:
        """Count a failure of *key*."""
        failures = self._failures.setdefault(key, _Failures())
        self._failures.move_to_end(key)
        now = self._clock.monotonic()
        failures.times.append(now)
        if len(failures.times) == FAILURES_PER_MINUTE and now - failures.times[0] <= _WINDOW_SECONDS:
            failures.blocked_until = now + _PAUSE_SECONDS
            failures.times.clear()
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)
