"""The objects that every tenant shares: pure, from the configuration."""

from __future__ import annotations

from typing import Any

from collegium_operator.config import Config
from collegium_operator.pods import API_PORT, METRICS_PORT, Component, config_map, deployment, service

__all__ = ["desired", "shared_api", "shared_worker"]


def shared_api(config: Config) -> Component:
    """Return the API that serves every tenant without one of its own."""
    return Component(
        role="api",
        arguments=("api",),
        replicas=config.api_replicas,
        resources=config.api_resources,
        port=API_PORT,
    )


def shared_worker(config: Config) -> Component:
    """Return the indexer that serves every tenant without one of its own."""
    return Component(
        role="worker-index",
        arguments=("worker", "--role", "index"),
        replicas=config.worker_replicas,
        resources=config.worker_resources,
        port=METRICS_PORT,
    )


def desired(config: Config, owner: dict[str, Any] | None, *, connections_version: str) -> list[dict[str, Any]]:
    """Return the platform's objects, in the order in which they are needed.

    :param owner: the operator's own Deployment, so that removing the operator removes them.
    """
    api, worker = shared_api(config), shared_worker(config)
    return [
        config_map(config, owner),
        service(config, api, owner),
        deployment(config, api, owner, connections_version=connections_version),
        deployment(config, worker, owner, connections_version=connections_version),
    ]
