"""What is said of a Tenant: findings of each part, put together into its status. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from collegium_core.errors import Conflict, Unavailable
from collegium_core.manifests import CredentialFault
from collegium_core.manifests.status import ConditionStatus, CredentialStatus, PodsStatus, TenantStatus
from collegium_core.tenancy.record import TenantRecord
from collegium_operator.conditions import Finding, merge, summary
from collegium_operator.known import Deployed

__all__ = [
    "CONDITION_TYPES",
    "NOT_LOOKED_AT",
    "Report",
    "accepted",
    "api_available",
    "credentials_resolved",
    "endpoint",
    "indices_ready",
    "paused",
    "refused",
    "status_of",
    "terminating",
    "workers_available",
]

CONDITION_TYPES: Final = (
    "Ready",
    "SpecAccepted",
    "CredentialsResolved",
    "IndicesReady",
    "ApiAvailable",
    "WorkersAvailable",
    "ReconciliationPaused",
)
_NEGATIVE: Final = frozenset({"ReconciliationPaused"})

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN

NOT_LOOKED_AT: Final[Mapping[str, Finding]] = {
    type_: Finding(type_, UNKNOWN, "NotReached", "waits for what comes before it") for type_ in CONDITION_TYPES[1:-1]
} | {"ReconciliationPaused": Finding("ReconciliationPaused", FALSE, "NotPaused")}
"""What stands for each condition until a reconciliation has come that far."""


class Report(msgspec.Struct):
    """What a reconciliation has found so far."""

    findings: dict[str, Finding] = msgspec.field(default_factory=lambda: dict(NOT_LOOKED_AT))
    record: TenantRecord | None = None
    credentials: list[CredentialStatus] = msgspec.field(default_factory=list)
    api: Deployed | None = None
    workers: Deployed | None = None

    def add(self, finding: Finding) -> None:
        """Note *finding* in the place of what stood for its condition."""
        self.findings[finding.type] = finding


def accepted() -> Finding:
    """Return that the spec can be carried out."""
    return Finding("SpecAccepted", TRUE, "Accepted")


def refused(reason: str, message: str) -> Finding:
    """Return that the spec cannot be carried out, whoever tries."""
    return Finding("SpecAccepted", FALSE, reason, message)


def credentials_resolved(faults: Sequence[CredentialFault], total: int) -> Finding:
    """Whether every entry of ``authentication`` gives a credential; the message names those that do not."""
    if not faults:
        return Finding("CredentialsResolved", TRUE, "Resolved", f"{total} of {total} credentials")
    told = "; ".join(f"{fault.name}: {fault.detail}" for fault in faults)
    return Finding("CredentialsResolved", FALSE, faults[0].reason, told)


def indices_ready(problem: Unavailable | Conflict | None = None) -> Finding:
    """Whether record and stores are there; *problem* is what is away, or stands in their place."""
    if problem is not None:
        return Finding("IndicesReady", FALSE, _store_reason(problem), problem.detail)
    return Finding("IndicesReady", TRUE, "Provisioned")


def api_available(deployed: Deployed | None) -> Finding:
    """Whether pods serve the tenant."""
    return _available("ApiAvailable", "Api", deployed)


def workers_available(deployed: Deployed | None) -> Finding:
    """Whether pods index the tenant."""
    return _available("WorkersAvailable", "Workers", deployed)


def _available(type_: str, noun: str, deployed: Deployed | None) -> Finding:
    if deployed is None:
        return Finding(type_, FALSE, f"{noun}NotCreated", "the Deployment is not there yet")
    told = f"{deployed.ready} of {deployed.desired} pods are ready"
    if deployed.desired == 0:
        return Finding(type_, FALSE, f"{noun}ScaledToZero", told)
    if deployed.available:
        return Finding(type_, TRUE, f"{noun}Available", told)
    return Finding(type_, FALSE, f"{noun}Unavailable", told)


def paused() -> Finding:
    """Return that an annotation keeps the operator from touching what belongs to this Tenant."""
    return Finding("ReconciliationPaused", TRUE, "Annotated", "collegium.dev/pause-reconciliation is true")


def terminating(problem: Unavailable | Conflict) -> Finding:
    """Return that the Tenant is being deleted, and what its data wait for."""
    return Finding("Ready", FALSE, _store_reason(problem), f"data cannot be deleted now: {problem.detail}")


def _store_reason(problem: Unavailable | Conflict) -> str:
    return "BackendUnreachable" if isinstance(problem, Unavailable) else "IndexConflict"


def endpoint(record: TenantRecord, *, public_url: str, root_path: str) -> str:
    """Return the base URL of the tenant's LRS, or its path where the platform knows no public URL."""
    return f"{public_url.rstrip('/') or root_path}/{quote(record.display, safe='')}/xAPI"


def status_of(
    report: Report, before: Mapping[str, Any], *, generation: int, now: str, url: str = "", ready: Finding | None = None
) -> TenantStatus:
    """Return the whole status: *report*, the times kept from the status *before*, and the summary ``Ready`` of both.

    :param ready: said in the place of the summary.
    """
    findings: Iterable[Finding] = [report.findings[type_] for type_ in CONDITION_TYPES[1:]]
    record = report.record
    return TenantStatus(
        observed_generation=generation,
        slug=record.slug if record else "",
        endpoint=url if record else "",
        placement=record.placement if record else None,
        credentials=report.credentials,
        api=_pods(report.api),
        workers=_pods(report.workers),
        conditions=merge(
            before.get("conditions", ()),
            [ready or summary(findings, negative=_NEGATIVE), *findings],
            generation=generation,
            now=now,
        ),
    )


def _pods(deployed: Deployed | None) -> PodsStatus | None:
    return None if deployed is None else PodsStatus(desired=deployed.desired, ready=deployed.ready)
