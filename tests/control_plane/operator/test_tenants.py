"""Tenants in a real API server: what the operator makes of them, says of them, and leaves of them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from collegium_core.security.credentials import digest_key, make_key
from collegium_core.security.passwords import verify_password
from collegium_core.tenancy.names import parse_name
from collegium_core.tenancy.record import CredentialKind, Placement, TenantRecord, TenantState
from collegium_testing.release import OperatorProcess, Release, eventually
from collegium_testing.services.cluster import Cluster

pytestmark = pytest.mark.timeout(180)

Registry = Callable[[str], TenantRecord | None]
Tenants = Any


def indices(opensearch_url: str, name: str) -> set[str]:
    """Return the names of the indices of a tenant of its own placement."""
    with urllib.request.urlopen(f"{opensearch_url}/_cat/indices?format=json", timeout=10) as answer:  # noqa: S310 - loopback
        return {each["index"] for each in json.load(answer) if parse_name(name).slug in each["index"]}


def ask(url: str, method: str, body: Any = None) -> None:
    """Do something in OpenSearch as someone else would."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310 - loopback
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - same


def owners(opensearch_url: str, name: str) -> set[str]:
    """Return whose a tenant's indices are, as they say themselves."""
    with urllib.request.urlopen(f"{opensearch_url}/c-{parse_name(name).slug}-*/_mapping", timeout=10) as answer:  # noqa: S310 - loopback
        return {each["mappings"]["_meta"]["owner"] for each in json.load(answer).values()}


def deployments(cluster: Cluster, namespace: str, labels: str) -> dict[str, Any]:
    found: Any = cluster.get("deployments", "-n", namespace, "-l", labels)
    return {each["metadata"]["name"]: each for each in found["items"]}


def test_an_example_becomes_a_tenant(
    operator: OperatorProcess,
    release: Release,
    tenants: Tenants,
    registry: Registry,
    opensearch_url: str,
    unique: str,
) -> None:
    """``kubectl apply`` of the example gives a record, indices, shared pods, and true conditions of its generation."""
    display = f"Acme {unique}"
    tenants.example("acme", display)
    eventually(lambda: tenants.has("acme", "Ready", "True"), what="acme is ready", timeout=60)

    tenant = tenants.get("acme")
    expected = {"Ready", "SpecAccepted", "CredentialsResolved", "IndicesReady", "ApiAvailable", "WorkersAvailable"}
    assert expected == {type_ for type_, each in tenants.conditions("acme").items() if each["status"] == "True"}
    assert {tenant["metadata"]["generation"]} == {each["observedGeneration"] for each in tenant["status"]["conditions"]}
    slug = parse_name(display).slug
    assert (slug, f"/Acme%20{unique}/xAPI", "Dedicated") == tuple(
        tenant["status"][key] for key in ("slug", "endpoint", "placement")
    )
    assert "finalizers" not in tenant["metadata"]  # Retain: deleting it never waits for anybody

    record = registry(display)
    assert record is not None
    [credential] = record.credentials
    assert ("lms", "acme-lms", CredentialKind.PASSWORD, ("all",)) == (
        credential.name,
        credential.username,
        credential.kind,
        credential.scopes,
    )
    assert verify_password(b"orchard-lantern-52", credential.digest)
    assert f"{tenants.namespace}/acme/{tenant['metadata']['uid']}" == record.owner
    assert {record.owner} == owners(opensearch_url, display)

    line = release.cluster.kubectl("-n", tenants.namespace, "get", "tenants", "acme", "--no-headers").split()
    assert ["acme", slug, "Active", "True", "Ready", "1", "Retain"] == line[:7]


def test_shared_objects_belong_to_the_operator(operator: OperatorProcess, release: Release) -> None:
    """ConfigMap, Service and Deployments are owned by the operator's Deployment and run the commands as they are."""
    names = (
        "configmap/collegium-platform",
        "service/collegium-api",
        "deployment/collegium-api",
        "deployment/collegium-worker-index",
    )
    get = release.cluster.get
    own: Any = get("deployment", "collegium-operator", "-n", release.namespace)
    for name in names:
        each: Any = eventually(lambda name=name: _exists(release, name), what=name)
        [owner] = each["metadata"]["ownerReferences"]
        assert own["metadata"]["uid"] == owner["uid"]
        assert "collegium-operator" in {entry["manager"] for entry in each["metadata"]["managedFields"]}
    api: Any = get("deployment", "collegium-api", "-n", release.namespace)
    [container] = api["spec"]["template"]["spec"]["containers"]
    assert (["collegium"], ["api"]) == (container["command"], container["args"])
    worker: Any = get("deployment", "collegium-worker-index", "-n", release.namespace)
    [container] = worker["spec"]["template"]["spec"]["containers"]
    assert ["worker", "--role", "index"] == container["args"]


def _exists(release: Release, name: str) -> Any:
    found = release.cluster.kubectl(
        "-n", release.namespace, "get", name, "-o", "json", "--ignore-not-found", "--show-managed-fields"
    )
    return json.loads(found) if found else None


@pytest.mark.parametrize("name", ["deployment/collegium-api", "service/collegium-api", "configmap/collegium-platform"])
def test_a_deleted_child_comes_back(operator: OperatorProcess, release: Release, name: str) -> None:
    """Deleting what the operator made brings it back, without waiting for the resync."""
    before = eventually(lambda: _exists(release, name), what=name)["metadata"]["uid"]
    release.cluster.kubectl("-n", release.namespace, "delete", name)
    after = eventually(lambda: _exists(release, name), what=f"{name} is back", timeout=10)
    assert before != after["metadata"]["uid"]


def test_drift_is_corrected(operator: OperatorProcess, release: Release) -> None:
    """A changed field of ours is set back; a field that others added stays theirs."""
    eventually(lambda: _exists(release, "deployment/collegium-api"), what="the API's Deployment")
    patch = {"metadata": {"annotations": {"theirs": "stays"}}, "spec": {"replicas": 7}}
    release.cluster.kubectl("-n", release.namespace, "patch", "deployment", "collegium-api", "-p", json.dumps(patch))
    eventually(
        lambda: _exists(release, "deployment/collegium-api")["spec"]["replicas"] == 1, what="one replica", timeout=10
    )
    assert _exists(release, "deployment/collegium-api")["metadata"]["annotations"]["theirs"] == "stays"


def test_a_changed_configuration_rolls_the_pods(operator: OperatorProcess, release: Release) -> None:
    """Another Secret of addresses changes the pods' template; nothing of the Secret is in it."""

    def mark() -> str:
        template = eventually(lambda: _exists(release, "deployment/collegium-api"), what="it")["spec"]["template"]
        return str(template["metadata"]["annotations"]["collegium.dev/config-hash"])

    before = mark()
    patch = json.dumps({"stringData": {"object-store-url": "s3://bucket/prefix"}})
    release.cluster.kubectl("-n", release.namespace, "patch", "secret", "collegium-connections", "-p", patch)
    eventually(lambda: mark() != before, what="another hash", timeout=10)


def test_spec_changes_reach_the_record(
    operator: OperatorProcess, tenants: Tenants, registry: Registry, unique: str
) -> None:
    """The state is in the record as soon as ``observedGeneration`` is that of the change."""
    name = f"change-{unique}"
    tenants.apply(name, {"storage": {"placement": "Pooled"}})
    eventually(lambda: tenants.has(name, "IndicesReady", "True"), what="indices", timeout=40)
    record = registry(name)
    assert record is not None
    assert (TenantState.ACTIVE, Placement.POOLED) == (record.state, record.placement)
    tenants.apply(name, {"storage": {"placement": "Pooled"}, "state": "Suspended"})
    eventually(lambda: tenants.has(name, "SpecAccepted", "True"), what="second generation")
    record = registry(name)
    assert record is not None
    assert (TenantState.SUSPENDED, 2) == (record.state, record.generation)


def test_credentials_follow_their_secret(
    operator: OperatorProcess, release: Release, tenants: Tenants, registry: Registry, unique: str
) -> None:
    """A missing Secret is named by a condition, a new one counts at once, a deleted one closes the door."""
    name = f"creds-{unique}"
    spec = {
        "authentication": [{"name": "lms", "basic": {"secretRef": {"name": f"{name}-lms"}}}],
        "storage": {"placement": "Pooled"},
    }
    tenants.apply(name, spec)
    eventually(
        lambda: tenants.has(name, "CredentialsResolved", "False", "SecretNotFound"), what="condition", timeout=40
    )
    assert f"{name}-lms" in tenants.conditions(name)["CredentialsResolved"]["message"]

    def digests() -> list[str]:
        record = registry(name)
        return [credential.digest for credential in record.credentials] if record else []

    first, second = make_key(), make_key()
    tenants.secret(f"{name}-lms", username="u", password=first)
    eventually(lambda: digests() == [digest_key(first)], what="first key", timeout=5)
    eventually(lambda: tenants.has(name, "CredentialsResolved", "True"), what="condition")
    tenants.secret(f"{name}-lms", username="u", password=second)
    eventually(lambda: digests() == [digest_key(second)], what="second key", timeout=5)
    release.cluster.kubectl("-n", tenants.namespace, "delete", "secret", f"{name}-lms")
    eventually(lambda: digests() == [], what="no key", timeout=5)
    for text in (json.dumps(tenants.get(name)), operator.log.read_text(), operator.ask("/metrics")[1]):
        assert first not in text
        assert second not in text


def test_a_name_belongs_to_the_oldest(
    operator: OperatorProcess, tenants: Tenants, registry: Registry, unique: str
) -> None:
    """Of two Tenants of one name the older has it; the other is refused and takes over when the first has gone."""
    spec = {"name": f"Rival {unique}", "storage": {"placement": "Pooled"}}
    tenants.apply(f"a-{unique}", spec)
    eventually(lambda: tenants.has(f"a-{unique}", "SpecAccepted", "True"), what="the first", timeout=40)
    first = registry(f"rival {unique}")
    assert first is not None
    eventually(lambda: tenants.get(f"a-{unique}") is not None, what="a second later")
    tenants.apply(f"b-{unique}", {**spec, "name": f"RIVAL {unique}"})
    eventually(lambda: tenants.has(f"b-{unique}", "SpecAccepted", "False", "SlugInUse"), what="refused")
    assert first == registry(f"rival {unique}")
    assert "slug" not in tenants.get(f"b-{unique}")["status"]
    tenants.delete(f"a-{unique}")
    eventually(lambda: tenants.has(f"b-{unique}", "SpecAccepted", "True"), what="promoted")
    second = registry(f"rival {unique}")
    assert second is not None
    assert f"/b-{unique}/" in second.owner


def test_a_reserved_word_beyond_ascii_is_refused_by_the_operator(
    operator: OperatorProcess, tenants: Tenants, unique: str
) -> None:
    """What no expression can see, the condition says."""
    tenants.apply(f"odd-{unique}", {"name": "\uff58\uff41\uff50\uff49"})
    eventually(lambda: tenants.has(f"odd-{unique}", "SpecAccepted", "False", "InvalidName"), what="refused")
    assert tenants.has(f"odd-{unique}", "Ready", "False", "InvalidName")


def test_retain_closes_the_door_and_keeps_the_data(
    operator: OperatorProcess, tenants: Tenants, registry: Registry, opensearch_url: str, unique: str
) -> None:
    """Deleting a Tenant that retains takes its record away and leaves its indices; made again it has them again."""
    name = f"keep-{unique}"
    tenants.apply(name)
    eventually(lambda: tenants.has(name, "IndicesReady", "True"), what="indices", timeout=40)
    before, owner = indices(opensearch_url, name), owners(opensearch_url, name)
    assert before
    tenants.delete(name)
    eventually(lambda: registry(name) is None, what="the door is closed", timeout=5)
    assert before == indices(opensearch_url, name)
    tenants.apply(name)
    eventually(lambda: tenants.has(name, "IndicesReady", "True"), what="taken on again")
    assert before == indices(opensearch_url, name)
    [new] = owners(opensearch_url, name)
    assert owner != {new}
    assert new.endswith(tenants.get(name)["metadata"]["uid"])


def test_delete_drops_the_data(
    operator: OperatorProcess, tenants: Tenants, registry: Registry, opensearch_url: str, unique: str
) -> None:
    """A Tenant that deletes carries a finalizer, and is gone only when record and indices are."""
    name = f"drop-{unique}"
    tenants.apply(name, {"deletionPolicy": "Delete"})
    eventually(lambda: tenants.has(name, "IndicesReady", "True"), what="indices", timeout=40)
    assert ["collegium.dev/operator"] == tenants.get(name)["metadata"]["finalizers"]
    tenants.apply(name, {"deletionPolicy": "Retain"})
    eventually(lambda: "finalizers" not in tenants.get(name)["metadata"], what="no finalizer")
    tenants.apply(name, {"deletionPolicy": "Delete"})
    eventually(lambda: "finalizers" in tenants.get(name)["metadata"], what="a finalizer again")
    tenants.delete(name)
    assert tenants.get(name) is None
    assert registry(name) is None
    assert set() == indices(opensearch_url, name)


def test_an_index_of_someone_else_is_left_alone(
    operator: OperatorProcess, tenants: Tenants, opensearch_url: str, unique: str
) -> None:
    """An index of the tenant's name that says it is another's is neither used nor deleted; the condition says so."""
    name = f"taken-{unique}"
    index = f"{opensearch_url}/c-{parse_name(name).slug}-statements"
    body = {"mappings": {"_meta": {"schema": 1, "class": "statements", "tenant": "t-someone", "owner": ""}}}
    ask(index, "PUT", body)
    tenants.apply(name, {"deletionPolicy": "Delete"})
    eventually(lambda: tenants.has(name, "IndicesReady", "False", "IndexConflict"), what="said", timeout=40)
    tenants.delete(name, wait=False)
    eventually(lambda: tenants.has(name, "Ready", "False", "IndexConflict"), what="its data wait", timeout=40)
    ask(index, "DELETE")
    eventually(lambda: tenants.get(name) is None, what="gone", timeout=60)


def test_deleting_a_refused_rival_leaves_the_other_alone(
    operator: OperatorProcess, tenants: Tenants, registry: Registry, opensearch_url: str, unique: str
) -> None:
    """A Tenant that was refused the name drops nothing of the one that has it, though it deletes."""
    tenants.apply(f"a-{unique}", {"name": f"both {unique}"})
    eventually(lambda: tenants.has(f"a-{unique}", "IndicesReady", "True"), what="the first", timeout=40)
    before, record = indices(opensearch_url, f"both {unique}"), registry(f"both {unique}")
    tenants.apply(f"b-{unique}", {"name": f"both {unique}", "deletionPolicy": "Delete"})
    eventually(lambda: tenants.has(f"b-{unique}", "SpecAccepted", "False", "SlugInUse"), what="refused")
    tenants.delete(f"b-{unique}")
    assert (before, record) == (indices(opensearch_url, f"both {unique}"), registry(f"both {unique}"))
    assert before


def test_dedicated_pods_come_and_go(operator: OperatorProcess, release: Release, tenants: Tenants, unique: str) -> None:
    """``Dedicated`` makes Deployments that carry the Tenant's uid, ``Shared`` and deletion collect them."""
    name = f"own-{unique}"
    pooled = {"storage": {"placement": "Pooled"}}
    tenants.apply(name, {**pooled, "api": {"mode": "Dedicated"}, "workers": {"mode": "Dedicated"}})
    eventually(lambda: tenants.has(name, "Ready", "True"), what="ready", timeout=60)
    uid = tenants.get(name)["metadata"]["uid"]
    labels = f"collegium.dev/tenant-uid={uid}"
    slug = parse_name(name).slug
    own = deployments(release.cluster, release.namespace, labels)
    assert {f"collegium-api-{slug}", f"collegium-worker-index-{slug}"} == set(own)
    for each in own.values():
        [container] = each["spec"]["template"]["spec"]["containers"]
        assert {"name": "COLLEGIUM_SERVE_TENANT", "value": slug} in container["env"]
    for name_of_shared in ("collegium-api", "collegium-worker-index"):
        shared = eventually(lambda name=name_of_shared: _exists(release, f"deployment/{name}"), what=name_of_shared)
        assert "COLLEGIUM_SERVE_TENANT" not in json.dumps(shared["spec"])
    assert _exists(release, f"service/collegium-api-{slug}")
    release.cluster.kubectl("-n", release.namespace, "delete", "deployment", f"collegium-api-{slug}")
    eventually(lambda: _exists(release, f"deployment/collegium-api-{slug}"), what="it is back", timeout=10)
    tenants.apply(name, {**pooled, "api": {"mode": "Shared"}, "workers": {"mode": "Dedicated"}})
    eventually(
        lambda: {f"collegium-worker-index-{slug}"} == set(deployments(release.cluster, release.namespace, labels)),
        what="the API is shared",
    )
    assert _exists(release, f"service/collegium-api-{slug}") is None
    tenants.delete(name)
    eventually(lambda: not deployments(release.cluster, release.namespace, labels), what="collected")


def test_pause(operator: OperatorProcess, tenants: Tenants, registry: Registry, unique: str) -> None:
    """The annotation stops everything but deletion, says so, and is over when it is taken away."""
    name = f"pause-{unique}"
    spec = {"storage": {"placement": "Pooled"}}
    tenants.apply(name, spec)
    eventually(lambda: tenants.has(name, "Ready", "True"), what="ready", timeout=60)
    tenants.apply(name, {**spec, "state": "Suspended"}, annotations={"collegium.dev/pause-reconciliation": "true"})

    def paused() -> bool:
        conditions = {each["type"]: each for each in tenants.get(name)["status"]["conditions"]}
        return bool(conditions["ReconciliationPaused"]["status"] == "True")

    eventually(paused, what="paused")
    assert tenants.get(name)["status"]["observedGeneration"] == 1
    record = registry(name)
    assert record is not None
    assert record.state == TenantState.ACTIVE
    tenants.apply(name, {**spec, "state": "Suspended"})
    eventually(lambda: tenants.has(name, "Ready", "True"), what="goes on")
    record = registry(name)
    assert record is not None
    assert record.state == TenantState.SUSPENDED
