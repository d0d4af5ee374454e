"""Two API replicas and a worker over the embedded stores, as processes; a client that speaks xAPI."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from collegium_testing.client import Client
from collegium_testing.services.valkey import ValkeyServer
from collegium_testing.stack import Stack, Tenant


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey of this tier alone: its worker takes whatever work it finds, other tiers' too."""
    server = ValkeyServer(tmp_path_factory.mktemp("valkey")).start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def stack(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    environment = {"COLLEGIUM_MAX_BODY_BYTES": "1MiB", "COLLEGIUM_BODY_TIMEOUT_SECONDS": "1"}
    environment["COLLEGIUM_CORS_ALLOW_ORIGINS"] = "https://content.example"
    with Stack(tmp_path_factory.mktemp("stack"), valkey_url, replicas=2, environment=environment) as stack:
        yield stack


@pytest.fixture
async def tenant(stack: Stack) -> Tenant:
    return await stack.make_tenant()


@pytest.fixture
async def other(stack: Stack) -> Tenant:
    return await stack.make_tenant()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


@pytest.fixture
def client(http: aiohttp.ClientSession, stack: Stack, tenant: Tenant) -> Client:
    return Client(http, stack, tenant)


@pytest.fixture
def stranger(http: aiohttp.ClientSession, stack: Stack, other: Tenant) -> Client:
    return Client(http, stack, other)


@pytest.fixture
def statement() -> Any:
    """Return a maker of statements: ``statement(**members)``."""

    def make(**members: Any) -> dict[str, Any]:
        return {
            "id": str(uuid.uuid4()),
            "actor": {"mbox": "mailto:learner@example.org"},
            "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced", "display": {"en": "experienced"}},
            "object": {"id": "http://example.org/lesson/1"},
            **members,
        }

    return make
