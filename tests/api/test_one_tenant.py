"""A process that serves one tenant alone, beside one that serves all: other tenants are unknown to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from collegium_core.tenancy.names import parse_name
from collegium_testing.client import Answer, Client
from collegium_testing.processes import end
from collegium_testing.services.valkey import ValkeyServer
from collegium_testing.stack import Stack, Tenant

SHARED, OWN = 0, 1  # replicas


class Pair(msgspec.Struct):
    """A tenant with an API and a worker of its own, and one without; both are served by the shared API."""

    stack: Stack
    mine: Client
    other: Client


@pytest.fixture
async def pair(valkey_server: ValkeyServer, http: aiohttp.ClientSession, tmp_path: Path) -> AsyncIterator[Pair]:
    stack = Stack(tmp_path, valkey_server.url, replicas=2)
    everyone = dict(stack.env)
    stack.start_api(SHARED)
    stack.env["COLLEGIUM_SERVE_TENANT"] = parse_name("mine").slug
    stack.start_api(OWN)
    stack.start_worker("own-worker")
    stack.env = everyone
    try:
        mine, other = await stack.make_tenant("mine"), await stack.make_tenant("other")
        for index in (SHARED, OWN):
            await asyncio.to_thread(stack.wait_for_api, index)
        yield Pair(stack, Client(http, stack, mine), Client(http, stack, other))
    finally:
        for process in stack.processes.values():
            end(process)


def told(answer: Answer, tenant: Tenant) -> tuple[int, str, set[str]]:
    """Return what a client can see, but for the tenant's name and what is of the moment."""
    body = msgspec.json.decode(answer.body)
    body = {key: str(value).replace(tenant.name, "…") for key, value in body.items() if key != "requestId"}
    return answer.status, str(body), set(answer.headers)


async def test_another_tenant_is_an_unknown_one(pair: Pair, statement: Any) -> None:
    """With the right credential it is told what a tenant that nobody made is told; its own tenant is served."""
    nobody = Tenant(pair.stack.record("nobody"), pair.other.tenant.username, pair.other.tenant.password)
    unknown = Client(pair.other.http, pair.stack, nobody)
    for _ in range(2):  # the second time the shared process has it all at hand
        assert 200 == (await pair.mine.post(statement(), replica=OWN)).status
        assert 200 == (await pair.other.post(statement(), replica=SHARED)).status
        expected = told(await unknown.post(statement(), replica=OWN), nobody)
        assert 401 == expected[0]
        assert expected == told(await pair.other.post(statement(), replica=OWN), pair.other.tenant)
        assert 401 == (await pair.other.get(replica=OWN)).status


async def test_a_worker_takes_its_own_tenant_alone(pair: Pair, statement: Any) -> None:
    """Another tenant's statements wait for a worker that serves all."""
    assert 200 == (await pair.other.post(statement(), replica=SHARED)).status
    assert 200 == (await pair.mine.post(statement(), replica=SHARED)).status
    await pair.stack.settle(pair.mine.tenant)
    await asyncio.sleep(1.5)  # longer than a sweep over the rings
    assert 1 == (await pair.stack.backlog(pair.other.tenant)).statements
    pair.stack.start_worker("shared-worker")
    await pair.stack.settle(pair.other.tenant)
