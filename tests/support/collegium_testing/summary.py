"""The last words of a run: what each tier did, what it skipped, why, and the command that would change this."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path

import pytest

__all__ = ["TIERS", "Summary", "tier_of"]

TIERS = {
    "unit": "nothing",
    "contract": "Valkey, SQLite; OpenSearch, S3, Redis 7, Valkey cluster",
    "api": "the embedded stack",
    "chart": "helm and kubectl",
    "control_plane": "a Kubernetes control plane",
    "e2e": "all of the above",
    "chaos": "the embedded stack, real processes",
}
"""The folders under ``tests`` and what each needs."""

_TESTS = Path(__file__).resolve().parents[2]


def tier_of(path: Path) -> str | None:
    """Return the tier that the test file *path* belongs to, None when it is in none."""
    if not path.is_relative_to(_TESTS):
        return None
    first = path.relative_to(_TESTS).parts[0]
    return first if first in TIERS else None


class Summary:
    """A pytest plugin that counts outcomes and reasons per tier."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self.outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self.reasons: dict[str, Counter[str]] = defaultdict(Counter)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the outcome of one phase of one test."""
        tier = tier_of(_TESTS.parent / report.nodeid.split("::", 1)[0])
        if tier is None:
            return
        if report.when == "call" and report.outcome == "passed":
            self.outcomes[tier]["passed"] += 1
        elif report.outcome == "failed":
            self.outcomes[tier]["failed" if report.when == "call" else "error"] += 1
        elif report.outcome == "skipped":
            self.outcomes[tier]["skipped"] += 1
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.wasxfail
            self.reasons[tier][str(reason).removeprefix("Skipped: ")] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write one line per tier and one per reason."""
        write = terminalreporter.write_line
        terminalreporter.write_sep("=", "tiers")
        for tier, needs in TIERS.items():
            counts = self.outcomes.get(tier)
            if not counts:
                why = "nothing collected" if os.environ.get("COLLEGIUM_TEST_TIER") != "fast" else "not in test-fast"
                write(f"{tier:13} not run ({why}; needs {needs}; all tiers: make test)")
                continue
            names = [name for name in ("passed", "failed", "error", "skipped") if counts[name]]
            write(f"{tier:13} {', '.join(f'{counts[name]} {name}' for name in names)}")
            for reason, count in self.reasons[tier].most_common():
                write(f"{'':13}   {count} skipped: {reason}")
