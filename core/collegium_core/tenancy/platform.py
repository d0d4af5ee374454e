"""The platform as one process sees it: connections to log and stores, the registry, and a scope per tenant."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Final, Self

import structlog

from collegium_core.errors import Unavailable
from collegium_core.settings import Settings
from collegium_core.storage.objects import ObjectBackend
from collegium_core.storage.ports import StorageBackend
from collegium_core.streams.connection import Connection
from collegium_core.streams.log import RedisClock, TenantLog
from collegium_core.streams.ring import Ring
from collegium_core.tenancy.record import TenantRecord
from collegium_core.tenancy.registry import TenantRegistry
from collegium_core.tenancy.scope import TenantScope

__all__ = ["Platform"]

_MOST_SCOPES: Final = 10_000

_log = structlog.get_logger(__name__)


def _open_backend(settings: Settings) -> StorageBackend:
    # Imported here: a process on SQLite pays neither time nor memory for OpenSearch's client.
    if settings.store == "opensearch":
        from collegium_core.storage.opensearch import OpenSearchBackend  # noqa: PLC0415 - see above

        return OpenSearchBackend(settings.opensearch_url)
    from collegium_core.storage.sqlite import SqliteBackend  # noqa: PLC0415 - see above

    return SqliteBackend(settings.data_dir)


class Platform:
    """Everything a process shares between tenants. Open with :meth:`open`, end with :meth:`close`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._connection = Connection(settings.redis_url)
        self._clock = RedisClock()
        self._backend = _open_backend(settings)
        self._objects = ObjectBackend(settings.object_store_url)
        self.registry = TenantRegistry(self._connection)
        self._scopes: OrderedDict[str, TenantScope] = OrderedDict()

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Return the platform. A dependency that is away now is no error: calls say so until it is back."""
        platform = cls(settings)
        try:
            await platform._connection.open()
        except Unavailable as error:
            _log.warning("redis_away_at_start", reason=error.detail)
        platform.registry.start()
        return platform

    def scope(self, record: TenantRecord) -> TenantScope:
        """Return the tenant's handle; the same object until the record changes."""
        scope = self._scopes.get(record.slug)
        if scope is not None and scope.record is record:
            return scope
        if scope is None or scope.record.placement != record.placement:
            scope = self._make_scope(record)
        else:
            scope.record = record
        self._scopes[record.slug] = scope
        self._scopes.move_to_end(record.slug)
        if len(self._scopes) > _MOST_SCOPES:
            self._scopes.popitem(last=False)
        return scope

    def _make_scope(self, record: TenantRecord) -> TenantScope:
        slug = record.slug
        return TenantScope(
            record,
            connection=self._connection,
            log=TenantLog(self._connection, slug, self._clock),
            store=self._backend.statements(slug, record.placement),
            documents=self._backend.documents(slug, record.placement),
            objects=self._objects.objects(slug),
            adopt=partial(self._backend.adopt, slug, record.placement),
            backlog_limit=self.settings.backlog_limit,
        )

    def ring(self, consumer: str, *, owner: str, lease_seconds: float = 10.0) -> Ring:
        """Return the ready rings of *consumer*, from which a worker takes the tenants that this process serves."""
        tenant = self.settings.serve_tenant
        return Ring(self._connection, consumer, owner=owner, lease_seconds=lease_seconds, tenant=tenant)

    async def check(self) -> list[str]:
        """Return what is missing for accepting writes, one sentence each; nothing when all is well."""
        missing: list[str] = []
        try:
            await self._connection.check()
        except Unavailable as error:
            missing.append(f"log: {error.detail}")
        return missing

    async def check_store(self) -> list[str]:
        """Return what is missing for reading lists; writes go on without it."""
        try:
            await self._backend.check()
        except Unavailable as error:
            return [f"store: {error.detail}"]
        return []

    async def close(self) -> None:
        """End every connection."""
        for scope in self._scopes.values():
            await scope.close()
        await self.registry.close()
        await self._connection.close()
        await self._backend.close()
