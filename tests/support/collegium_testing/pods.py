"""Runs what a pod would run: command, arguments and environment are taken from the objects in the cluster."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collegium_testing.processes import spawn
from collegium_testing.services.cluster import Cluster

__all__ = ["container_environment", "run_container"]

_PASSED_ON = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "SSL_CERT_FILE")


def container_environment(
    cluster: Cluster, namespace: str, container: Mapping[str, Any], *, pod: str
) -> dict[str, str]:
    """Return the environment that the kubelet would give to *container* of a pod named *pod*.

    :raises RuntimeError: a ConfigMap or Secret that is not optional is missing, as it would stop the pod.
    """
    environment: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        if "configMapRef" in source:
            environment |= _get(cluster, namespace, "configmap", source["configMapRef"]["name"]).get("data", {})
        else:
            environment |= _secret(cluster, namespace, source["secretRef"]["name"])
    for entry in container.get("env", ()):
        if "value" in entry:
            environment[entry["name"]] = entry["value"]
            continue
        value = _value_from(cluster, namespace, entry["valueFrom"], pod)
        if value is not None:
            environment[entry["name"]] = value
    return environment


def _value_from(cluster: Cluster, namespace: str, source: Mapping[str, Any], pod: str) -> str | None:
    if "fieldRef" in source:
        return {"metadata.namespace": namespace, "metadata.name": pod}[source["fieldRef"]["fieldPath"]]
    reference = source.get("secretKeyRef") or source["configMapKeyRef"]
    if "secretKeyRef" in source:
        values = _secret(cluster, namespace, reference["name"])
    else:
        values = _get(cluster, namespace, "configmap", reference["name"]).get("data", {})
    if reference["key"] not in values and not reference.get("optional"):
        raise RuntimeError(f"{reference['name']} has no key {reference['key']}")
    return values.get(reference["key"])


def _secret(cluster: Cluster, namespace: str, name: str) -> dict[str, str]:
    data = _get(cluster, namespace, "secret", name).get("data", {})
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def _get(cluster: Cluster, namespace: str, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.kubectl("-n", namespace, "get", kind, name, "-o", "json"))
    return found


def run_container(
    cluster: Cluster,
    deployment: Mapping[str, Any],
    *,
    log: Path,
    overrides: Mapping[str, str],
    pod: str = "pod-0",
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start what the first container of *deployment* runs, on this machine.

    *overrides* is what a pod would have to itself and processes of one machine have not: addresses, ports, folders.
    """
    namespace = deployment["metadata"]["namespace"]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= container_environment(cluster, namespace, container, pod=pod)
    environment |= overrides
    return spawn([*container["command"], *container["args"]], log=log, env=environment, cwd=cwd)
