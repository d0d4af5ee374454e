"""The operator as a process: restarts, a second one, dependencies that are away, rights, memory and speed."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collegium_core.tenancy.record import TenantRecord
from collegium_testing.release import Release, eventually
from collegium_testing.services.cluster import Cluster
from collegium_testing.services.valkey import ValkeyServer

pytestmark = pytest.mark.timeout(240)

Registry = Callable[[str], TenantRecord | None]
Tenants = Any
POOLED = {"storage": {"placement": "Pooled"}}
MANY = 300


@pytest.fixture
def second_namespace(control_plane: Cluster) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


def test_what_happened_while_it_was_away(release: Release, tenants: Tenants, registry: Registry, unique: str) -> None:
    """After a restart the door of a Tenant deleted meanwhile is closed, its pods go, a deleted child is back."""
    name, other = f"gone-{unique}", f"stays-{unique}"
    first = release.operator()
    tenants.apply(name, {**POOLED, "api": {"mode": "Dedicated"}})
    tenants.apply(other, POOLED)
    eventually(
        lambda: tenants.has(name, "Ready", "True") and tenants.has(other, "Ready", "True"), what="ready", timeout=60
    )
    record = registry(other)
    first.kill()
    labels = f"collegium.dev/tenant-uid={tenants.get(name)['metadata']['uid']}"
    tenants.delete(name)
    release.cluster.kubectl("-n", release.namespace, "delete", "deployment", "collegium-worker-index")
    assert registry(name) is not None
    second = release.operator()
    eventually(lambda: registry(name) is None, what="the door is closed", timeout=40)
    eventually(
        lambda: not release.cluster.kubectl("-n", release.namespace, "get", "deployments", "-l", labels, "-o", "name"),
        what="its pods are collected",
    )
    eventually(
        lambda: release.cluster.kubectl(
            "-n", release.namespace, "get", "deployment", "collegium-worker-index", "-o", "name", "--ignore-not-found"
        ),
        what="the worker is back",
    )
    assert record == registry(other)
    assert second.stop() == 0


def test_a_second_operator_stands_by(release: Release, tenants: Tenants, registry: Registry, unique: str) -> None:
    """Two operators do not work at the same time; the second takes over at once when the first is told to end."""
    first = release.operator()
    second = release.operator()
    try:
        lease: Any = release.cluster.get("lease", "collegium-operator", "-n", release.namespace)
        assert lease["spec"]["holderIdentity"] == first.pod
        assert second.ask("/readyz")[0] == 200
        assert first.stop() == 0
        tenants.apply(f"next-{unique}", POOLED)
        eventually(lambda: tenants.has(f"next-{unique}", "IndicesReady", "True"), what="the second works", timeout=30)
        lease = release.cluster.get("lease", "collegium-operator", "-n", release.namespace)
        assert lease["spec"]["holderIdentity"] == second.pod
    finally:
        first.kill()
        second.kill()


def test_redis_comes_back(release: Release, tenants: Tenants, valkey_server: ValkeyServer, unique: str) -> None:
    """Without Redis the condition says what is away, the operator lives on, and all is well when Redis is back."""
    operator = release.operator(COLLEGIUM_REDIS_URL=valkey_server.url)
    try:
        valkey_server.stop()
        tenants.apply(f"away-{unique}", POOLED)
        eventually(
            lambda: tenants.has(f"away-{unique}", "IndicesReady", "False", "BackendUnreachable"),
            what="said",
            timeout=40,
        )
        assert operator.ask("/healthz")[0] == 200
        valkey_server.start()
        eventually(lambda: tenants.has(f"away-{unique}", "IndicesReady", "True"), what="well again", timeout=90)
    finally:
        operator.kill()


def test_a_tenant_whose_data_cannot_be_deleted(
    release: Release, tenants: Tenants, valkey_server: ValkeyServer, unique: str
) -> None:
    """With a store away it stays and says why; the annotation lets it go and leaves its data where they are."""
    operator = release.operator(COLLEGIUM_REDIS_URL=valkey_server.url)
    name = f"stuck-{unique}"
    spec = {**POOLED, "deletionPolicy": "Delete"}
    try:
        tenants.apply(name, spec)
        eventually(lambda: tenants.has(name, "IndicesReady", "True"), what="provisioned", timeout=40)
        valkey_server.stop()
        tenants.delete(name, wait=False)
        eventually(lambda: tenants.has(name, "Ready", "False", "BackendUnreachable"), what="said", timeout=40)
        time.sleep(2)
        assert tenants.get(name) is not None
        tenants.cluster.kubectl("-n", tenants.namespace, "annotate", "tenant", name, "collegium.dev/abandon=true")
        eventually(lambda: tenants.get(name) is None, what="gone", timeout=20)
    finally:
        operator.kill()


def _ready(tenant: Any) -> bool:
    conditions = tenant.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def test_many_tenants(release: Release, tmp_path: Path, unique: str) -> None:
    """Hundreds of Tenants at once become right, in less than 200 MB of memory."""
    file = tmp_path / "many.yaml"
    documents = [
        {
            "apiVersion": "collegium.dev/v1alpha1",
            "kind": "Tenant",
            "metadata": {"name": f"m{number}-{unique}", "namespace": release.namespace},
            "spec": POOLED,
        }
        for number in range(MANY)
    ]
    file.write_text("\n---\n".join(json.dumps(document) for document in documents))
    operator = release.operator()
    started = time.monotonic()
    release.cluster.kubectl("create", "-f", file, timeout=120)
    applied = time.monotonic()

    def all_ready() -> bool:
        found: Any = release.cluster.get("tenants", "-n", release.namespace)
        mine = [each for each in found["items"] if each["metadata"]["name"].endswith(unique)]
        return [_ready(each) for each in mine] == [True] * MANY

    try:
        eventually(all_ready, what="all are ready", timeout=150)
        took = time.monotonic() - started
        memory = operator.memory_bytes()
        text = operator.ask("/metrics")[1]
        count = sum(
            float(line.split()[-1])
            for line in text.splitlines()
            if line.startswith("collegium_operator_reconciliations_total{")
        )
        print(
            f"{MANY} tenants created in {applied - started:.1f} s, ready after {took:.1f} s, {count:.0f} runs, "
            f"{memory / 2**20:.0f} MiB"
        )
        assert memory < 200 * 10**6
        assert count >= MANY
    finally:
        operator.kill()


def test_all_namespaces_and_kept_data(
    release: Release, tenants: Tenants, registry: Registry, second_namespace: str, unique: str, values: dict[str, Any]
) -> None:
    """With a ClusterRole every namespace counts; kept data are another namespace's only with the former uid."""
    release.install({**values, "watchNamespaces": []})
    operator = release.operator()
    elsewhere = type(tenants)(tenants.cluster, second_namespace)
    name = f"moved-{unique}"
    try:
        tenants.apply(name, POOLED)
        eventually(lambda: tenants.has(name, "SpecAccepted", "True"), what="the first", timeout=40)
        uid = tenants.get(name)["metadata"]["uid"]
        tenants.delete(name)
        eventually(lambda: registry(name) is None, what="closed")
        elsewhere.apply(name, POOLED)
        eventually(lambda: elsewhere.has(name, "SpecAccepted", "False", "SlugInUse"), what="refused")
        assert uid in elsewhere.conditions(name)["SpecAccepted"]["message"]
        elsewhere.apply(name, POOLED, annotations={"collegium.dev/adopt": uid})
        eventually(lambda: elsewhere.has(name, "SpecAccepted", "True"), what="taken over")
    finally:
        elsewhere.delete(name)
        operator.kill()
