"""The implementations that each port's suite runs on; services are asked for only by the parameters that need them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from collegium_core.storage.objects import ObjectBackend, TenantObjects
from collegium_core.storage.opensearch import OpenSearchBackend
from collegium_core.storage.ports import DocumentStore, StatementStore, StorageBackend
from collegium_core.storage.sqlite import SqliteBackend
from collegium_core.tenancy.record import Placement


class Stores:
    """Tenants of one test on one backend; a tenant is made by being asked for and dropped at the end."""

    def __init__(self, backend: StorageBackend, placement: Placement) -> None:
        self.backend = backend
        self.placement = placement
        self._run = secrets.token_hex(5)
        self._made: list[StatementStore | DocumentStore] = []

    def slug(self, tenant: str) -> str:
        """Return the slug of this test's tenant *tenant*."""
        return f"t-{tenant}-{self._run}"

    async def statements(self, tenant: str = "a") -> StatementStore:
        """Return the prepared statement store of *tenant*."""
        store = self.backend.statements(self.slug(tenant), self.placement)
        self._made.append(store)
        await store.prepare()
        return store

    async def documents(self, tenant: str = "a") -> DocumentStore:
        """Return the prepared document store of *tenant*."""
        store = self.backend.documents(self.slug(tenant), self.placement)
        self._made.append(store)
        await store.prepare()
        return store

    async def close(self) -> None:
        """Drop every tenant and close the backend."""
        for store in self._made:
            await store.drop()
        await self.backend.close()


@pytest.fixture(params=["sqlite", "opensearch-dedicated", "opensearch-pooled"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    if request.param == "sqlite":
        made = Stores(SqliteBackend(tmp_path), Placement.DEDICATED)
    else:
        placement = Placement.POOLED if request.param.endswith("pooled") else Placement.DEDICATED
        made = Stores(OpenSearchBackend(request.getfixturevalue("opensearch_url")), placement)
    yield made
    await made.close()


class ObjectStores:
    """Tenants of one test in one object store."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.backend = ObjectBackend(url)
        self._run = secrets.token_hex(5)
        self._made: list[TenantObjects] = []

    def tenant(self, name: str = "a") -> TenantObjects:
        """Return the object store of *name*."""
        objects = self.backend.objects(f"t-{name}-{self._run}")
        self._made.append(objects)
        return objects

    async def close(self) -> None:
        """Drop every tenant and close the backend."""
        for objects in self._made:
            await objects.drop()
        await self.backend.close()


@pytest.fixture(params=["file", "s3"])
async def object_stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStores]:
    if request.param == "file":
        url = (tmp_path / "objects").as_uri()
    else:
        endpoint = quote(request.getfixturevalue("s3_url"), safe="")
        url = (
            f"s3://collegium/below?endpoint={endpoint}&region=us-east-1&allow_http=true"
            "&access_key_id=tests&secret_access_key=tests"
        )
    made = ObjectStores(url)
    yield made
    await made.close()
