"""Take a ready tenant, hand it to a role, beat, acknowledge, drain: written once for every role."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from collegium_core.errors import Unavailable
from collegium_core.lrs.record import StoredStatement
from collegium_core.streams import Acknowledged, DeadLetter, Ring, Work
from collegium_core.tenancy.platform import Platform
from collegium_core.tenancy.scope import TenantScope

__all__ = ["Role", "Runner"]

_PAUSE_SECONDS: Final = (0.5, 30.0)  # between tries of one tenant: first, most

_log = structlog.get_logger(__name__)


class Role(msgspec.Struct, frozen=True):
    """What a worker does with the statements of one tenant.

    :param consumer: whose rings it takes from.
    :param handle: makes the statements durable where they belong; returns those that can never be handled. Called again
        with the same statements after a crash, so it is idempotent. ``Unavailable`` means: later.
    :param handled: told after each acknowledgement (metrics).
    """

    consumer: str
    handle: Callable[[TenantScope, list[StoredStatement]], Awaitable[list[DeadLetter]]]
    handled: Callable[[TenantScope, Work, Acknowledged, list[DeadLetter]], None]
    statements: int = 1000
    size: int = 4 * 2**20


class Runner:
    """Runs one role over all tenants, several tenants at a time, until it is stopped; then finishes what it holds."""

    def __init__(
        self, platform: Platform, role: Role, *, owner: str, concurrency: int = 4, lease_seconds: float = 10.0
    ) -> None:
        self._platform = platform
        self._role = role
        self._ring: Ring = platform.ring(role.consumer, owner=owner, lease_seconds=lease_seconds)
        self._concurrency = concurrency
        self._beat_seconds = lease_seconds / 3
        self._failures: dict[str, int] = {}
        self._taking = asyncio.Lock()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop* is set, then finish the batches in hand."""
        self._ring.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(self._concurrency):
                    tasks.create_task(self._work(stop))
        finally:
            await self._ring.close()

    async def _work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                work = await self._next(stop)
            except Unavailable as error:
                _log.warning("log_away", reason=error.detail)
                await _pause(stop, 0.5)
                continue
            if work is not None:
                await self._handle(work)

    async def _next(self, stop: asyncio.Event) -> Work | None:
        async with self._taking:  # one asks, the others wait: an idle worker is one waiter
            work = await self._ring.take(statements=self._role.statements, size=self._role.size)
            if work is None and not stop.is_set():
                waiting = asyncio.create_task(self._ring.wait())
                stopping = asyncio.create_task(stop.wait())
                _, pending = await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
                for task in pending:
                    task.cancel()
                await asyncio.gather(*pending, return_exceptions=True)
            return work

    async def _handle(self, work: Work) -> None:
        slug = work.lease.slug
        beating = asyncio.create_task(self._beat(work), name=f"beat:{slug}")
        try:
            scope = await self._scope(slug)
            dead = await self._role.handle(scope, work.statements)
            acknowledged = await self._ring.acknowledge(work, dead)
        except Unavailable as error:
            await self._give_back(work, error.detail)
        except Exception:  # noqa: BLE001 - see the next line
            # The log keeps everything, so nothing is lost; other tenants go on meanwhile.
            _log.exception("role_failed", role=self._role.consumer, slug=slug)
            await self._give_back(work, "unexpected failure")
        else:
            self._failures.pop(slug, None)
            if acknowledged is None:
                _log.warning("lease_lost", role=self._role.consumer, slug=slug)
            else:
                self._role.handled(scope, work, acknowledged, dead)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _scope(self, slug: str) -> TenantScope:
        record = await self._platform.registry.known(slug)
        if record is None:
            raise Unavailable("this tenant has no record")
        return self._platform.scope(record)

    async def _beat(self, work: Work) -> None:
        while True:
            await asyncio.sleep(self._beat_seconds)
            with contextlib.suppress(Unavailable):
                if not await self._ring.beat(work.lease):
                    return

    async def _give_back(self, work: Work, reason: str) -> None:
        slug = work.lease.slug
        failures = self._failures[slug] = self._failures.get(slug, 0) + 1
        first, most = _PAUSE_SECONDS
        pause = min(first * 2 ** (failures - 1), most) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret
        _log.warning(
            "batch_postponed",
            role=self._role.consumer,
            slug=slug,
            reason=reason,
            failures=failures,
            seconds=round(pause, 1),
        )
        with contextlib.suppress(Unavailable):  # else the lease runs out by itself
            await self._ring.release(work.lease, pause_seconds=pause)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
