"""What is said of a Tenant: every condition from the first visit on, and nothing that is a secret."""

from __future__ import annotations

import msgspec

from collegium_core.errors import Conflict, Unavailable
from collegium_core.manifests import CredentialFault
from collegium_core.tenancy.record import TenantRecord
from collegium_operator.known import Deployed
from collegium_operator.tenants import status
from collegium_operator.tenants.status import CONDITION_TYPES, Report, status_of

RECORD = TenantRecord("t-acme-x", "Acme U / 1", "acme")


def test_every_condition_is_there_from_the_first_visit() -> None:
    """A report that came nowhere leaves every condition unknown, and the generation seen is told."""
    found = status_of(Report(), {}, generation=3, now="now")
    assert list(CONDITION_TYPES) == [each.type for each in found.conditions]
    assert {"Unknown", "False"} == {each.status.value for each in found.conditions}
    assert ("Unknown", "NotReached") == (found.conditions[0].status.value, found.conditions[0].reason)
    assert {3} == {found.observed_generation, *(each.observed_generation for each in found.conditions)}
    assert "slug" not in msgspec.to_builtins(found)


def test_a_tenant_that_is_well() -> None:
    """All true is Ready; pods, slug, endpoint and placement are told."""
    report = Report(record=RECORD, api=Deployed(2, 2, available=True), workers=Deployed(1, 1, available=True))
    for finding in (
        status.accepted(),
        status.credentials_resolved([], 2),
        status.indices_ready(),
        status.api_available(report.api),
        status.workers_available(report.workers),
    ):
        report.add(finding)
    found = msgspec.to_builtins(status_of(report, {}, generation=1, now="now", url="/x"))
    assert {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "lastTransitionTime": "now",
        "observedGeneration": 1,
    } == found["conditions"][0]
    assert ("t-acme-x", "/x", "Dedicated", {"desired": 2, "ready": 2}) == tuple(
        found[key] for key in ("slug", "endpoint", "placement", "api")
    )


def test_findings() -> None:
    """Each finding names a reason that a machine can read and a message that helps."""
    fault = CredentialFault("lms", "SecretNotFound", "there is no Secret 'x'")
    finding = status.credentials_resolved([fault], 1)
    assert ("SecretNotFound", "lms: there is no Secret 'x'") == (finding.reason, finding.message)
    assert "ApiNotCreated" == status.api_available(None).reason
    assert "WorkersScaledToZero" == status.workers_available(Deployed(0, 0, available=True)).reason
    assert "ApiUnavailable" == status.api_available(Deployed(2, 1, available=False)).reason
    away, taken = status.indices_ready(Unavailable("away")), status.terminating(Conflict("not made for this tenant"))
    assert ("BackendUnreachable", "away") == (away.reason, away.message)
    assert ("IndexConflict", "data cannot be deleted now: not made for this tenant") == (taken.reason, taken.message)


def test_endpoint() -> None:
    """The name is quoted as one element of the path; the public URL stands before it where there is one."""
    assert "/Acme%20U%20%2F%201/xAPI" == status.endpoint(RECORD, public_url="", root_path="")
    assert "/lrs/Acme%20U%20%2F%201/xAPI" == status.endpoint(RECORD, public_url="", root_path="/lrs")
    assert "https://x.example/Acme%20U%20%2F%201/xAPI" == status.endpoint(
        RECORD, public_url="https://x.example/", root_path=""
    )
