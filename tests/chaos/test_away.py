"""Redis goes away, the disk is full: clients are told to come back, and nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from collegium_testing.client import Client
from collegium_testing.judgement import judge
from collegium_testing.load import Watcher, Writers, every, make_statement
from collegium_testing.processes import wait_until
from collegium_testing.services.valkey import ValkeyServer
from collegium_testing.stack import Stack
from collegium_testing.up import OneMachine


@pytest.fixture
def stack(valkey_server: ValkeyServer, tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "stack", valkey_server.url, replicas=2) as stack:
        yield stack


async def acknowledged_again(writers: Writers, *, seconds: float = 30) -> None:
    """Return after the next acknowledgement."""
    writers.news.clear()
    async with asyncio.timeout(seconds):
        await writers.news.wait()


@pytest.mark.parametrize("end", ["kill", "stop"])
async def test_redis_restarted_under_load(stack: Stack, valkey_server: ValkeyServer, end: str) -> None:
    """`kill -9` or SIGTERM: 503 while it is away, then it goes on by itself, and all that was acknowledged is there."""
    tenant = await stack.make_tenant()
    writers = Writers(lambda: stack.urls(tenant), tenant.authorization, pause=0.01)
    watcher = Watcher(lambda: stack.urls(tenant), tenant.authorization)
    async with watcher.watching(), writers.writing():
        for _ in range(3):
            await asyncio.sleep(1)
            await asyncio.to_thread(getattr(valkey_server, end))
            await asyncio.sleep(1)
            await asyncio.to_thread(valkey_server.start)
            await acknowledged_again(writers)
    await judge(stack, tenant, writers, watcher)
    assert {200, 503} == set(writers.answers), "it was not away for anybody"
    assert 0 == writers.broken
    assert [None] * 3 == [process.poll() for process in stack.processes.values()]


async def test_readiness_tells_that_redis_is_away(stack: Stack, valkey_server: ValkeyServer) -> None:
    """503 that names the log, within seconds; reads and writes are refused in the same way; and it is ready again."""
    tenant = await stack.make_tenant()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        client = Client(http, stack, tenant)
        root = f"http://127.0.0.1:{stack.ports[0]}"
        assert 200 == (await client.get("/readyz", base=root)).status
        assert 200 == (await client.get()).status
        await asyncio.to_thread(valkey_server.kill)
        answer = await client.get("/readyz", base=root)
        assert 503 == answer.status
        assert ["log"] == [each.split(":")[0] for each in answer.json()["missing"]]
        assert 200 == (await client.get("/healthz", base=root)).status
        for refused in (await client.get(), await client.post(make_statement())):
            assert (503, "2") == (refused.status, refused.headers["Retry-After"])
            assert "application/problem+json" == refused.headers["Content-Type"]
        await asyncio.to_thread(valkey_server.start)
        async with asyncio.timeout(10):
            while (await client.get("/readyz", base=root)).status != 200:
                await asyncio.sleep(0.1)
        assert 200 == (await client.get()).status


async def test_a_disk_that_fills_during_appends(tmp_path: Path, disk_shim: Callable[..., dict[str, str]]) -> None:
    """503 and nothing else; with space made, and Valkey started again, all that was acknowledged is there once."""
    full = tmp_path / "full"
    server = ValkeyServer(tmp_path / "valkey", env=disk_shim(full_flag=full)).start()
    try:
        with Stack(tmp_path / "stack", server.url, replicas=2) as stack:
            tenant = await stack.make_tenant()
            writers = Writers(lambda: stack.urls(tenant), tenant.authorization)
            watcher = Watcher(lambda: stack.urls(tenant), tenant.authorization)
            async with watcher.watching(), writers.writing():
                for _ in range(2):
                    await asyncio.sleep(1)
                    full.touch()
                    # It had acknowledged what it cannot take back; it ends rather than go on without.
                    await asyncio.to_thread(wait_until, lambda: not server.running, what="Valkey's end", timeout=20)
                    await asyncio.sleep(1)
                    full.unlink()
                    await asyncio.to_thread(server.start)
                    await acknowledged_again(writers)
            await judge(stack, tenant, writers, watcher)
            assert {200, 503} == set(writers.answers)
            assert 0 == writers.broken
    finally:
        server.kill()


async def test_a_machine_whose_disk_is_full(tmp_path: Path, disk_shim: Callable[..., dict[str, str]]) -> None:
    """Nobody can write: the log, the store, the supervisor's own files. With space made it goes on by itself."""
    full = tmp_path / "full"
    shim = {name: value for name, value in disk_shim(full_flag=full).items() if name not in os.environ}
    machine = OneMachine(tmp_path, "--api-replicas", "2", environment=shim)
    machine.write_tenant("acme")
    writers = Writers(lambda: [machine.endpoint()], machine.authorization(), pause=0.01)
    watcher = Watcher(lambda: [machine.endpoint()], machine.authorization())
    with machine:
        try:
            async with watcher.watching(), writers.writing():
                for seconds in (1, 8):
                    await acknowledged_again(writers)
                    await asyncio.sleep(2)
                    before = writers.answers[503]
                    full.touch()
                    await asyncio.sleep(seconds)
                    full.unlink()
                    await acknowledged_again(writers)
                    assert before < writers.answers[503]
            async with asyncio.timeout(120):
                while not writers.acknowledged <= {found for _, found in await everything(machine)}:
                    await asyncio.sleep(0.5)
            found = await everything(machine)
            assert len(found) == len({each for _, each in found})
            assert [] == writers.wrong + watcher.wrong
            watcher.check(found)
            assert {"api-1", "api-2", "index", "valkey"} == set(machine.children())
            servers = [each for each in Path("/proc").glob("[0-9]*/cmdline") if str(machine.data) in _words(each)]
            assert 1 == len([each for each in servers if "valkey-server" in _words(each)]), "two on one folder"
            assert 0 == await asyncio.to_thread(machine.stop)
        except BaseException:
            print(machine.log[-6000:])
            raise


async def everything(machine: OneMachine) -> list[tuple[str, str]]:
    """Return the whole list."""
    return await every(machine.endpoint(), machine.authorization())


def _words(file: Path) -> str:
    try:
        return file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
