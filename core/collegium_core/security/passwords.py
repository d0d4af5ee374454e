"""bcrypt, kept off the event loop and bounded: a verify costs a quarter of a second of a core."""

from __future__ import annotations

import asyncio
import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import bcrypt

from collegium_core.errors import Unavailable

__all__ = ["LONGEST_PASSWORD", "PasswordVerifier", "check_hash", "hash_password", "verify_password"]

LONGEST_PASSWORD: Final = 72
"""Bytes of UTF-8; bcrypt takes no more."""

_ROUNDS: Final = 12
_HASH: Final = re.compile(r"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}")
_COSTS: Final = range(4, 15)
# A well-formed hash of nothing that anybody knows, at the cost that hash_password uses.
_DUMMY: Final = b"$2b$12$C6UzMDM.H6dfI/f/IKcEeOsvhMo0EC0qJZ9KNEtQb4SXsVnmAJvXy"
_WAITING_PER_CORE: Final = 64


def hash_password(password: str, *, rounds: int = _ROUNDS) -> str:
    """Return the bcrypt hash of *password*. Takes a quarter of a second: never on the event loop.

    :raises ValueError: the password is empty or longer than 72 bytes; the message does not hold it.
    """
    data = password.encode()
    if not data:
        raise ValueError("a password must not be empty")
    if len(data) > LONGEST_PASSWORD:
        raise ValueError(f"a password has at most {LONGEST_PASSWORD} bytes, this one has {len(data)}")
    return bcrypt.hashpw(data, bcrypt.gensalt(rounds)).decode()


def verify_password(password: bytes, digest: str) -> bool:
    """Return whether *digest* is the bcrypt hash of *password*. As slow as hashing: never on the event loop."""
    return len(password) <= LONGEST_PASSWORD and bcrypt.checkpw(password, digest.encode())


def check_hash(digest: str) -> None:
    """Return if *digest* is a bcrypt hash that this platform verifies.

    :raises ValueError: it is none, or its cost is outside 4…14 (beyond that one login would hold a core for seconds).
    """
    found = _HASH.fullmatch(digest)
    if found is None:
        raise ValueError("is no bcrypt hash ($2b$…, 60 characters)")
    if int(found[1]) not in _COSTS:
        raise ValueError(f"has a bcrypt cost of {int(found[1])}; {_COSTS[0]} to {_COSTS[-1]} are taken")


class PasswordVerifier:
    """Verifies passwords in threads, as many at a time as there are cores, first come first served."""

    def __init__(self, cores: int | None = None) -> None:
        self._cores = cores or len(os.sched_getaffinity(0))
        self._threads = ThreadPoolExecutor(self._cores, thread_name_prefix="bcrypt")
        self._slots = asyncio.Semaphore(self._cores)
        self._waiting = 0

    async def acquire(self) -> None:
        """Wait for a turn to verify; :meth:`release` ends it.

        :raises Unavailable: so many wait that the answer would come too late to be of use.
        """
        if self._waiting >= _WAITING_PER_CORE * self._cores:
            raise Unavailable("too many passwords wait to be verified", retry_after_seconds=5)
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1

    def release(self) -> None:
        """Give the turn back."""
        self._slots.release()

    async def verify(self, password: bytes, digests: tuple[str, ...]) -> str | None:
        """Return the one of *digests* that is the hash of *password*, or None; within a turn.

        Without digests the same work is done for nothing, so that the time does not tell whether a user exists.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _first_match, password, digests)

    def close(self) -> None:
        """Let the threads end; what is under way finishes unheard."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _first_match(password: bytes, digests: tuple[str, ...]) -> str | None:
    if not digests:
        bcrypt.checkpw(password, _DUMMY)
        return None
    return next((digest for digest in digests if bcrypt.checkpw(password, digest.encode())), None)
