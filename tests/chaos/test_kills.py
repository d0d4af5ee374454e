"""kill -9 of anything at any moment: nothing that was acknowledged is missing afterwards, nothing is there twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from collegium_core.errors import Unavailable
from collegium_core.lrs.record import Missing
from collegium_core.streams import Connection, PendingBatch, RedisClock, TenantLog
from collegium_testing.load import Seen, Writers, every
from collegium_testing.services.valkey import ValkeyServer
from collegium_testing.up import OneMachine

KILLS = int(os.environ.get("COLLEGIUM_CHAOS_KILLS", "100"))
SEED = int(os.environ.get("COLLEGIUM_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
SLOW_MS = 2000
WRITERS = 12


def order_of_kills(choice: random.Random) -> list[str]:
    """Return whom to kill, all kinds in it: one in fifteen is the supervisor, whose return takes the longest."""
    kinds = ["supervisor", *("api", "index", "valkey") * 4, "api", "valkey"]
    order = [kinds[number % len(kinds)] for number in range(KILLS)]
    choice.shuffle(order)
    return order


class Killer:
    """Kills the children of one machine, each process once."""

    def __init__(self, machine: OneMachine, choice: random.Random) -> None:
        self._machine = machine
        self._choice = choice
        self._killed: set[int] = set()

    def kill(self, name: str) -> bool:
        """``kill -9`` of one process of the kind *name*; return whether there was one to kill."""
        with contextlib.suppress(OSError, ValueError):
            children = self._machine.children().items()
            there = [pid for child, pid in children if child.startswith(name) and pid not in self._killed]
            if there:
                pid = self._choice.choice(there)
                os.kill(pid, signal.SIGKILL)
                self._killed.add(pid)
                return True
        return False


@pytest.mark.timeout(900)
async def test_nothing_acknowledged_is_lost(tmp_path: Path, disk_shim: Callable[..., dict[str, str]]) -> None:
    """At least a hundred kills over API, worker, Valkey and supervisor, on a disk whose syncs take two seconds."""
    print(f"COLLEGIUM_SEED={SEED}")
    choice = random.Random(SEED)
    machine = OneMachine(tmp_path, "--api-replicas", "2")
    machine.write_tenant("acme")
    quick = machine.environment
    shim = {name: value for name, value in disk_shim(fdatasync_ms=SLOW_MS).items() if name not in os.environ}
    writers = Writers(lambda: [machine.endpoint()], machine.authorization(), count=WRITERS)
    killer = Killer(machine, choice)
    killed: Counter[str] = Counter()
    with machine:
        try:
            # The files of a new folder are made on a quick disk: that alone takes a minute on the slow one.
            machine.kill()
            machine.environment = {**quick, **shim}
            await asyncio.to_thread(machine.start, timeout=120)
            async with writers.writing():
                waiting = order_of_kills(choice)
                while waiting:
                    # Straight after a 200, or at any other moment.
                    writers.news.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(choice.uniform(0.1, 3)):
                            await writers.news.wait()
                    # Who is just being started again has its turn later.
                    name = next((each for each in waiting if each == "supervisor" or killer.kill(each)), "")
                    if name == "supervisor":
                        machine.kill()
                        await asyncio.to_thread(machine.start, timeout=120)
                    if name:
                        waiting.remove(name)
                        killed[name] += 1
            machine.kill()
            machine.environment = quick
            await asyncio.to_thread(machine.start)
            found = await everything(machine)
            for _ in range(120):
                if writers.acknowledged <= {each for _, each in found}:
                    break
                await asyncio.sleep(1)
                found = await everything(machine)
            assert set() == writers.acknowledged - {each for _, each in found}, "what was acknowledged is missing"
            assert len(found) == len({each for _, each in found}), "a statement is there twice"
            assert [] == writers.wrong
            assert len(writers.acknowledged) > KILLS
            assert {200, 503} >= set(writers.answers)
            assert 0 == await asyncio.to_thread(machine.stop)
        except BaseException:
            print(machine.log[-6000:])
            raise
        finally:
            print(f"killed: {dict(killed)}; answers: {dict(writers.answers)}, {writers.broken} without")
    print(f"{len(writers.acknowledged)} acknowledged, all there once")


async def everything(machine: OneMachine) -> list[Seen]:
    """Return the whole list."""
    return await every(machine.endpoint(), machine.authorization())


class Received:
    """The least that the log takes as a statement."""

    def __init__(self) -> None:
        self.id = str(uuid.uuid4())
        self.raw = b'{"x":"' + b"y" * 500 + b'"}'
        self.missing = Missing.NOTHING


async def lost_on_kill(folder: Path, policy: str, slow: dict[str, str], *, seconds: float) -> tuple[int, int]:
    """Write for *seconds* to a Valkey on a slow disk, `kill -9` it; return how many were acknowledged, and lost."""
    server = ValkeyServer(folder, appendfsync=policy, env={**os.environ, **slow}).start()
    connection = Connection(server.url)
    log = TenantLog(connection, "t-slow", RedisClock())
    acknowledged: list[str] = []

    async def write() -> None:
        with contextlib.suppress(Unavailable):
            while True:
                batch = [Received() for _ in range(20)]
                await log.append([PendingBatch(batch, b"{}", "1.0.0")], looked_up_at=None, limit=10**9)
                acknowledged.extend(s.id for s in batch)

    try:
        await connection.open()
        writers = [asyncio.create_task(write()) for _ in range(8)]
        await asyncio.sleep(seconds)
        server.kill()
        await asyncio.gather(*writers)
        server.env = dict(os.environ)
        server.start()
        there: set[str] = set()
        for start in range(0, len(acknowledged), 1000):
            there |= set((await log.locate(acknowledged[start : start + 1000]))[0])
    finally:
        await connection.close()
        server.kill()
    print(f"{policy}: {len(acknowledged)} acknowledged, {len(acknowledged) - len(there)} lost")
    return len(acknowledged), len(acknowledged) - len(there)


@pytest.mark.timeout(180)
async def test_always_loses_nothing_on_a_slow_disk(tmp_path: Path, disk_shim: Callable[..., dict[str, str]]) -> None:
    """With syncs of two seconds our default loses nothing that was acknowledged, whenever Valkey is killed."""
    for attempt in range(2):
        folder, slow = tmp_path / str(attempt), disk_shim(fdatasync_ms=SLOW_MS)
        acknowledged, lost = await lost_on_kill(folder, "always", slow, seconds=6.5 + attempt)
        assert acknowledged
        assert 0 == lost


@pytest.mark.timeout(300)
async def test_everysec_loses_on_a_slow_disk(tmp_path: Path, disk_shim: Callable[..., dict[str, str]]) -> None:
    """With `everysec` acknowledged statements are lost, unless the kill happens to hit right after a write.

    Redis postpones the write while a sync is under way, and answers all the same.
    """
    lost = 0
    for attempt in range(10):
        folder, slow = tmp_path / str(attempt), disk_shim(fdatasync_ms=SLOW_MS)
        _, lost = await lost_on_kill(folder, "everysec", slow, seconds=5 + 0.43 * attempt)
        if lost:
            break
    assert lost > 0
