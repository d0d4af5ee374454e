"""The log on every server that it must run on: Valkey, the oldest Redis that is supported, and a cluster of three."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from collegium_core.lrs.record import Missing
from collegium_core.streams import Connection, RedisClock, Ring, TenantLog


class Received(msgspec.Struct, frozen=True):
    """A validated statement, as far as the log looks at it."""

    id: str
    raw: bytes
    missing: Missing = Missing.NOTHING


def received(count: int, *, size: int = 20, missing: Missing = Missing.NOTHING) -> list[Received]:
    """Return *count* statements with fresh ids and *size* bytes of filling."""
    filling = "x" * size
    return [
        Received(statement_id := str(uuid.uuid4()), f'{{"id":"{statement_id}","x":"{filling}"}}'.encode(), missing)
        for _ in range(count)
    ]


@pytest.fixture
def statements() -> Callable[..., list[Received]]:
    """Makes statements: ``statements(count, size=…, missing=…)``."""
    return received


@pytest.fixture(params=["valkey", "redis7", "cluster"])
def server_url(request: pytest.FixtureRequest) -> str:
    name = {"valkey": "valkey_url", "redis7": "redis7_url", "cluster": "redis_cluster_url"}[request.param]
    url: str = request.getfixturevalue(name)
    return f"{url}?cluster=true" if request.param == "cluster" and "cluster=true" not in url else url


@pytest.fixture
async def connection(server_url: str) -> AsyncIterator[Connection]:
    connection = Connection(server_url)
    await connection.open()
    yield connection
    await connection.close()


@pytest.fixture
def slug() -> str:
    return f"t-test-{uuid.uuid4().hex[:16]}"


@pytest.fixture
async def log(connection: Connection, slug: str) -> AsyncIterator[TenantLog]:
    log = TenantLog(connection, slug, RedisClock())
    yield log
    await log.drop()


@pytest.fixture
async def ring(connection: Connection) -> AsyncIterator[Ring]:
    ring = Ring(connection, "index", owner="test", lease_seconds=5)
    ring.start()
    yield ring
    await ring.close()
