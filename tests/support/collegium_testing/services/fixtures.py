"""Pytest fixtures of real services. What cannot be had skips the test with the reason, or fails it when it must be.

Addresses in ``REDIS_URL``, ``OPENSEARCH_URL`` and ``KUBECONFIG`` are used as they stand; then the tests share those
services with whoever else uses them, and must not rely on finding them empty. They must not anyway: every server
fixture of session scope is shared by the whole run, so a test uses a slug or a namespace of its own.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from collegium_testing.services.cluster import Cluster, ControlPlane
from collegium_testing.services.component import Component
from collegium_testing.services.folders import public_folder
from collegium_testing.services.kubernetes import ControlPlaneBinary, Kwok, Tools
from collegium_testing.services.opensearch import OpenSearchHome, OpenSearchNode
from collegium_testing.services.s3 import S3Server
from collegium_testing.services.shim import DiskShim
from collegium_testing.services.toolchains import JavaRuntime
from collegium_testing.services.valkey import Redis7, ValkeyCluster, ValkeyServer

__all__ = [
    "control_plane",
    "disk_shim",
    "helm",
    "kubectl",
    "namespace",
    "opensearch_node",
    "opensearch_url",
    "redis7_server",
    "redis7_url",
    "redis_cluster_url",
    "running_opensearch",
    "s3_url",
    "valkey_server",
    "valkey_url",
]

CRDS = Path(__file__).resolve().parents[4] / "crds"


def refuse(reason: str, command: str) -> NoReturn:
    """Skip the test, or fail it when every service is required; both say *reason* and *command*."""
    message = f"{reason}; get it with: {command}"
    if os.environ.get("COLLEGIUM_REQUIRE_SERVICES") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def need(*components: Component) -> None:
    """Go on only when all of *components* can be started now."""
    if os.environ.get("COLLEGIUM_TEST_TIER") == "fast":
        pytest.skip(f"not in test-fast: needs {components[0].title}; get it with: make test")
    for component in components:
        if missing := component.available():
            refuse(missing.reason, missing.command)


def _leave_out_of_fast(what: str) -> None:
    if os.environ.get("COLLEGIUM_TEST_TIER") == "fast":
        pytest.skip(f"not in test-fast: needs {what}; get it with: make test")


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield ``REDIS_URL``, else a Valkey of this run with ``appendfsync always``."""
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    server = ValkeyServer(tmp_path_factory.mktemp("valkey")).start()
    yield server.url
    server.stop()


@pytest.fixture
def valkey_server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Yield a running Valkey of this test alone, to stop, kill and start again."""
    server = ValkeyServer(tmp_path / "valkey").start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def redis7_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield a Redis 7 of this run: the oldest server that Collegium supports."""
    need(Redis7())
    server = ValkeyServer(tmp_path_factory.mktemp("redis7"), binary=Redis7().binary()).start()
    yield server.url
    server.stop()


@pytest.fixture
def redis7_server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Yield a running Redis 7 of this test alone."""
    need(Redis7())
    server = ValkeyServer(tmp_path / "redis7", binary=Redis7().binary()).start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def redis_cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield one node of a cluster of three Valkey primaries of this run."""
    _leave_out_of_fast("a Valkey cluster")
    cluster = ValkeyCluster(tmp_path_factory.mktemp("cluster")).start()
    yield cluster.url
    cluster.stop()


@contextlib.contextmanager
def running_opensearch() -> Iterator[OpenSearchNode]:
    """Start an OpenSearch node for the length of the block; what it stores goes with it."""
    need(JavaRuntime(), OpenSearchHome())
    with public_folder("opensearch") as folder:
        node = OpenSearchNode(folder).start()
        try:
            yield node
        finally:
            node.resume()
            node.kill()


@pytest.fixture(scope="session")
def opensearch_url() -> Iterator[str]:
    """Yield ``OPENSEARCH_URL``, else an OpenSearch node of this run, which makes no index by itself."""
    _leave_out_of_fast("OpenSearch")
    if url := os.environ.get("OPENSEARCH_URL"):
        yield url
        return
    with running_opensearch() as node:
        yield node.url


@pytest.fixture
def opensearch_node() -> Iterator[OpenSearchNode]:
    """Yield a running OpenSearch node of this test alone, to pause, stop, kill and start (5 s, 300 MB)."""
    with running_opensearch() as node:
        yield node


@pytest.fixture(scope="session")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the endpoint of an S3 of this run that takes any credentials and has the bucket ``collegium``."""
    _leave_out_of_fast("an S3 server")
    server = S3Server(tmp_path_factory.mktemp("s3")).start()
    server.make_bucket("collegium")
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def kubectl() -> Path:
    """Return the path of kubectl."""
    need(Tools())
    return Tools().kubectl


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield the path of Helm, which keeps its caches and settings in a folder of this run."""
    need(Tools())
    scratch = tmp_path_factory.mktemp("helm")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"):
            patch.setenv(name, str(scratch / name.lower()))
        yield Tools().helm


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Yield the cluster of ``KUBECONFIG``, else a real control plane of this run; Collegium's CRDs are installed.

    A test makes a namespace of its own (see :func:`namespace`).
    """
    need(Tools(), *(() if os.environ.get("KUBECONFIG") else (ControlPlaneBinary(), Kwok())))
    if kubeconfig := os.environ.get("KUBECONFIG"):
        cluster = Cluster(Path(kubeconfig), Tools().kubectl)
        cluster.install_crds(CRDS)
        yield cluster
        return
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"), crds=CRDS)
    try:
        yield plane.start()
    finally:
        plane.stop()


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    """Yield a namespace of this test alone. Its end is not awaited: that takes 5 s and more by design."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def disk_shim() -> Callable[..., dict[str, str]]:
    """Return an environment in which a process has a slow or full disk (:meth:`DiskShim.environment`)."""
    need(DiskShim())
    return DiskShim().environment
