"""The CustomResourceDefinition in a real API server says of every example what our own parser says."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from collegium_testing.manifest_examples import TENANT_EXAMPLES, Example
from collegium_testing.services.cluster import Cluster


class Api:
    """The API server over plain HTTP, because kubectl would check and convert on its own."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        entry = config["clusters"][0]["cluster"]
        self.context = ssl.create_default_context(cafile=entry["certificate-authority"])
        self.token = config["users"][0]["user"]["token"]
        self.base = f"{entry['server']}/apis/collegium.dev/v1alpha1/namespaces/{namespace}/tenants"

    def send(self, method: str, path: str, body: Any, kind: str = "application/json", **params: str) -> tuple[int, Any]:
        """Return status and body of the answer; unknown fields are refused."""
        query = urllib.parse.urlencode({"fieldValidation": "Strict", **params})
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            f"{self.base}{path}?{query}",
            method=method,
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": kind},
        )
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.context) as answer:  # noqa: S310 - same
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


@pytest.fixture(scope="module")
def api(control_plane: Cluster) -> Iterator[Api]:
    name = f"verdicts-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", name)
    yield Api(control_plane, name)
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("example", TENANT_EXAMPLES, ids=lambda example: example.title)
def test_the_api_server_agrees(api: Api, example: Example) -> None:
    """Schema and CEL accept and refuse what the table says, on creation and on change."""
    if example.before is None:
        status, body = api.send("POST", "", example.document(), dryRun="All")
    else:
        assert api.send("POST", "", example.document(example.before))[0] == 201
        status, body = api.send(
            "PATCH",
            f"/{example.name}",
            example.document(),
            "application/apply-patch+yaml",
            fieldManager="t",
            force="true",
        )
        if example.spec.keys() < example.before.keys():
            # Applying leaves alone what another manager has set: taking a field away needs a replacement.
            current = api.send("PATCH", f"/{example.name}", {}, "application/merge-patch+json")[1]
            status, body = api.send("PUT", f"/{example.name}", {**current, "spec": example.spec})
        api.send("DELETE", f"/{example.name}", {})
    assert (example.accepted or not example.server) == (status < 300), body


def test_defaults_are_the_parsers(api: Api) -> None:
    """What the API server fills in is what the local parser fills in."""
    from collegium_core.manifests.validation import check_tenant  # noqa: PLC0415 - the subject stands beside its use

    example = Example("defaults", {"authentication": [{"name": "a", "basic": {"secretRef": {"name": "b"}}}]})
    status, body = api.send("POST", "", example.document(), dryRun="All")
    assert status == 201
    assert check_tenant(example.document())[0]["spec"] == body["spec"]


def test_status_is_a_subresource(api: Api) -> None:
    """Whoever writes the spec cannot write the status, and writing the status does not change the generation."""
    document = {**Example("x", {}, name="stated").document(), "status": {"slug": "forged"}}
    status, body = api.send("POST", "", document)
    assert (201, None) == (status, body.get("status"))
    changed = {"status": {"slug": "t-x", "observedGeneration": 1}}
    status, body = api.send("PATCH", "/stated/status", changed, "application/merge-patch+json")
    assert (200, "t-x", 1) == (status, body["status"]["slug"], body["metadata"]["generation"])


def test_conditions_are_held_to_their_shape(api: Api) -> None:
    """A condition without reason, or with a status that is none, is refused."""
    api.send("POST", "", Example("x", {}, name="conditioned").document())
    condition = {"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": "2030-01-01T00:00:00Z"}
    for change in ({"status": "Maybe"}, {"reason": ""}, {"lastTransitionTime": "soon"}):
        body = {"status": {"conditions": [{**condition, **change}]}}
        assert api.send("PATCH", "/conditioned/status", body, "application/merge-patch+json")[0] == 422
    body = {"status": {"conditions": [condition]}}
    assert api.send("PATCH", "/conditioned/status", body, "application/merge-patch+json")[0] == 200
