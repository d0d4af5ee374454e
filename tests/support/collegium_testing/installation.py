"""Fixtures of a release with its operator: real API server, real Valkey, real OpenSearch; pods are played by kwok.

What a test module wants otherwise it overrides by a fixture of the same name: ``values``, ``release``, addresses.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from collegium_core.streams.connection import tenant_key
from collegium_core.tenancy.names import parse_name
from collegium_core.tenancy.record import TenantRecord, decode_record
from collegium_testing.release import OperatorProcess, Release
from collegium_testing.services.cluster import Cluster

__all__ = ["EXAMPLES", "Tenants", "home", "operator", "registry", "release", "tenants", "unique", "values"]

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "manifests"


@pytest.fixture
def registry(valkey_url: str) -> Iterator[Callable[[str], TenantRecord | None]]:
    """Yield what asks for the record that API and workers would see for a tenant's name."""
    with redis.Redis.from_url(valkey_url) as client:

        def ask(name: str) -> TenantRecord | None:
            data = client.get(tenant_key(parse_name(name).slug, "record"))
            return None if data is None else decode_record(data)

        yield ask


@pytest.fixture
def unique() -> str:
    """Return a part of names that no other test uses: stores are shared by the whole run."""
    return uuid.uuid4().hex[:6]


@pytest.fixture(scope="module")
def home(control_plane: Cluster) -> Iterator[str]:
    """Yield a namespace of this module's tests, for the release and its Tenants."""
    name = f"home-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def values(home: str, valkey_url: str, opensearch_url: str) -> dict[str, Any]:
    """Return values of a release that watches its own namespace."""
    return {
        "connections": {"redisUrl": valkey_url, "opensearchUrl": opensearch_url},
        "watchNamespaces": [home],
        "api": {"replicas": 1},
    }


@pytest.fixture(scope="module")
def release(
    control_plane: Cluster, helm: Path, home: str, values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Release:
    """Install the chart in a real cluster."""
    return Release(control_plane, helm, home, tmp_path_factory.mktemp("release")).install(values)


@pytest.fixture(scope="module")
def operator(release: Release) -> Iterator[OperatorProcess]:
    """Yield the release's operator, running as its service account."""
    process = release.operator()
    yield process
    sys.stdout.write(process.said())  # shown with a failure
    try:
        assert process.process.poll() is None, "the operator ended early"
    finally:
        process.kill()


class Tenants:
    """The Tenants of one namespace, as kubectl sees them."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def apply(self, name: str, spec: Any = None, *, annotations: dict[str, str] | None = None) -> None:
        """Apply a Tenant."""
        document = {
            "apiVersion": "collegium.dev/v1alpha1",
            "kind": "Tenant",
            "metadata": {"name": name, "annotations": annotations or {}},
            "spec": spec or {},
        }
        self.cluster.kubectl("-n", self.namespace, "apply", "-f", "-", stdin=json.dumps(document))

    def example(self, name: str, display: str) -> None:
        """Apply the example *name* as a newcomer does, but for the tenant's name in the stores that all tests share."""
        documents = list(yaml.safe_load_all((EXAMPLES / f"{name}.yaml").read_text()))
        for document in documents:
            if document["kind"] == "Tenant":
                document["spec"]["name"] = display
        self.cluster.kubectl("-n", self.namespace, "apply", "-f", "-", stdin=yaml.safe_dump_all(documents))

    def secret(self, name: str, **values: str) -> None:
        """Apply a Secret for basic authentication."""
        document = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
        self.cluster.kubectl("-n", self.namespace, "apply", "-f", "-", stdin=json.dumps(document))

    def get(self, name: str) -> Any:
        """Return the Tenant; None where there is none."""
        found = self.cluster.kubectl("-n", self.namespace, "get", "tenant", name, "-o", "json", "--ignore-not-found")
        return json.loads(found) if found else None

    def conditions(self, name: str) -> dict[str, Any]:
        """Return the conditions of the present generation by type; empty until the operator has seen it."""
        tenant = self.get(name)
        if tenant is None or tenant.get("status", {}).get("observedGeneration") != tenant["metadata"]["generation"]:
            return {}
        return {each["type"]: each for each in tenant["status"]["conditions"]}

    def has(self, name: str, type_: str, status: str, reason: str | None = None) -> bool:
        """Return whether a condition stands at *status* (and *reason*)."""
        condition = self.conditions(name).get(type_, {})
        return condition.get("status") == status and reason in {None, condition.get("reason")}

    def delete(self, name: str, *, wait: bool = True) -> None:
        """Delete the Tenant."""
        self.cluster.kubectl("-n", self.namespace, "delete", "tenant", name, f"--wait={str(wait).lower()}", timeout=60)


@pytest.fixture(scope="module")
def tenants(control_plane: Cluster, home: str) -> Tenants:
    """Return the Tenants of this module's namespace."""
    return Tenants(control_plane, home)
