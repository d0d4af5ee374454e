"""What a Tenant leaves behind: its door is closed, data kept or dropped, pods collected. Each step may come twice."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import structlog

from collegium_core.tenancy.platform import Platform
from collegium_core.tenancy.record import TenantRecord
from collegium_operator.config import Config
from collegium_operator.kube import DEPLOYMENTS, SERVICES, Kube
from collegium_operator.pods import OWNER_LABEL, selector

__all__ = ["Doors", "collect", "collect_orphans", "owner_of", "owner_uid"]

_log = structlog.get_logger(__name__)


def owner_of(tenant: dict[str, Any]) -> str:
    """Return how the record names the Tenant that it was made from: ``namespace/name/uid``."""
    metadata = tenant["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}/{metadata['uid']}"


def owner_uid(record: TenantRecord) -> str:
    """Return the uid of the Tenant that *record* was made from; empty where it was made from none."""
    return record.owner.rpartition("/")[2]


class Doors:
    """Opens and closes tenants' doors, one change of a door at a time.

    Two Tenants of one name are reconciled at the same time when one of them goes and the other takes its place: without
    a lock per slug the first would take the record away that the second has just put there.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    def lock(self, slug: str) -> asyncio.Lock:
        """Return the lock of *slug*: held by whoever reads its record in order to change it."""
        return self._locks.setdefault(slug, asyncio.Lock())

    async def close(self, slug: str, uid: str) -> bool:
        """Remove the record of *slug* if it was made from the Tenant *uid*; data stay. Return whether it was there.

        :raises collegium_core.errors.Unavailable: the registry is away.
        """
        async with self.lock(slug):
            return await self._close(slug, uid)

    async def _close(self, slug: str, uid: str) -> bool:
        record = await self._platform.registry.get(slug)
        if record is None or owner_uid(record) != uid:
            return False
        await self._platform.registry.remove(slug)
        _log.info("tenant_closed", tenant=slug)
        return True

    async def erase(self, slug: str, uid: str) -> bool:
        """Close the door and drop all that is stored for *slug*, if it is the Tenant *uid*'s. Return whether it was.

        :raises collegium_core.errors.Unavailable: log or store is away; call again.
        """
        async with self.lock(slug):
            await self._close(slug, uid)
            record = await self._platform.registry.known(slug)
            if record is None or owner_uid(record) != uid:
                return False
            await self._platform.scope(record).erase()
            _log.info("tenant_erased", tenant=slug)
            return True

    async def close_orphans(self, config: Config, present: frozenset[str]) -> None:
        """Close the doors of Tenants that went while nobody watched; arguments as for :func:`collect_orphans`."""
        for record in await self._platform.registry.list():
            if record.owner and _is_watched(record, config) and owner_uid(record) not in present:
                await self.close(record.slug, owner_uid(record))


async def collect(kube: Kube, config: Config, uid: str, *, keep: frozenset[str] = frozenset()) -> None:
    """Delete the objects made for the Tenant *uid* alone, but for those whose names are in *keep*."""
    for resource in (DEPLOYMENTS, SERVICES):
        found, _ = await kube.list(resource, config.namespace, labels=f"{selector(config)},{OWNER_LABEL}={uid}")
        for each in found:
            if f"{resource.kind}/{each['metadata']['name']}" not in keep:
                await kube.delete(resource, config.namespace, each["metadata"]["name"], uid=each["metadata"]["uid"])


async def collect_orphans(kube: Kube, config: Config, present: frozenset[str]) -> None:
    """Collect the pods of Tenants that went while nobody watched.

    :param present: uids of the Tenants that there are, from a list that was complete.
    """
    for resource in (DEPLOYMENTS, SERVICES):
        found, _ = await kube.list(resource, config.namespace, labels=f"{selector(config)},{OWNER_LABEL}")
        for each in found:
            if each["metadata"]["labels"][OWNER_LABEL] not in present:
                await kube.delete(resource, config.namespace, each["metadata"]["name"], uid=each["metadata"]["uid"])


def _is_watched(record: TenantRecord, config: Config) -> bool:
    return not config.watched or record.owner.partition("/")[0] in config.watched
