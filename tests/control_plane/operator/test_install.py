"""``helm install`` and ``helm uninstall`` of the whole chart, and the statement that nothing of value goes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from collegium_testing.release import CHART, Release, eventually
from collegium_testing.services.cluster import Cluster

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def bare(control_plane: Cluster, helm: Path, home: str, tmp_path: Path) -> Release:
    return Release(control_plane, helm, home, tmp_path)


def test_install_with_defaults_and_uninstall(bare: Release, tenants: Any, unique: str) -> None:
    """The defaults install everything; uninstalling takes the operator and its pods, not the kinds nor the Tenants."""
    # The run's own CRDs are there already; the flag lets this release have them.
    output = bare.helm("install", bare.name, CHART, "--take-ownership")
    assert "kubectl get tenants -A --watch" in output
    assert "one Valkey that this release started" in output
    operator = bare.operator()
    try:
        tenants.apply(f"kept-{unique}")
        eventually(
            lambda: tenants.has(f"kept-{unique}", "SpecAccepted", "Unknown"), what="no store, and said so", timeout=60
        )
        assert tenants.has(f"kept-{unique}", "IndicesReady", "False", "BackendUnreachable")
        eventually(lambda: _names(bare, "deployments") >= {"collegium-api", "collegium-worker-index"}, what="pods")
    finally:
        operator.stop()
    bare.helm("uninstall", bare.name, "--wait", "--timeout=60s")
    eventually(lambda: _names(bare, "deployments") == set(), what="all Deployments are collected", timeout=30)
    assert bare.cluster.kubectl("get", "crd", "tenants.collegium.dev", "-o", "name")
    assert tenants.get(f"kept-{unique}") is not None
    tenants.delete(f"kept-{unique}")


def _names(release: Release, kind: str) -> set[str]:
    found: Any = release.cluster.get(kind, "-n", release.namespace)
    return {each["metadata"]["name"] for each in found["items"]}
