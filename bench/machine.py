"""One machine as a user has it: time to ready, import of many statements until they are searchable, memory afterwards.

``make bench`` runs it after ``ingest.py``. The statements are the real ones that ``COLLEGIUM_REAL_STATEMENTS`` names,
else made by ``collegium demo``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from stack import cpu_seconds, resident_mib

from collegium_testing.up import OneMachine, collegium

STATEMENTS = 22_000


def source(folder: Path) -> Path:
    """Return a file of statements."""
    if real := os.environ.get("COLLEGIUM_REAL_STATEMENTS"):
        return Path(real)
    made = folder / "made.jsonl"
    with made.open("wb") as out:
        command = [
            str(Path(sys.executable).with_name("collegium")),
            "demo",
            "--stdout",
            "--statements",
            str(STATEMENTS),
        ]
        subprocess.run(command, stdout=out, check=True)
    return made


def indexed_statements(machine: OneMachine) -> float:
    """Return how many statements the machine's metrics say are indexed."""
    with urllib.request.urlopen(machine.ready["metrics_url"], timeout=5) as answer:  # noqa: S310 - our own process
        lines = answer.read().decode().splitlines()
    series = 'collegium_statements_indexed_total{tenant="acme"} '
    return sum(float(line.removeprefix(series)) for line in lines if line.startswith(series))


def measure(folder: Path) -> dict[str, Any]:
    """Return the figures."""
    file = source(folder)
    began = time.perf_counter()
    machine = OneMachine(folder)
    machine.write_tenant("acme")
    with machine:
        ready = time.perf_counter() - began
        before = {name: cpu_seconds(pid) for name, pid in machine.children().items()}
        began = time.perf_counter()
        done = collegium("import", "acme", str(file), "--data", machine.data)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        accepted = time.perf_counter() - began
        while indexed_statements(machine) < STATEMENTS:
            time.sleep(0.05)
        indexed = time.perf_counter() - began
        figures: dict[str, Any] = {
            "ready s": ready,
            "import accepted/s": STATEMENTS / accepted,
            "import searchable/s": STATEMENTS / indexed,
        }
        for name, pid in machine.children().items():
            figures[f"{name} CPU s"] = cpu_seconds(pid) - before[name]
            figures[f"{name} MiB"] = resident_mib(pid)
        return figures


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "machine.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="collegium-bench-") as folder:
        figures = measure(Path(folder))
    table = Table("figure", "value", title=f"One machine, {STATEMENTS:,} statements")
    for key, value in figures.items():
        table.add_row(key, f"{value:,.2f}")
    Console().print(table)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"when": time.strftime("%Y-%m-%d"), "figures": figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
