"""Conditions: times that move with the status alone, and the summary of all."""

from __future__ import annotations

from collegium_core.manifests.status import ConditionStatus
from collegium_operator.conditions import Finding, merge, summary

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def test_the_time_moves_with_the_status() -> None:
    """Another reason or generation keeps the time of the last transition; another status sets it."""
    before = [
        {"type": "A", "status": "True", "lastTransitionTime": "then"},
        {"type": "B", "status": "True", "lastTransitionTime": "then"},
    ]
    findings = [Finding("A", TRUE, "Other"), Finding("B", FALSE, "Broken", "x" * 2000), Finding("C", TRUE, "New")]
    a, b, c = merge(before, findings, generation=4, now="now")
    assert ["then", "now", "now"] == [each.last_transition_time for each in (a, b, c)]
    assert ("Other", 4, 1024) == (a.reason, a.observed_generation, len(b.message))


def test_summary() -> None:
    """False wins over unknown, the first false one is named, and a negative condition is good when it is not true."""
    good, paused = Finding("A", TRUE, "Fine"), Finding("P", FALSE, "NotPaused")
    bad, open_ = Finding("B", FALSE, "Broken", "why"), Finding("C", UNKNOWN, "NotReached")
    negative = frozenset({"P"})
    assert Finding("Ready", TRUE, "Ready") == summary([good, paused], negative=negative)
    assert Finding("Ready", FALSE, "Broken", "why") == summary([good, open_, bad, paused], negative=negative)
    assert Finding("Ready", UNKNOWN, "NotReached") == summary([good, open_, paused], negative=negative)
    assert FALSE == summary([good, Finding("P", TRUE, "Paused")], negative=negative).status
