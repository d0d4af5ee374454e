"""The control plane of the fixture is a real one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from collegium_testing.services.cluster import Cluster

CRDS = Path(__file__).resolve().parents[3] / "crds"


def _apply(
    cluster: Cluster, namespace: str, kind: str, name: str, body: dict[str, object], version: str = "v1"
) -> None:
    manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **body}
    cluster.kubectl("apply", "--namespace", namespace, "-f", "-", stdin=json.dumps(manifest))


def test_pods_of_a_deployment_become_ready(control_plane: Cluster, namespace: str) -> None:
    """Controllers and scheduler work, and the node makes the pods Ready."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "web"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    _apply(control_plane, namespace, "Deployment", "web", {"spec": spec}, "apps/v1")
    control_plane.kubectl("rollout", "status", "--namespace", namespace, "--timeout=30s", "deployment/web")


@pytest.mark.parametrize(("code", "condition"), [("0", "Complete"), ("3", "Failed")])
def test_jobs_end_as_their_annotation_says(control_plane: Cluster, namespace: str, code: str, condition: str) -> None:
    """A Job's pod completes; with the annotation exit-code it fails."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "job", "image": "job"}]}
    template = {"metadata": {"annotations": {"exit-code": code}}, "spec": pod}
    _apply(control_plane, namespace, "Job", "job", {"spec": {"backoffLimit": 0, "template": template}}, "batch/v1")
    control_plane.kubectl("wait", "--namespace", namespace, f"--for=condition={condition}", "--timeout=30s", "job/job")


def test_access_is_refused_without_a_role(control_plane: Cluster, namespace: str) -> None:
    """RBAC is real: a service account may do nothing until a role says so."""
    user = f"--as=system:serviceaccount:{namespace}:default"
    assert control_plane.kubectl("auth", "can-i", "list", "secrets", user, check=False).strip() == "no"
    assert control_plane.kubectl("auth", "can-i", "list", "secrets").strip() == "yes"


def test_dependants_are_collected(control_plane: Cluster, namespace: str) -> None:
    """The garbage collector removes what a deleted object owned."""
    _apply(control_plane, namespace, "ConfigMap", "owner", {})
    uid = control_plane.kubectl("get", "--namespace", namespace, "configmap", "owner", "-o", "jsonpath={.metadata.uid}")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    child = {"metadata": {"name": "child", "ownerReferences": [owner]}}
    _apply(control_plane, namespace, "ConfigMap", "child", child)
    control_plane.kubectl("delete", "--namespace", namespace, "configmap", "owner")
    control_plane.kubectl("wait", "--namespace", namespace, "--for=delete", "--timeout=20s", "configmap/child")


@pytest.mark.skipif(not any(CRDS.glob("*.yaml")), reason="no CRD has been written yet")
def test_dependants_of_our_kinds_are_collected_at_once(control_plane: Cluster) -> None:
    """Our CRDs were there before the garbage collector, so it knows them and needs not its 30 s to find them."""
    began = time.monotonic()
    assert "collegium.dev" in control_plane.kubectl("api-resources", "--api-group=collegium.dev")
    assert time.monotonic() - began < 10
