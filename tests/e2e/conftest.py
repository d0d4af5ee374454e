"""A platform of this tier alone, so that the examples can be applied as they are: its stores know no other tenant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collegium_testing.release import CHART, Release
from collegium_testing.services.cluster import Cluster
from collegium_testing.services.fixtures import running_opensearch
from collegium_testing.services.valkey import ValkeyServer


@pytest.fixture(scope="module")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = ValkeyServer(tmp_path_factory.mktemp("valkey")).start()
    yield server.url
    server.stop()


@pytest.fixture(scope="module")
def opensearch_url() -> Iterator[str]:
    with running_opensearch() as node:
        yield node.url


@pytest.fixture(scope="module")
def release(
    control_plane: Cluster, helm: Path, home: str, values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """The whole chart by ``helm install``; the flag lets it have the CRDs that are there for the run's other tests."""
    folder = tmp_path_factory.mktemp("release")
    (folder / "values.json").write_text(json.dumps(values))
    release = Release(control_plane, helm, home, folder)
    release.helm("install", release.name, CHART, "--values", folder / "values.json", "--take-ownership")
    yield release
    release.helm("uninstall", release.name)
