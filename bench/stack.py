"""What measuring needs beside a running platform: load, CPU and memory of single processes, the floor application."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from collegium_testing.processes import free_port, wait_until
from collegium_testing.stack import Stack, Tenant

__all__ = ["cpu_seconds", "pin", "resident_mib", "run_load", "start_floor"]

HERE = Path(__file__).parent
TICK = os.sysconf("SC_CLK_TCK")
PROBE = (
    b'{"actor":{"mbox":"mailto:a@example.org"},"verb":{"id":"http://example.org/v"},"object":{"id":"http://e.org/o"}}'
)


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds, user and system, that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_mib(pid: int) -> float:
    """Return the resident set of a process in MiB, at its highest.

    :raises LookupError: the kernel does not tell.
    """
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"/proc/{pid}/status has no VmHWM")


def pin(measured: Iterable[int], others: Iterable[int]) -> None:
    """Give the measured processes the first processor and all *others* the last, so that they do not evict each other.

    Without a second processor, or the right to do so, nothing is pinned.
    """
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return
    for pids, cpu in ((measured, cpus[0]), (others, cpus[-1])):
        for pid in pids:
            for task in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {cpu})


def start_floor(stack: Stack) -> int:
    """Start the floor application over the stack's Redis; return its port."""
    port = free_port()
    command = [sys.executable, str(HERE / "floor.py"), str(port), stack.env["COLLEGIUM_REDIS_URL"]]
    stack.start("floor", command)

    def answers() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=PROBE, timeout=2) as answer:
            return bool(answer.status == 200)

    wait_until(answers, what="the floor", timeout=20, log=stack.folder / "floor.log")
    return port


def run_load(
    tenant: Tenant, *, port: int, path: str, requests: int, batch: int, connections: int, source: str
) -> dict[str, Any]:
    """Run the load process to its end; return what it saw.

    :raises RuntimeError: it failed, or an answer was not 200.
    """
    task = {
        "host": "127.0.0.1",
        "port": port,
        "path": path,
        "requests": requests,
        "batch": batch,
        "connections": connections,
        "authorization": tenant.authorization,
        "source": source,
    }
    command = [sys.executable, str(HERE / "load.py")]
    done = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    seen: dict[str, Any] = json.loads(done.stdout)
    if set(seen["statuses"]) != {"200"}:
        raise RuntimeError(f"the load saw {seen['statuses']}")
    return seen
