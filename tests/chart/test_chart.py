"""The chart without a cluster: lint, what it renders with which values, and what it refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "collegium"
NAMESPACE = "learning"

Render = Callable[..., list[dict[str, Any]]]


class RenderError(Exception):
    """What Helm said."""


@pytest.fixture
def render(helm: Path, tmp_path: Path) -> Render:
    """Render the chart as release *release* with *values*."""

    def run(values: dict[str, Any] | None = None, release: str = "collegium") -> list[dict[str, Any]]:
        file = tmp_path / "values.json"
        file.write_text(json.dumps(values or {}))
        done = subprocess.run(
            [helm, "template", release, CHART, "--namespace", NAMESPACE, "--values", file],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise RenderError(done.stderr)
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    return run


def of(documents: list[dict[str, Any]], kind: str, name: str = "") -> Any:
    """Return the one document of *kind* (and *name*)."""
    [found] = [each for each in documents if each["kind"] == kind and name in {"", each["metadata"]["name"]}]
    return found


def kinds(documents: list[dict[str, Any]]) -> set[str]:
    return {each["kind"] for each in documents}


def test_lint(helm: Path) -> None:
    """Helm's own linter has nothing against it, warnings included."""
    subprocess.run([helm, "lint", "--strict", "--quiet", CHART], check=True, timeout=60, capture_output=True)


def test_without_any_value(render: Render) -> None:
    """The defaults render a whole release: kinds, rights, operator, Valkey; everything in the release's namespace."""
    documents = render()
    assert {
        "ServiceAccount",
        "Secret",
        "ConfigMap",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "Service",
        "Deployment",
        "StatefulSet",
    } == kinds(documents)
    for each in documents:
        if each["kind"] not in {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}:
            assert NAMESPACE == each["metadata"]["namespace"], each["metadata"]["name"]


def test_the_custom_resource_definitions_are_ours(render: Render) -> None:
    """They are those of ``crds/``, stay when the release goes, and can be left out."""
    expected = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    assert expected == [each for each in render() if each["kind"] == "CustomResourceDefinition"]
    assert all(each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for each in expected)
    assert "CustomResourceDefinition" not in kinds(render({"crds": {"install": False}}))


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_pods_are_restricted(render: Render, kind: str) -> None:
    """Operator and Valkey fit the restricted Pod Security Standard."""
    pod = of(render(), kind)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_the_operator_runs_the_command(render: Render) -> None:
    """Command, probes and environment are those of ``collegium operator``; addresses come from the Secret alone."""
    values = {"connections": {"redisUrl": "redis://:hunter2@r:6379/0", "opensearchUrl": "http://o:9200"}}
    documents = render(values)
    [container] = of(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert (["collegium"], ["operator"]) == (container["command"], container["args"])
    assert {"/healthz", "/readyz"} == {
        container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("liveness", "readiness")
    }
    secret = of(documents, "Secret")
    assert "redis://:hunter2@r:6379/0" == secret["stringData"]["redis-url"]
    others = json.dumps([each for each in documents if each["kind"] != "Secret"])
    assert "hunter2" not in others
    assert "StatefulSet" not in kinds(documents)


def test_a_secret_of_ones_own(render: Render) -> None:
    """With a Secret of one's own the chart makes none, and the operator may read that one."""
    documents = render({"connections": {"existingSecret": "mine"}})
    assert not {"Secret", "StatefulSet"} & kinds(documents)
    [container] = of(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert {"mine"} == {
        each["valueFrom"]["secretKeyRef"]["name"] for each in container["env"] if "secretKeyRef" in each["valueFrom"]
    }
    assert ["mine"] in [rule.get("resourceNames") for rule in of(documents, "Role")["rules"]]
    assert "mine" == of(documents, "ConfigMap")["data"]["COLLEGIUM_CONNECTIONS_SECRET"]


def test_watched_namespaces_need_no_cluster_role(render: Render) -> None:
    """With namespaces named, rights are Roles in exactly those, and the operator is told them."""
    documents = render({"watchNamespaces": ["a", "b"]})
    assert not {"ClusterRole", "ClusterRoleBinding"} & kinds(documents)
    roles = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in documents if each["kind"] == "Role"}
    assert {
        (NAMESPACE, "collegium-operator"),
        ("a", "collegium-operator-tenants"),
        ("b", "collegium-operator-tenants"),
    } == roles
    assert "a,b" == of(documents, "ConfigMap")["data"]["COLLEGIUM_WATCH_NAMESPACES"]


def test_rights_are_no_more_than_needed(render: Render) -> None:
    """No rule has a wildcard; outside its own namespace the operator writes nothing but Tenants."""
    for values in ({}, {"watchNamespaces": ["a"]}):
        documents = render(values)
        for each in documents:
            for rule in each.get("rules", ()):
                assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
                writes = set(rule["verbs"]) - {"get", "list", "watch"}
                if each["kind"] == "ClusterRole" or each["metadata"]["namespace"] != NAMESPACE:
                    assert not writes or set(rule["resources"]) <= {"tenants", "tenants/status"}
                assert not writes or "secrets" not in rule["resources"]


@pytest.mark.parametrize(
    ("release", "prefix"),
    [
        ("collegium", "collegium"),
        ("my-collegium", "my-collegium"),
        ("prod", "prod-collegium"),
        ("a" * 53, "a" * 23 + "-collegium"),
    ],
)
def test_names(render: Render, release: str, prefix: str) -> None:
    """Names follow the release's, and are short enough for what the operator appends."""
    documents = render(release=release)
    assert f"{prefix}-operator" == of(documents, "Deployment")["metadata"]["name"]
    assert prefix == of(documents, "ConfigMap")["data"]["COLLEGIUM_RELEASE"]
    assert len(prefix) <= 33


def test_image(render: Render) -> None:
    """A digest wins over a tag, a tag over the chart's version; the pods get the same image as the operator."""
    for image, expected in (
        ({}, "collegium:0.1.0"),
        ({"repository": "r.example/c", "tag": "2"}, "r.example/c:2"),
        ({"tag": "2", "digest": f"sha256:{'0' * 64}"}, f"collegium@sha256:{'0' * 64}"),
    ):
        documents = render({"image": image})
        assert expected == of(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
        assert expected == of(documents, "ConfigMap")["data"]["COLLEGIUM_IMAGE"]


def test_further_settings(render: Render) -> None:
    """Any setting can be given by its name; one that the chart sets itself is refused."""
    data = of(render({"settings": {"MAX_BODY_BYTES": "1000000"}}), "ConfigMap")["data"]
    assert "1000000" == data["COLLEGIUM_MAX_BODY_BYTES"]
    with pytest.raises(RenderError, match=r"settings\.PLACEMENT"):
        render({"settings": {"PLACEMENT": "Pooled"}})


def test_the_operator_reads_what_the_chart_writes(render: Render) -> None:
    """The rendered environment is a configuration without fault, whatever the values."""
    from collegium_core.settings import load  # noqa: PLC0415 - beside its use
    from collegium_operator.config import load_config  # noqa: PLC0415 - same

    values = {
        "watchNamespaces": ["a", "b"],
        "image": {"pullSecrets": ["p"]},
        "api": {"replicas": 3, "resources": {"limits": {"memory": "1Gi"}}},
        "placement": "Pooled",
        "publicUrl": "https://x.example",
        "rootPath": "/lrs",
        "settings": {"BACKLOG_LIMIT": "5"},
    }
    environ = of(render(values), "ConfigMap")["data"]
    environ |= {"POD_NAMESPACE": "n", "COLLEGIUM_OPENSEARCH_URL": "http://o:9200", "COLLEGIUM_REDIS_URL": "redis://r"}
    config, settings = load_config(environ), load(environ)
    assert (("a", "b"), ("p",), 3, {"memory": "1Gi"}) == (
        config.watched,
        config.image_pull_secrets,
        config.api_replicas,
        config.api_resources["limits"],
    )
    assert ("opensearch", "Pooled", "https://x.example", "/lrs", 5) == (
        settings.store,
        settings.placement,
        settings.public_url,
        settings.root_path,
        settings.backlog_limit,
    )
    assert "COLLEGIUM_PLACEMENT" in config.environment


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"replicas": 1}, "replicas"),
        ({"image": {"tag": "not a tag"}}, "/image/tag"),
        ({"image": {"digest": "sha256:short"}}, "/image/digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"watchNamespaces": "all"}, "/watchNamespaces"),
        ({"watchNamespaces": ["Upper"]}, "/watchNamespaces/0"),
        ({"watchNamespaces": ["a", "a"]}, "/watchNamespaces"),
        ({"connections": {"redisUrl": "http://r"}}, "/connections/redisUrl"),
        ({"connections": {"opensearchUrl": "o:9200"}}, "/connections/opensearchUrl"),
        ({"connections": {"opensearchUrl": ""}}, "connections.opensearchUrl"),
        ({"connections": {"password": "x"}}, "password"),
        ({"placement": "Anywhere"}, "/placement"),
        ({"rootPath": "lrs"}, "/rootPath"),
        ({"logLevel": "loud"}, "/logLevel"),
        ({"settings": {"max-body": "1"}}, "max-body"),
        ({"settings": {"BACKLOG_LIMIT": 5}}, "/settings/BACKLOG_LIMIT"),
        ({"api": {"replicas": -1}}, "/api/replicas"),
        ({"api": {"replicas": "two"}}, "/api/replicas"),
        ({"operator": {"replicas": 0}}, "/operator/replicas"),
        ({"operator": {"resources": {"limit": {}}}}, "limit"),
        ({"valkey": {"storage": "much"}}, "/valkey/storage"),
        ({"crds": {"install": "yes"}}, "/crds/install"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else None,
)
def test_wrong_values_are_refused(render: Render, values: dict[str, Any], place: str) -> None:
    """A value that is unknown, of the wrong type or out of bounds is named before anything is installed."""
    with pytest.raises(RenderError) as error:
        render(values)
    assert place in str(error.value)


def test_every_value_is_in_the_schema() -> None:
    """The schema knows every value of ``values.yaml``, and none that is not there."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def compare(value: Any, part: Any, path: str) -> None:
        properties = part.get("properties")
        if properties is None or "$ref" in part or not isinstance(value, dict):
            return
        assert set(properties) - {"global"} == set(value), path
        for name, inner in value.items():
            compare(inner, properties[name], f"{path}.{name}")

    compare(values, schema, "values")
