"""kill -9 of anything at any moment: nothing that was acknowledged is missing afterwards, nothing is there twice."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import random
import signal
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from collegium_core.errors import Unavailable
from collegium_core.lrs.record import Missing
from collegium_core.streams import Connection, PendingBatch, RedisClock, TenantLog
from collegium_testing.processes import kill, spawn, tail, wait_until
from collegium_testing.services.valkey import ValkeyServer

KILLS = int(os.environ.get("COLLEGIUM_CHAOS_KILLS", "100"))
SEED = int(os.environ.get("COLLEGIUM_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
SLOW_MS = 2000
WRITERS = 12

MANIFEST = """
apiVersion: v1
kind: Secret
metadata: {name: chaos}
type: kubernetes.io/basic-auth
stringData: {username: chaos, password: ck_chaos-0123456789abcdefghijklmnopqrstuvwxyzA}
---
apiVersion: collegium.dev/v1alpha1
kind: Tenant
metadata: {name: chaos}
spec:
  authentication:
    - name: chaos
      basic: {secretRef: {name: chaos}}
"""
HEADERS = {
    "Authorization": "Basic " + base64.b64encode(b"chaos:ck_chaos-0123456789abcdefghijklmnopqrstuvwxyzA").decode(),
    "X-Experience-API-Version": "1.0.3",
    "Content-Type": "application/json",
}


class Machine:
    """One data folder with `collegium up` on it, killed and started again at will."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = env
        self.url = ""
        self._process: Any = None

    def start(self) -> None:
        """Start the platform and wait until it says that it is ready."""
        out = self.folder / "events.log"
        out.write_bytes(b"")
        command = [
            Path(sys.executable).with_name("collegium"),
            *("up", "--manifests", self.folder / "manifests", "--data", self.folder / "data"),
            *("--port", "0", "--metrics-port", "0", "--api-replicas", "2", "--json"),
        ]
        self._process = spawn(command, log=out, env=self.env, cwd=self.folder)
        wait_until(lambda: bool(self._ready()), what="collegium up", timeout=90, process=self._process, log=out)
        self.url = self._ready()["url"].rstrip("/")

    def _ready(self) -> Any:
        for line in (self.folder / "events.log").read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and event.get("event") == "ready" and "url" in event:
                    return event
        return {}

    def pids(self) -> dict[str, int]:
        """Return the children by name."""
        with contextlib.suppress(OSError, ValueError):
            return {mark["name"]: mark["pid"] for mark in json.loads((self.folder / "data" / "pids.json").read_bytes())}
        return {}

    def kill_supervisor(self) -> None:
        """`kill -9` of the supervisor alone; its children are the kernel's to end."""
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self._process.terminate()
        code: int = self._process.wait(60)
        return code

    def end(self) -> None:
        """Make sure that nothing runs."""
        if self._process is not None:
            kill(self._process)


def statement() -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "actor": {"mbox": "mailto:a@example.org"},
        "verb": {"id": "http://example.org/v"},
        "object": {"id": "http://example.org/o"},
    }


class Writers:
    """Clients that post batches for ever, repeat what was not answered, and remember what was acknowledged."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.acknowledged: set[str] = set()
        self.refused: list[str] = []
        self.news = asyncio.Event()
        self._stop = False

    async def run(self) -> None:
        """Write until stopped."""
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout, headers=HEADERS) as http, asyncio.TaskGroup() as tasks:
            for _ in range(WRITERS):
                tasks.create_task(self._write(http))

    def stop(self) -> None:
        """Let each writer finish its batch."""
        self._stop = True

    async def _write(self, http: aiohttp.ClientSession) -> None:
        while not self._stop:
            batch = [statement() for _ in range(random.choice((1, 1, 1, 5)))]
            body = json.dumps(batch if len(batch) > 1 else batch[0])
            while not self._stop:
                try:
                    async with http.post(f"{self.machine.url}/chaos/xAPI/statements", data=body) as answer:
                        if answer.status == 200:
                            self.acknowledged.update(await answer.json())
                            self.news.set()
                            break
                        if answer.status not in {503, 429, 401}:
                            self.refused.append(f"{answer.status} {(await answer.text())[:300]}")
                            break
                except (aiohttp.ClientError, TimeoutError, OSError):
                    pass
                await asyncio.sleep(0.05)


async def everything(url: str) -> list[str]:
    """Return the ids of the whole list."""
    found: list[str] = []
    async with aiohttp.ClientSession(headers=HEADERS) as http:
        path = "/chaos/xAPI/statements?limit=500&ascending=true"
        while path:
            async with http.get(url + path) as answer:
                page = await answer.json()
            found += [s["id"] for s in page["statements"]]
            path = page["more"]
    return found


@pytest.mark.timeout(1200)
async def test_nothing_acknowledged_is_lost(  # noqa: PLR0915 - one story, told in order
    tmp_path: Path, disk_shim: Callable[..., dict[str, str]]
) -> None:
    """At least a hundred kills over API, worker, Valkey and supervisor, on a disk whose syncs take two seconds."""
    print(f"COLLEGIUM_SEED={SEED}")
    choice = random.Random(SEED)
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "chaos.yaml").write_text(MANIFEST)
    base = {k: v for k, v in os.environ.items() if not k.startswith(("COLLEGIUM_", "RALPH_", "REDIS_", "OPENSEARCH_"))}
    machine = Machine(tmp_path, {**base, **disk_shim(fdatasync_ms=SLOW_MS)})
    writers = Writers(machine)
    killed: dict[str, int] = {}
    machine.start()
    try:
        writing = asyncio.create_task(writers.run())
        while sum(killed.values()) < KILLS:
            # Straight after a 200, or at any other moment.
            writers.news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(choice.uniform(0.2, 4)):
                    await writers.news.wait()
            name = choice.choices(["api", "index", "valkey", "supervisor"], weights=[4, 4, 4, 1])[0]
            if name == "supervisor":
                machine.kill_supervisor()
                await asyncio.to_thread(machine.start)
                killed[name] = killed.get(name, 0) + 1
                continue
            pids = [pid for child, pid in machine.pids().items() if child.startswith(name)]
            if not pids:
                await asyncio.sleep(0.1)
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(choice.choice(pids), signal.SIGKILL)
                killed[name] = killed.get(name, 0) + 1
        writers.stop()
        await writing
        machine.kill_supervisor()
        machine.env = base  # a quick disk for reading all of it
        await asyncio.to_thread(machine.start)
        async with asyncio.timeout(120):
            while True:
                found = await everything(machine.url)
                if writers.acknowledged <= set(found):
                    break
                await asyncio.sleep(0.5)
        assert len(found) == len(set(found)), "a statement is there twice"
        assert [] == writers.refused
        assert len(writers.acknowledged) > KILLS
        assert 0 == await asyncio.to_thread(machine.stop)
    except BaseException:
        print(f"killed: {killed}; acknowledged: {len(writers.acknowledged)}\n{tail(tmp_path / 'events.log', 6000)}")
        raise
    finally:
        writers.stop()
        machine.end()
    print(f"killed: {killed}; acknowledged: {len(writers.acknowledged)}, all there once")


class Received:
    """The least that the log takes as a statement."""

    def __init__(self) -> None:
        self.id = str(uuid.uuid4())
        self.raw = b'{"x":"' + b"y" * 500 + b'"}'
        self.missing = Missing.NOTHING


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("policy", "loses"), [("always", False), ("everysec", True)])
async def test_what_a_slow_disk_costs(
    tmp_path: Path, disk_shim: Callable[..., dict[str, str]], policy: str, loses: bool
) -> None:
    """With syncs of two seconds `everysec` loses acknowledged statements on kill -9 of Valkey; our default does not."""
    server = ValkeyServer(tmp_path, appendfsync=policy, env={**os.environ, **disk_shim(fdatasync_ms=SLOW_MS)}).start()
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
        await asyncio.sleep(7)
        server.kill()
        await asyncio.gather(*writers)
        server.env = dict(os.environ)
        server.start()
        there: set[str] = set()
        for start in range(0, len(acknowledged), 1000):
            there |= set((await log.locate(acknowledged[start : start + 1000]))[0])
        lost = len(acknowledged) - len(there)
        print(f"{policy}: {len(acknowledged)} acknowledged, {lost} lost")
        assert acknowledged
        assert loses == (lost > 0)
    finally:
        await connection.close()
        server.kill()
