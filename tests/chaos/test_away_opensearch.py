"""OpenSearch goes away, hangs, is killed; a worker is stopped and comes back late: writes go on and no list lies."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from collegium_core.streams.connection import tenant_key
from collegium_testing.client import Client
from collegium_testing.judgement import judge
from collegium_testing.load import Watcher, Writers, every, make_statement
from collegium_testing.processes import wait_until
from collegium_testing.services.opensearch import OpenSearchNode
from collegium_testing.services.valkey import ValkeyServer
from collegium_testing.stack import Stack, Tenant

OUTAGE_SECONDS = int(os.environ.get("COLLEGIUM_OUTAGE_SECONDS", "20"))
SLOWEST_WRITE_SECONDS = 10  # a look-up in a store that hangs is given up after two; the rest is the machine's


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


def load(stack: Stack, tenant: Tenant) -> tuple[Writers, Watcher]:
    """Return clients of *tenant* on all replicas."""
    writers = Writers(lambda: stack.urls(tenant), tenant.authorization, count=4, pause=0.05)
    return writers, Watcher(lambda: stack.urls(tenant), tenant.authorization)


async def listed_again(watcher: Watcher, *, seconds: float = 90) -> None:
    """Return when lists have gone beyond what they reached by now."""
    before = watcher.through
    async with asyncio.timeout(seconds):
        while watcher.through <= before:
            await asyncio.sleep(0.1)


@pytest.mark.timeout(180)
async def test_opensearch_away_at_the_start(
    tmp_path: Path, valkey_server: ValkeyServer, opensearch_node: OpenSearchNode, http: aiohttp.ClientSession
) -> None:
    """Writes and reads by id work, lists say 503, readiness tells; when it comes, even its index is made."""
    opensearch_node.kill()
    with Stack(tmp_path / "stack", valkey_server.url, opensearch_url=opensearch_node.url, replicas=2) as stack:
        tenant = await stack.make_tenant(provision=False)
        client = Client(http, stack, tenant)
        sent = [make_statement() for _ in range(20)]
        for number, each in enumerate(sent):
            assert (200, [each["id"]]) == (
                (answer := await client.post(each, replica=number % 2)).status,
                answer.json(),
            )
        again = await client.post(sent[:3], replica=1)
        assert (200, [each["id"] for each in sent[:3]]) == (again.status, again.json())
        assert 409 == (await client.post({**sent[0], "verb": {"id": "http://example.org/other"}})).status
        for each in sent:
            answer = await client.get(f"/statements?statementId={each['id']}", replica=1)
            assert (200, each) == (answer.status, {name: answer.json()[name] for name in each})
        refused = await client.get()
        assert (503, "application/problem+json") == (refused.status, refused.headers["Content-Type"])
        assert refused.headers["Retry-After"].isdecimal()
        assert "search store" in refused.json()["detail"]
        root = f"http://127.0.0.1:{stack.ports[1]}"
        ready = await client.get("/readyz", base=root)
        assert (200, []) == (ready.status, ready.json()["missing"])
        assert ["store"] == [each.split(":")[0] for each in ready.json()["degraded"]]
        await asyncio.to_thread(opensearch_node.start)
        await stack.settle(tenant, seconds=90)
        found = await every(stack.url(tenant), tenant.authorization)
        assert [each["id"] for each in sent] == [each for _, each in found]
        assert [] == (await client.get("/readyz", base=root)).json()["degraded"]


@pytest.mark.timeout(180 + 3 * OUTAGE_SECONDS)
@pytest.mark.parametrize("how", ["hangs", "killed"])
async def test_opensearch_away_in_the_middle(
    tmp_path: Path, valkey_server: ValkeyServer, opensearch_node: OpenSearchNode, how: str
) -> None:
    """Every write is accepted, and soon; nothing is lost or there twice; lists are complete as far as they say."""
    with Stack(tmp_path / "stack", valkey_server.url, opensearch_url=opensearch_node.url, replicas=2) as stack:
        tenant = await stack.make_tenant()
        writers, watcher = load(stack, tenant)
        async with watcher.watching(), writers.writing():
            await asyncio.sleep(3)
            await asyncio.to_thread(opensearch_node.pause if how == "hangs" else opensearch_node.kill)
            steps = [len(writers.acknowledged)]
            for _ in range(OUTAGE_SECONDS // 5):
                await asyncio.sleep(5)
                steps.append(len(writers.acknowledged))
            await asyncio.to_thread(opensearch_node.resume if how == "hangs" else opensearch_node.start)
            await listed_again(watcher)
        await judge(stack, tenant, writers, watcher)
        assert {200} == set(writers.answers)
        written = [after - before for before, after in itertools.pairwise(steps)]
        print(f"while it was away, in each five seconds: {written}")
        assert all(each > 5 for each in written), "writes stood still"
        assert writers.slowest < SLOWEST_WRITE_SECONDS


@pytest.mark.timeout(180)
async def test_a_full_backlog(
    tmp_path: Path, valkey_server: ValkeyServer, opensearch_node: OpenSearchNode, http: aiohttp.ClientSession
) -> None:
    """While OpenSearch is away so many statements are taken and no more: 503 with Retry-After; then it goes on."""
    environment = {"COLLEGIUM_BACKLOG_LIMIT": "50"}
    with Stack(
        tmp_path / "stack", valkey_server.url, opensearch_url=opensearch_node.url, environment=environment
    ) as stack:
        tenant = await stack.make_tenant()
        client = Client(http, stack, tenant)
        await asyncio.to_thread(opensearch_node.kill)
        sent = [[make_statement() for _ in range(4)] for _ in range(14)]
        answers = [await client.post(batch) for batch in sent]
        assert [200] * 12 + [503] * 2 == [answer.status for answer in answers]
        assert ("application/problem+json", "10") == tuple(
            answers[-1].headers[name] for name in ("Content-Type", "Retry-After")
        )
        assert "48 statements of this tenant wait to be indexed" in answers[-1].json()["detail"]
        small = make_statement()
        assert 200 == (await client.post(small)).status, "there is room for a smaller one"
        assert 200 == (await client.post(sent[0])).status, "what is there already needs no room"
        assert 49 == (await stack.backlog(tenant)).statements
        await asyncio.to_thread(opensearch_node.start)
        await stack.settle(tenant, seconds=90)
        assert [200] * 2 == [(await client.post(batch)).status for batch in sent[12:]]
        await stack.settle(tenant)
        found = await every(stack.url(tenant), tenant.authorization)
        wanted = [*(each["id"] for batch in sent[:12] for each in batch), small["id"]]
        assert [*wanted, *(each["id"] for batch in sent[12:] for each in batch)] == [each for _, each in found]


@pytest.mark.timeout(300)
async def test_opensearch_killed_under_indexing(
    tmp_path: Path, valkey_server: ValkeyServer, opensearch_node: OpenSearchNode
) -> None:
    """`kill -9` at any moment: what it confirmed is there after its start, what it did not is indexed again."""
    with Stack(tmp_path / "stack", valkey_server.url, opensearch_url=opensearch_node.url, replicas=2) as stack:
        tenant = await stack.make_tenant()
        writers, watcher = load(stack, tenant)
        async with watcher.watching(), writers.writing():
            for _ in range(3):
                await listed_again(watcher)
                await asyncio.sleep(0.7)
                await asyncio.to_thread(opensearch_node.kill)
                await asyncio.to_thread(opensearch_node.start)
            await listed_again(watcher)
        await judge(stack, tenant, writers, watcher)
        assert {200} == set(writers.answers)


@pytest.mark.timeout(240)
async def test_a_worker_that_was_stopped_beyond_its_lease(
    tmp_path: Path, valkey_server: ValkeyServer, opensearch_node: OpenSearchNode
) -> None:
    """Another one takes over; what the first does when it goes on changes nothing, and no list lies meanwhile."""
    names = ("worker", "worker-2")
    with Stack(tmp_path / "stack", valkey_server.url, opensearch_url=opensearch_node.url, replicas=2) as stack:
        stack.start_worker(names[1])
        tenant = await stack.make_tenant()
        writers, watcher = load(stack, tenant)
        key = tenant_key(tenant.record.slug, "lease:index")
        lost = 0

        def holder() -> str:
            """Return which worker took the tenant last."""
            answer = valkey_server.ask("HGET", key, "owner").split()
            pid = answer[1].rpartition(":")[2] if len(answer) > 1 else ""
            return next((name for name in names if str(stack.processes[name].pid) == pid), "")

        async with watcher.watching(), writers.writing():
            for _ in range(2):
                await listed_again(watcher)
                # In the middle of a write into the store, which takes longer than the lease.
                opensearch_node.pause()
                await asyncio.sleep(2)
                first = holder()
                stopped = stack.processes[first]
                stopped.send_signal(signal.SIGSTOP)
                try:
                    opensearch_node.resume()
                    await asyncio.to_thread(
                        wait_until, lambda first=first: holder() != first, what="the other worker", timeout=30
                    )
                    await listed_again(watcher)
                finally:
                    stopped.send_signal(signal.SIGCONT)
                lost += 1
                async with asyncio.timeout(30):
                    while sum(stack.log(name).count('"lease_lost"') for name in names) < lost:
                        await asyncio.sleep(0.1)
            await listed_again(watcher)
        await judge(stack, tenant, writers, watcher)
        assert {200} == set(writers.answers)
