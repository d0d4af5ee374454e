"""Where tenant records are kept and read: Redis, with a copy in each process that pub/sub keeps true.

The registry holds nothing that cannot be made again: whoever reconciles manifests writes every record on each resync.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from typing import Final

import msgspec
import structlog

from collegium_core.errors import Unavailable
from collegium_core.streams.connection import Connection, partition_of, tenant_key
from collegium_core.tenancy.record import TenantRecord, decode_record, encode_record

__all__ = ["TenantRegistry"]

_INDEX: Final = "c:tenants"
_CHANNEL: Final = "c:tenants"
_FRESH_SECONDS: Final = 30.0
_FRESH_UNHEARD_SECONDS: Final = 1.0  # while no subscription stands, changes are found by asking
_ABSENT_SECONDS: Final = 1.0
_MOST: Final = 50_000
_AT_ONCE: Final = 200

_log = structlog.get_logger(__name__)


class _Copy(msgspec.Struct, gc=False):
    record: TenantRecord | None
    until: float


class TenantRegistry:
    """The tenants of the platform. Call :meth:`start` to follow changes and :meth:`close` at the end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._copies: OrderedDict[str, _Copy] = OrderedDict()
        self._asking: dict[str, asyncio.Task[TenantRecord | None]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._heard = False
        self._changes = 0

    def start(self) -> None:
        """Follow changes made by other processes."""
        self._listener = asyncio.get_running_loop().create_task(self._listen(), name="registry")

    async def close(self) -> None:
        """Stop following changes."""
        tasks = [*self._asking.values(), *([self._listener] if self._listener else [])]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, Unavailable):
                await task

    async def _listen(self) -> None:
        try:
            async for message in self._connection.subscribe(_CHANNEL):
                self._changes += 1
                if isinstance(message, bool):
                    self._heard = message
                    self._copies.clear()
                else:
                    self._copies.pop(message[1].decode(), None)
        finally:
            self._heard = False

    def cached(self, slug: str) -> TenantRecord | None:
        """Return the record if a fresh copy is at hand; ``None`` says nothing about whether the tenant exists."""
        copy = self._copies.get(slug)
        if copy is None or copy.until < time.monotonic():
            return None
        return copy.record

    async def get(self, slug: str) -> TenantRecord | None:
        """Return the tenant's record, or ``None`` when there is no such tenant.

        :raises Unavailable: Redis is away and no copy is at hand.
        """
        copy = self._copies.get(slug)
        if copy is not None and copy.until >= time.monotonic():
            return copy.record
        task = self._asking.get(slug)
        if task is None:
            task = self._asking[slug] = asyncio.get_running_loop().create_task(self._ask(slug, copy))
            task.add_done_callback(lambda _: self._asking.pop(slug, None))
        return await asyncio.shield(task)

    async def _ask(self, slug: str, copy: _Copy | None) -> TenantRecord | None:
        changes = self._changes
        try:
            data = await self._connection.command(partition_of(slug), "GET", tenant_key(slug, "record"))
        except Unavailable:
            if copy is not None and copy.record is not None:
                return copy.record  # an old truth serves better than none
            raise
        record = self._decode(slug, data)
        if changes != self._changes:
            return record  # told of a change meanwhile, perhaps of this one: the next request asks again
        fresh = _FRESH_SECONDS if self._heard else _FRESH_UNHEARD_SECONDS
        self._copies[slug] = _Copy(record, time.monotonic() + (fresh if record is not None else _ABSENT_SECONDS))
        self._copies.move_to_end(slug)
        while len(self._copies) > _MOST:
            self._copies.popitem(last=False)
        return record

    @staticmethod
    def _decode(slug: str, data: bytes | None) -> TenantRecord | None:
        if data is None:
            return None
        try:
            return decode_record(data)
        except msgspec.DecodeError as error:
            # Written by a newer version, perhaps: refusing one tenant is better than guessing what it allows.
            _log.error("tenant_record_unreadable", slug=slug, reason=str(error))
            raise Unavailable("this tenant's record cannot be read by this version") from None

    async def known(self, slug: str) -> TenantRecord | None:
        """Return the tenant's record, be its door open or closed: for workers that finish what was accepted.

        :raises Unavailable: Redis is away and no copy is at hand.
        """
        if (record := await self.get(slug)) is not None:
            return record
        return self._decode(
            slug, await self._connection.command(partition_of(slug), "GET", tenant_key(slug, "closed-record"))
        )

    async def put(self, record: TenantRecord) -> bool:
        """Store *record* and tell every process; return whether it differs from what stood there.

        :raises Unavailable: Redis is away.
        """
        slug = record.slug
        key, data = tenant_key(slug, "record"), encode_record(record)
        if await self._connection.command(partition_of(slug), "GET", key) == data:
            await self._connection.execute("SADD", _INDEX, slug)
            return False
        await self._connection.command(partition_of(slug), "SET", key, data)
        await self._connection.execute("SADD", _INDEX, slug)
        await self._told(slug)
        return True

    async def remove(self, slug: str) -> None:
        """Close the tenant's door and keep its data; what its log holds is still indexed (see :meth:`known`).

        :raises Unavailable: Redis is away.
        """
        data = await self._connection.command(partition_of(slug), "GET", tenant_key(slug, "record"))
        if data is not None:
            await self._connection.command(partition_of(slug), "SET", tenant_key(slug, "closed-record"), data)
        await self._connection.command(partition_of(slug), "DEL", tenant_key(slug, "record"))
        await self._connection.execute("SREM", _INDEX, slug)
        await self._told(slug)

    async def _told(self, slug: str) -> None:
        self._copies.pop(slug, None)
        await self._connection.execute("PUBLISH", _CHANNEL, slug)

    async def list(self) -> list[TenantRecord]:
        """Return every tenant's record, by slug.

        :raises Unavailable: Redis is away.
        """
        slugs = sorted(slug.decode() for slug in await self._connection.execute("SMEMBERS", _INDEX))
        found: list[TenantRecord] = []
        for start in range(0, len(slugs), _AT_ONCE):
            asked = (self._readable(slug) for slug in slugs[start : start + _AT_ONCE])
            found += [record for record in await asyncio.gather(*asked) if record is not None]
        return found

    async def _readable(self, slug: str) -> TenantRecord | None:
        data = await self._connection.command(partition_of(slug), "GET", tenant_key(slug, "record"))
        try:
            return self._decode(slug, data)
        except Unavailable:
            return None  # logged; one record that cannot be read must not hide the others
