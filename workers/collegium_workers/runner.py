"""Take a ready tenant, hand it to a role, beat, acknowledge, drain: written once for every role."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from collegium_core.errors import Unavailable
from collegium_core.lrs.record import StoredStatement
from collegium_core.streams import Backlog, DeadLetter, Ring, Work
from collegium_core.tenancy.platform import Platform
from collegium_core.tenancy.scope import TenantScope
from collegium_workers.backoff import Backoff

__all__ = ["Role", "Runner"]

_PAUSE_SECONDS: Final = (0.5, 30.0)  # between tries of one tenant: first, most
_FAULTS: Final = 3  # unexpected failures of a batch, before its statements are handled one by one
_WATCH_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


class Role(msgspec.Struct, frozen=True):
    """What a worker does with the statements of one tenant.

    :param consumer: whose rings it takes from.
    :param handle: makes the statements durable where they belong; returns those that can never be handled. Called again
        with the same statements after a crash, so it is idempotent. ``Unavailable`` means: later.
    :param set_aside: makes the dead letter of a statement that *handle* fails on every time; says why.
    :param handled: told after each acknowledgement how many statements were handled and which were not.
    :param waiting: told now and then, and while a tenant is postponed, what waits in its log.
    """

    consumer: str
    handle: Callable[[TenantScope, list[StoredStatement]], Awaitable[list[DeadLetter]]]
    set_aside: Callable[[StoredStatement, str], DeadLetter]
    handled: Callable[[TenantScope, int, list[DeadLetter]], None]
    waiting: Callable[[TenantScope, Backlog], None]
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
        self._pauses: dict[str, Backoff] = {}
        self._faults: dict[str, int] = {}
        self._watched: dict[str, TenantScope] = {}  # whose log may hold something
        self._taking = asyncio.Lock()
        self._away = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until *stop* is set, then finish the batches in hand."""
        self._ring.start()
        watching = asyncio.create_task(self._watch(), name=f"watch:{self._role.consumer}")
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(self._concurrency):
                    tasks.create_task(self._work(stop))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self._ring.close()

    async def _work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                work = await self._next(stop)
            except Unavailable as error:
                if not self._away:
                    self._away = True
                    _log.warning("log_away", reason=error.detail)
                await _pause(stop, 0.5)
                continue
            self._away = False
            if work is not None:
                await self._handle(work)

    async def _next(self, stop: asyncio.Event) -> Work | None:
        async with self._taking:  # one asks, the others wait: an idle worker is one waiter
            if stop.is_set():
                return None
            work = await self._ring.take(statements=self._role.statements, size=self._role.size)
            if work is None:
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
            self._watched[slug] = scope
            dead = await self._dead_after(scope, work)
            acknowledged = await self._ring.acknowledge(work, dead)
        except Unavailable as error:
            await self._give_back(work, error.detail)
        except Exception:  # noqa: BLE001 - see the next line
            # The log keeps everything, so nothing is lost; other tenants go on meanwhile.
            _log.exception("role_failed", role=self._role.consumer, slug=slug)
            self._faults[slug] = self._faults.get(slug, 0) + 1
            await self._give_back(work, "unexpected failure")
        else:
            self._pauses.pop(slug, None)
            self._faults.pop(slug, None)
            if acknowledged is None:
                _log.warning("lease_lost", role=self._role.consumer, slug=slug)
            else:
                self._role.handled(scope, len(work.statements) - len(dead), dead)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _scope(self, slug: str) -> TenantScope:
        record = await self._platform.registry.known(slug)
        if record is None:
            raise Unavailable("this tenant has no record")
        return self._platform.scope(record)

    async def _dead_after(self, scope: TenantScope, work: Work) -> list[DeadLetter]:
        """Handle *work*; return the statements that cannot be.

        Where the whole of it failed unexpectedly a few times, each statement is handled alone, and the one that fails
        again is set aside: it must not hold up its tenant for ever.
        """
        if self._faults.get(scope.slug, 0) < _FAULTS:
            return await self._role.handle(scope, work.statements)
        dead: list[DeadLetter] = []
        for statement in work.statements:
            try:
                dead += await self._role.handle(scope, [statement])
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this statement's
                _log.exception("statement_set_aside", slug=scope.slug, statement=statement.id)
                dead.append(
                    self._role.set_aside(statement, f"the {self._role.consumer} failed: {type(error).__name__}")
                )
        return dead

    async def _beat(self, work: Work) -> None:
        while True:
            await asyncio.sleep(self._beat_seconds)
            with contextlib.suppress(Unavailable):
                if not await self._ring.beat(work.lease):
                    return

    async def _give_back(self, work: Work, reason: str) -> None:
        slug = work.lease.slug
        pause = self._pauses.setdefault(slug, Backoff(*_PAUSE_SECONDS)).next()
        _log.warning(
            "batch_postponed",
            role=self._role.consumer,
            slug=slug,
            reason=reason,
            seconds=round(pause, 1),
        )
        with contextlib.suppress(Unavailable):  # else the lease runs out by itself
            await self._ring.release(work.lease, pause_seconds=pause)

    async def _watch(self) -> None:
        """Tell what waits, by looking: also while a store is away, and when another worker has taken a tenant over."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            for slug, scope in list(self._watched.items()):
                with contextlib.suppress(Unavailable):
                    backlog = await scope.log.backlog()
                    self._role.waiting(scope, backlog)
                    if not backlog.statements:
                        self._watched.pop(slug, None)
                        self._pauses.pop(slug, None)
                        self._faults.pop(slug, None)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
