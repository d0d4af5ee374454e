"""Deployments and Services of API and workers: pure functions from configuration to objects, no client in sight.

What a container runs is exactly ``collegium api`` or ``collegium worker --role …`` with the environment that is written
here; the pods fit the *restricted* Pod Security Standard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from collegium_operator.config import Config

__all__ = [
    "API_PORT",
    "METRICS_PORT",
    "OWNER_LABEL",
    "Component",
    "config_map",
    "deployment",
    "selector",
    "service",
]

API_PORT: Final = 8100
METRICS_PORT: Final = 9464
OWNER_LABEL: Final = "collegium.dev/tenant-uid"
_CONFIG_HASH: Final = "collegium.dev/config-hash"
_MANAGED_BY: Final = "collegium-operator"
_DATA_DIR: Final = "/var/lib/collegium"
_USER: Final = 10_001
_LONGEST_NAME: Final = 63  # of a Service
# Longer than a process takes to drain, so that SIGKILL finds nothing left to do.
_GRACE_SECONDS: Final = 45

Object = dict[str, Any]


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One Deployment's difference from the others: what it is called, what it runs, for whom.

    ``tenant`` (slug) and ``owner`` (uid) are empty where it serves the whole platform.
    """

    role: str
    arguments: tuple[str, ...]
    replicas: int
    resources: Mapping[str, Any]
    port: int
    tenant: str = ""
    owner: str = ""

    def name(self, config: Config) -> str:
        """Return the name of its objects; with a long release's name only the slug's hash is in it."""
        shared = f"{config.release}-{self.role}"
        if not self.tenant:
            return shared
        full = f"{shared}-{self.tenant}"
        return full if len(full) <= _LONGEST_NAME else f"{shared}-{self.tenant.rpartition('-')[2]}"


def selector(config: Config) -> str:
    """Return the label selector of everything that the operator made for this release."""
    return f"app.kubernetes.io/managed-by={_MANAGED_BY},app.kubernetes.io/instance={config.release}"


def _identity(config: Config, component: Component) -> dict[str, str]:
    """Return the labels by which a Deployment knows its pods; they can never be changed."""
    return {
        "app.kubernetes.io/name": "collegium",
        "app.kubernetes.io/instance": config.release,
        "app.kubernetes.io/component": component.role,
        "collegium.dev/tenant": component.tenant or "shared",
    }


def _metadata(config: Config, name: str, labels: Mapping[str, str], owner: Object | None) -> Object:
    metadata: Object = {
        "name": name,
        "namespace": config.namespace,
        "labels": {"app.kubernetes.io/managed-by": _MANAGED_BY, "app.kubernetes.io/part-of": "collegium", **labels},
    }
    if owner is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ]
    return metadata


def _labels(config: Config, component: Component) -> dict[str, str]:
    return {**_identity(config, component), **({OWNER_LABEL: component.owner} if component.owner else {})}


def config_map(config: Config, owner: Object | None) -> Object:
    """Return the ConfigMap that every pod takes its environment from."""
    data = {
        **config.environment,
        "COLLEGIUM_HOST": "0.0.0.0",  # noqa: S104 - a pod listens on its own address; who may reach it is a NetworkPolicy's matter
        "COLLEGIUM_PORT": str(API_PORT),
        "COLLEGIUM_METRICS_PORT": str(METRICS_PORT),
        "COLLEGIUM_DATA_DIR": _DATA_DIR,
    }
    labels = {"app.kubernetes.io/name": "collegium", "app.kubernetes.io/instance": config.release}
    name = f"{config.release}-platform"
    metadata = _metadata(config, name, labels, owner)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def service(config: Config, component: Component, owner: Object | None) -> Object:
    """Return the Service in front of the pods of an API *component*."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(config, component.name(config), _labels(config, component), owner),
        "spec": {
            "selector": _identity(config, component),
            "ports": [{"name": "http", "port": API_PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def deployment(config: Config, component: Component, owner: Object | None, *, connections_version: str) -> Object:
    """Return the Deployment of *component*.

    :param connections_version: version of the Secret with the platform's addresses; another one rolls the pods.
    """
    labels = _labels(config, component)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(config, component.name(config), labels, owner),
        "spec": {
            "replicas": component.replicas,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": _identity(config, component)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {
                    "labels": {"app.kubernetes.io/managed-by": _MANAGED_BY, **labels},
                    "annotations": {_CONFIG_HASH: _config_hash(config, connections_version)},
                },
                "spec": _pod(config, component),
            },
        },
    }


def _config_hash(config: Config, connections_version: str) -> str:
    data = msgspec.json.encode([config_map(config, None)["data"], connections_version], order="deterministic")
    return hashlib.sha256(data).hexdigest()[:32]


def _pod(config: Config, component: Component) -> Object:
    spec: Object = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # a Service called collegium would set COLLEGIUM_PORT
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": _identity(config, component)},
            }
        ],
        "containers": [_container(config, component)],
        "volumes": [{"name": name, "emptyDir": {}} for name in ("data", "tmp")],
    }
    if config.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in config.image_pull_secrets]
    return spec


def _container(config: Config, component: Component) -> Object:
    probe_port = "http" if component.port == API_PORT else "metrics"
    ports = [{"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"}]
    if component.port == API_PORT:
        ports.insert(0, {"name": "http", "containerPort": API_PORT, "protocol": "TCP"})
    readiness = "/readyz" if component.port == API_PORT else "/healthz"
    container: Object = {
        "name": "collegium",
        "image": config.image,
        "imagePullPolicy": config.image_pull_policy,
        "command": ["collegium"],
        "args": list(component.arguments),
        "envFrom": [{"configMapRef": {"name": f"{config.release}-platform"}}],
        "env": _environment(config, component),
        "ports": ports,
        "startupProbe": _probe("/healthz", probe_port, period=2, failures=30),
        "livenessProbe": _probe("/healthz", probe_port, period=10, failures=6),
        "readinessProbe": _probe(readiness, probe_port, period=5, failures=2),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "data", "mountPath": _DATA_DIR}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - an emptyDir of the pod alone
    }
    if component.resources:
        container["resources"] = dict(component.resources)
    return container


def _environment(config: Config, component: Component) -> list[Object]:
    """Return what comes from the Secret with the platform's addresses, and whom *component* serves alone."""
    stores_are_remote = config.environment.get("COLLEGIUM_STORE", "opensearch") == "opensearch"
    wanted = (("REDIS_URL", True), ("OPENSEARCH_URL", stores_are_remote), ("OBJECT_STORE_URL", False))
    environment: list[Object] = []
    for name, required in wanted:
        reference: Object = {"name": config.connections, "key": name.lower().replace("_", "-")}
        if not required:
            reference["optional"] = True
        environment.append({"name": f"COLLEGIUM_{name}", "valueFrom": {"secretKeyRef": reference}})
    if component.tenant:
        environment.append({"name": "COLLEGIUM_SERVE_TENANT", "value": component.tenant})
    return environment


def _probe(path: str, port: str, *, period: int, failures: int) -> Object:
    return {
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }
