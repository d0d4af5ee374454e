"""The tenant-bound handle: the only door to a tenant's log and stores.

Whoever holds a scope can reach one tenant and no other; nothing outside :mod:`collegium_core.tenancy` makes log or
store objects (an AST rule and the import contracts see to it).
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from collegium_core.storage.ports import DocumentStore, ObjectStore, StatementStore
from collegium_core.streams.connection import Connection, partition_of, tenant_key
from collegium_core.streams.log import TenantLog
from collegium_core.tenancy.record import TenantRecord
from collegium_core.tenancy.statements import Statements

__all__ = ["TenantScope"]


class TenantScope:
    """One tenant: its record, and everything that is stored for it.

    :param adopt: makes what the tenant's stores need and notes the owner that it is given.
    """

    def __init__(
        self,
        record: TenantRecord,
        *,
        connection: Connection,
        log: TenantLog,
        store: StatementStore,
        documents: DocumentStore,
        objects: ObjectStore,
        adopt: Callable[[str], Awaitable[None]],
        backlog_limit: int,
    ) -> None:
        self.record = record
        self.log = log
        self.store = store
        self.documents = documents
        self.objects = objects
        self.statements = Statements(log, store, backlog_limit=backlog_limit)
        self._adopt = adopt
        self._connection = connection
        self._signing_key: bytes | None = None

    @property
    def slug(self) -> str:
        """The tenant's slug."""
        return self.record.slug

    async def signing_key(self) -> bytes:
        """Return the key (32 bytes) that signs this tenant's ``more`` links; the same on every replica.

        :raises Unavailable: Redis is away.
        """
        if self._signing_key is None:
            key = tenant_key(self.slug, "more-key")
            await self._connection.command(partition_of(self.slug), "SET", key, secrets.token_bytes(32), "NX")
            self._signing_key = await self._connection.command(partition_of(self.slug), "GET", key)
        assert self._signing_key is not None  # noqa: S101 - set above, and the key has no expiry
        return self._signing_key

    async def provision(self) -> None:
        """Make what the stores need for this tenant, and note there the record's owner; again, it changes nothing.

        :raises Unavailable: a store is away.
        :raises Conflict: something that is not this tenant's stands in the place of its stores.
        """
        await self._adopt(self.record.owner)

    async def erase(self) -> None:
        """Delete everything of this tenant, in log and stores. There is no way back.

        :raises Unavailable: a store is away; call again.
        """
        await self.log.drop()
        await self.store.drop()
        await self.documents.drop()
        await self.objects.drop()
        for key in ("more-key", "closed-record"):
            await self._connection.command(partition_of(self.slug), "DEL", tenant_key(self.slug, key))

    async def close(self) -> None:
        """Give up what is under way."""
        await self.statements.close()
