"""Conditions as Kubernetes means them: set by type, with the time of the last change of status, and one summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from collegium_core.manifests.status import Condition, ConditionStatus

__all__ = ["Finding", "merge", "summary"]

_LONGEST_MESSAGE = 1024


class Finding(msgspec.Struct, frozen=True):
    """What a reconciliation found out about one condition."""

    type: str
    status: ConditionStatus
    reason: str
    message: str = ""


def summary(findings: Iterable[Finding], *, negative: frozenset[str] = frozenset()) -> Finding:
    """Return ``Ready``: true when every finding is, false with reason and message of the first that is not.

    Findings of the types in *negative* are good when they are not true. One that is unknown makes ``Ready`` unknown
    only where none is false.
    """
    unknown: Finding | None = None
    for finding in findings:
        good = ConditionStatus.FALSE if finding.type in negative else ConditionStatus.TRUE
        if finding.status == good:
            continue
        if finding.status == ConditionStatus.UNKNOWN:
            unknown = unknown or finding
            continue
        return Finding("Ready", ConditionStatus.FALSE, finding.reason, finding.message)
    if unknown is not None:
        return Finding("Ready", ConditionStatus.UNKNOWN, unknown.reason, unknown.message)
    return Finding("Ready", ConditionStatus.TRUE, "Ready")


def merge(
    before: Iterable[Mapping[str, object]], findings: Iterable[Finding], *, generation: int, now: str
) -> list[Condition]:
    """Return *findings* as conditions; the time of one whose status is as *before* stays as it was."""
    times = {
        (str(each.get("type")), str(each.get("status"))): str(each["lastTransitionTime"])
        for each in before
        if "lastTransitionTime" in each
    }
    return [
        Condition(
            type=finding.type,
            status=finding.status,
            reason=finding.reason,
            last_transition_time=times.get((finding.type, finding.status.value), now),
            message=finding.message[:_LONGEST_MESSAGE],
            observed_generation=generation,
        )
        for finding in findings
    ]
