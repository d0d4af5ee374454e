"""Deployments and Services as pure functions: commands, environment, security, names, and what rolls the pods."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from collegium_core.manifests import TenantSpec
from collegium_operator.config import Config, load_config
from collegium_operator.platform import objects as shared
from collegium_operator.tenants import objects as own

OWNER = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "collegium-operator", "uid": "u-1"}}
SLUG = "t-acme-abcdefghijklmnop"


def config(**environ: str) -> Config:
    base = {"POD_NAMESPACE": "learning", "COLLEGIUM_IMAGE": "collegium:1", "COLLEGIUM_STORE": "opensearch"}
    return load_config({**base, **{f"COLLEGIUM_{name}": value for name, value in environ.items()}})


def platform(configuration: Config, version: str = "1") -> dict[str, Any]:
    objects = shared.desired(configuration, OWNER, connections_version=version)
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in objects}


def of_tenant(configuration: Config, **spec: Any) -> dict[str, Any]:
    objects = own.desired(
        msgspec.convert(spec, TenantSpec), configuration, OWNER, slug=SLUG, uid="u-2", connections_version="1"
    )
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in objects}


def test_what_everybody_shares() -> None:
    """One ConfigMap, one Service, one Deployment for the API and one per worker role, all owned by the operator's."""
    objects = platform(config())
    assert [
        "ConfigMap/collegium-platform",
        "Service/collegium-api",
        "Deployment/collegium-api",
        "Deployment/collegium-worker-index",
    ] == list(objects)
    for each in objects.values():
        assert "learning" == each["metadata"]["namespace"]
        assert [("u-1", True)] == [(o["uid"], o["controller"]) for o in each["metadata"]["ownerReferences"]]


def test_the_pods_are_restricted() -> None:
    """Pods fit the restricted Pod Security Standard, have no API token and do not write to their image."""
    for name, each in platform(config()).items():
        if not name.startswith("Deployment/"):
            continue
        pod = each["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert {"type": "RuntimeDefault"} == pod["securityContext"]["seccompProfile"]
        assert all("emptyDir" in volume for volume in pod["volumes"])
        [container] = pod["containers"]
        assert {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        } == container["securityContext"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()


def test_secrets_are_referred_to() -> None:
    """Addresses come from the Secret; with OpenSearch as the store its address must be there."""
    [container] = platform(config())["Deployment/collegium-api"]["spec"]["template"]["spec"]["containers"]
    references = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"]}
    assert {"name": "collegium-connections", "key": "redis-url"} == references["COLLEGIUM_REDIS_URL"]
    assert {"name": "collegium-connections", "key": "opensearch-url"} == references["COLLEGIUM_OPENSEARCH_URL"]
    assert references["COLLEGIUM_OBJECT_STORE_URL"]["optional"] is True


def test_selectors_find_their_own_pods_alone() -> None:
    """No two Deployments, and no Service and a Deployment that it is not for, share their pods' labels."""
    configuration = config()
    dedicated = of_tenant(configuration, api={"mode": "Dedicated"}, workers={"mode": "Dedicated"})
    deployments = {
        name: each for name, each in {**platform(configuration), **dedicated}.items() if name.startswith("Deployment/")
    }
    services = {name: each for name, each in {**platform(configuration), **dedicated}.items() if "Service/" in name}
    labels = {name: each["spec"]["template"]["metadata"]["labels"] for name, each in deployments.items()}
    for name, each in deployments.items():
        selector = each["spec"]["selector"]["matchLabels"]
        assert [name] == [other for other, have in labels.items() if selector.items() <= have.items()]
    for name, each in services.items():
        found = [other for other, have in labels.items() if each["spec"]["selector"].items() <= have.items()]
        assert [name.replace("Service/", "Deployment/")] == found


def test_dedicated() -> None:
    """A tenant's own Deployments carry its uid and slug and run the same commands; Shared has none."""
    assert {} == of_tenant(config())
    objects = of_tenant(config(), api={"mode": "Dedicated"})
    assert [f"Service/collegium-api-{SLUG}", f"Deployment/collegium-api-{SLUG}"] == list(objects)
    deployment = objects[f"Deployment/collegium-api-{SLUG}"]
    assert "u-2" == deployment["metadata"]["labels"]["collegium.dev/tenant-uid"]
    assert ["api"] == deployment["spec"]["template"]["spec"]["containers"][0]["args"]


def test_dedicated_pods_serve_their_tenant_alone() -> None:
    """They are told its slug; shared pods are told none, whatever the operator's own environment says."""
    configuration = config(SERVE_TENANT=SLUG)
    own_objects = of_tenant(configuration, api={"mode": "Dedicated"}, workers={"mode": "Dedicated"})
    shared_objects = platform(configuration)
    assert "COLLEGIUM_SERVE_TENANT" not in shared_objects["ConfigMap/collegium-platform"]["data"]
    for role in ("api", "worker-index"):
        [container] = own_objects[f"Deployment/collegium-{role}-{SLUG}"]["spec"]["template"]["spec"]["containers"]
        assert {"name": "COLLEGIUM_SERVE_TENANT", "value": SLUG} in container["env"]
        [container] = shared_objects[f"Deployment/collegium-{role}"]["spec"]["template"]["spec"]["containers"]
        assert "COLLEGIUM_SERVE_TENANT" not in {each["name"] for each in container["env"]}


@pytest.mark.parametrize("release", ["collegium", "a-release-with-a-name-of-33-letter"[:33]])
def test_names_fit(release: str) -> None:
    """With the longest slug and the longest release every name is a Service's name."""
    slug = "t-" + "a" * 20 + "-" + "b" * 16
    objects = own.desired(
        msgspec.convert({"api": {"mode": "Dedicated"}, "workers": {"mode": "Dedicated"}}, TenantSpec),
        config(RELEASE=release),
        OWNER,
        slug=slug,
        uid="u",
        connections_version="1",
    )
    names = [each["metadata"]["name"] for each in objects]
    assert all(len(name) <= 63 for name in names), names
    assert len({(each["kind"], each["metadata"]["name"]) for each in objects}) == len(objects)


def test_what_rolls_the_pods() -> None:
    """Another setting or another version of the Secret changes the template, replicas do not."""

    def template(configuration: Config, version: str = "1") -> Any:
        return platform(configuration, version)["Deployment/collegium-api"]["spec"]["template"]

    assert template(config()) == template(config(API_REPLICAS="5"))
    assert template(config()) != template(config(MAX_BODY_BYTES="1MiB"))
    assert template(config()) != template(config(), version="2")
