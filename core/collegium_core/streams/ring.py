"""The ready rings: which tenant has work, and who holds it (design: ready rings, not thousands of blocking reads).

A worker takes the tenant that has waited longest, leased with a fence; whatever it does after losing the lease is
refused by the fence. An idle tenant is in no ring and costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from collegium_core.errors import Unavailable
from collegium_core.lrs.record import Missing, StoredStatement
from collegium_core.streams.connection import PARTITIONS, Connection, partition_of, ring_key, tenant_key
from collegium_core.streams.log import DeadLetter

__all__ = ["Acknowledged", "Lease", "Ring", "Work"]

_SWEEP_SECONDS: Final = 1.0  # a published wake-up may be lost; this repairs it
# A round costs about the same for one statement as for hundreds: a tenant that is written to all the time has its small
# rests gathered for a moment. Lists are behind by that much; an idle tenant's first statement is taken at once.
_ROUND_STATEMENTS: Final = 500
_ROUND_SECONDS: Final = 0.025


class Lease(msgspec.Struct, frozen=True, gc=False):
    """The right to handle one tenant's log; worthless once another worker's fence is higher."""

    slug: str
    fence: int


class Acknowledged(msgspec.Struct, frozen=True, gc=False):
    """After an acknowledgement: the watermark, how many statements still wait in the log, and Redis' clock.

    Watermark and clock are microseconds.
    """

    watermark: int
    left: int
    now: int


class Work(msgspec.Struct, frozen=True):
    """A leased tenant and the oldest part of its log: whole entries, so ``statements[-1]`` ends one."""

    lease: Lease
    statements: list[StoredStatement]
    now: int


class Ring:
    """One consumer's rings over all partitions.

    :param consumer: whose rings (``index``).
    :param owner: the worker's name, for people who look.
    :param lease_seconds: how long a tenant is held without a beat.
    :param tenant: slug of the only tenant to take; empty: any. One tenant lies in one partition: no other is looked at.
    """

    def __init__(
        self, connection: Connection, consumer: str, *, owner: str, lease_seconds: float = 10.0, tenant: str = ""
    ) -> None:
        self._connection = connection
        self._consumer = consumer
        self._owner = owner
        self._tenant = tenant
        self._partitions = (partition_of(tenant),) if tenant else tuple(range(PARTITIONS))
        self._lease = int(lease_seconds * 1_000_000)
        self._hot: deque[int] = deque()  # partitions that may have work, the next to look at first
        self._sweep_at = 0.0  # when (monotonic) every partition is looked at again
        self._bell = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen for wake-ups; call :meth:`close` to end."""
        self._listener = asyncio.get_running_loop().create_task(self._listen(), name=f"ring:{self._consumer}")

    async def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener

    async def _listen(self) -> None:
        async for message in self._connection.subscribe(f"c:ring:{self._consumer}"):
            if isinstance(message, bool):
                self._sweep_at = 0.0
                self._bell.set()
            else:
                self._wake(int(message[1]))

    def _wake(self, partition: int) -> None:
        if partition not in self._partitions:
            return
        if partition not in self._hot:
            self._hot.append(partition)
        self._bell.set()

    async def wait(self) -> None:
        """Return when there may be work: at a wake-up, or when it is time to look at every partition again."""
        seconds = self._sweep_at - time.monotonic()
        if self._hot or seconds <= 0:
            return
        self._bell.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._bell.wait()

    async def take(self, *, statements: int, size: int) -> Work | None:
        """Lease the next ready tenant and read about *statements* statements or *size* bytes of its log, if one is.

        :raises Unavailable: Redis is away.
        """
        # By the clock, not by quiet: a busy neighbour's wake-ups must not keep an expired lease from being found.
        if time.monotonic() >= self._sweep_at:
            await self._look()
        while self._hot:
            # Off the list before it is asked, so that a wake-up in between puts it back.
            partition = self._hot.popleft()
            try:
                work = await self._take(partition, statements, size)
            except Unavailable:
                self._sweep_at = 0.0
                raise
            if work is not None:
                self._wake(partition)  # to the back: the other partitions first
                return work
        return None

    async def _look(self) -> None:
        """Find the partitions with ready tenants: all are asked together, in one round trip.

        :raises Unavailable: none could be asked; one node of a cluster that is away holds up its own partitions only.
        """
        self._sweep_at = time.monotonic() + _SWEEP_SECONDS
        answers = await asyncio.gather(
            *(
                self._connection.call("collegium_ready", each, [ring_key(each, self._consumer)], self._tenant)
                for each in self._partitions
            ),
            return_exceptions=True,
        )
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        if len(failures) == len(answers):
            raise failures[0]
        for partition, ready in zip(self._partitions, answers, strict=True):
            if ready and not isinstance(ready, BaseException):
                self._wake(partition)

    async def _take(self, partition: int, statements: int, size: int) -> Work | None:
        reply = await self._connection.call(
            "collegium_take",
            partition,
            [ring_key(partition, self._consumer)],
            self._consumer,
            self._owner,
            self._lease,
            statements,
            size,
            self._tenant,
        )
        if not reply:
            return None
        slug, fence, now, entries = reply
        return Work(Lease(slug.decode(), int(fence)), _statements(entries), int(now))

    async def beat(self, lease: Lease) -> bool:
        """Hold *lease* for another period; ``False`` when it is lost.

        :raises Unavailable: Redis is away.
        """
        keys = self._keys(lease)
        args = (lease.fence, lease.slug, self._lease)
        return bool(await self._connection.call("collegium_beat", partition_of(lease.slug), keys, *args))

    async def release(self, lease: Lease, *, pause_seconds: float) -> None:
        """Give the tenant back unhandled; nobody takes it before the pause is over.

        :raises Unavailable: Redis is away.
        """
        keys = self._keys(lease)
        args = (lease.fence, lease.slug, int(pause_seconds * 1_000_000))
        await self._connection.call("collegium_release", partition_of(lease.slug), keys, *args)

    async def acknowledge(self, work: Work, dead: Sequence[DeadLetter] = ()) -> Acknowledged | None:
        """Say that all of *work* is durable and searchable, or dead: trim the log, move the watermark, end the lease.

        :return: how things stand now, or ``None`` when the lease was lost; then nothing was changed.
        :raises Unavailable: Redis is away; acknowledging again is harmless.
        """
        lease, statements = work.lease, work.statements
        args: list[bytes | str | int] = [lease.fence, lease.slug, statements[-1].position, len(statements)]
        args += (_ROUND_STATEMENTS, int(_ROUND_SECONDS * 1_000_000))
        for letter in sorted(dead, key=lambda letter: letter.position):
            args += (letter.position, letter.id, letter.reason, letter.raw, letter.authority)
            args += (letter.version, int(letter.missing))
        partition = partition_of(lease.slug)
        reply = await self._connection.call("collegium_acknowledge", partition, self._keys(lease), *args)
        if not reply:
            return None
        acknowledged = Acknowledged(watermark=int(reply[0]), left=int(reply[1]), now=int(reply[2]))
        if acknowledged.left:
            # Ready again; whoever looked while it was leased has put the partition aside.
            pause = _ROUND_SECONDS if acknowledged.left < _ROUND_STATEMENTS else 0.0
            asyncio.get_running_loop().call_later(pause, self._wake, partition)
        return acknowledged

    def _keys(self, lease: Lease) -> list[str]:
        return [
            tenant_key(lease.slug, f"lease:{self._consumer}"),
            ring_key(partition_of(lease.slug), self._consumer),
        ]


def _statements(entries: list[tuple[bytes, list[bytes]]]) -> list[StoredStatement]:
    statements: list[StoredStatement] = []
    for entry, fields in entries:
        first = int(entry[:-2])  # "<position>-0"
        authority, version, missing = fields[1], fields[3].decode(), fields[5]
        for index in range((len(fields) - 6) // 2):
            position = first + index
            statements.append(
                StoredStatement(
                    id=fields[6 + 2 * index].decode(),
                    raw=fields[7 + 2 * index],
                    stored=position,
                    position=position,
                    authority=authority,
                    missing=Missing(missing[index] - 48),
                    version=version,
                )
            )
    return statements
