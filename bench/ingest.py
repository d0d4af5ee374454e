"""What a statement costs on its way in: CPU per statement in the API and the worker, against a floor of the same run.

``make bench``. All ids are the client's, at least 100,000 statements are stored before the first figure, the duplicate
check and the indexer run, Valkey syncs always. Ratios compare figures of one run; absolute times are this machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from stack import cpu_seconds, pin, resident_mib, run_load, start_floor

from collegium_testing.services.valkey import ValkeyServer
from collegium_testing.stack import Stack, Tenant


def cost(stack: Stack, tenant: Tenant, name: str, **load: Any) -> tuple[float, dict[str, Any]]:
    """Return the CPU microseconds that process *name* spends per request of a load, and what the load saw."""
    pid = stack.processes[name].pid
    before = cpu_seconds(pid)
    seen = run_load(tenant, **load)
    return (cpu_seconds(pid) - before) * 1e6 / load["requests"], seen


def measure(
    stack: Stack, tenant: Tenant, *, redis_pid: int, rounds: int, stored: int, source: str, console: Console
) -> dict[str, Any]:
    """Return the figures over one stack."""
    floor, port, path = start_floor(stack), stack.ports[0], f"/{tenant.name}/xAPI/statements"
    preload: dict[str, Any] = {"port": port, "path": path, "batch": 500, "connections": 4, "source": source}
    for _ in track(range(stored // 10_000), description="storing", console=console):
        run_load(tenant, requests=20, **preload)
    asyncio.run(stack.settle(tenant, seconds=600))

    measured = [stack.processes[name].pid for name in ("floor", "api-0")]
    pin(measured, [stack.processes["worker"].pid, redis_pid, os.getpid()])  # the load inherits this process' place
    single: dict[str, Any] = {"requests": 6000, "batch": 1, "connections": 32, "source": source}
    batch: dict[str, Any] = {"requests": 300, "batch": 50, "connections": 8, "source": source}
    rows: list[dict[str, float]] = []
    for _ in track(range(rounds), description="measuring", console=console):
        base, _ = cost(stack, tenant, "floor", port=floor, path="/", **single)
        ours, seen = cost(stack, tenant, "api-0", port=port, path=path, **single)
        asyncio.run(stack.settle(tenant))
        worker_before = cpu_seconds(stack.processes["worker"].pid)
        batched, batch_seen = cost(stack, tenant, "api-0", port=port, path=path, **batch)
        asyncio.run(stack.settle(tenant))
        worker = (cpu_seconds(stack.processes["worker"].pid) - worker_before) * 1e6 / (300 * 50)
        rows.append(
            {
                "floor µs": base,
                "single µs": ours,
                "ratio": ours / base,
                "single/s": seen["requests"] / seen["seconds"],
                "single p99 ms": seen["p99"],
                "batch µs/statement": batched / 50,
                "batch statements/s": 50 * batch_seen["requests"] / batch_seen["seconds"],
                "worker µs/statement": worker,
            }
        )
    figures: dict[str, Any] = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    figures["api MiB"] = resident_mib(stack.processes["api-0"].pid)
    figures["worker MiB"] = resident_mib(stack.processes["worker"].pid)
    return figures


@contextlib.contextmanager
def valkey(folder: Path) -> Iterator[ValkeyServer]:
    """Yield a Valkey that syncs always and is gone at the end."""
    server = ValkeyServer(folder).start()
    try:
        yield server
    finally:
        server.stop()


def main() -> None:
    """Measure on SQLite, and on OpenSearch where its URL is given; print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stored", type=int, default=100_000)
    parser.add_argument("--source", default=os.environ.get("COLLEGIUM_REAL_STATEMENTS", ""))
    parser.add_argument("--opensearch-url", default=os.environ.get("OPENSEARCH_URL", ""))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "ingest.json")
    options = parser.parse_args()
    console = Console(stderr=True)
    results: dict[str, Any] = {}
    for store, url in {
        "sqlite": "",
        **({"opensearch": options.opensearch_url} if options.opensearch_url else {}),
    }.items():
        with (
            tempfile.TemporaryDirectory(prefix="collegium-bench-") as folder,
            valkey(Path(folder) / "valkey") as redis,
            Stack(Path(folder), redis.url, opensearch_url=url) as stack,
        ):
            results[store] = measure(
                stack,
                asyncio.run(stack.make_tenant("bench")),
                redis_pid=redis.pid,
                rounds=options.rounds,
                stored=options.stored,
                source=options.source,
                console=console,
            )
    table = Table(title=f"Ingestion, median of {options.rounds} rounds")
    table.add_column("figure")
    for store in results:
        table.add_column(store, justify="right")
    for key in next(iter(results.values())):
        table.add_row(key, *(f"{results[store][key]:,.2f}" for store in results))
    Console().print(table)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "when": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "stored": options.stored,
        "figures": results,
    }
    options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
