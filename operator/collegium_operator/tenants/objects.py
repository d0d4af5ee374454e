"""The objects of one tenant's own: pure, from its spec. A tenant that shares everything has none."""

from __future__ import annotations

from typing import Any

from collegium_core.manifests.spec import Mode, TenantSpec
from collegium_operator.config import Config
from collegium_operator.platform.objects import shared_api, shared_worker
from collegium_operator.pods import Component, deployment, service

__all__ = ["components", "desired"]


def components(spec: TenantSpec, config: Config, *, slug: str, uid: str) -> tuple[Component, Component]:
    """Return the API and the worker that serve this tenant, its own or the shared ones."""
    api, worker = shared_api(config), shared_worker(config)
    return (
        _own(api, slug, uid) if spec.api.mode == Mode.DEDICATED else api,
        _own(worker, slug, uid) if spec.workers.mode == Mode.DEDICATED else worker,
    )


def _own(component: Component, slug: str, uid: str) -> Component:
    return Component(
        role=component.role,
        arguments=component.arguments,
        replicas=component.replicas,
        resources=component.resources,
        port=component.port,
        tenant=slug,
        owner=uid,
    )


def desired(
    spec: TenantSpec, config: Config, owner: dict[str, Any] | None, *, slug: str, uid: str, connections_version: str
) -> list[dict[str, Any]]:
    """Return the tenant's own objects. They live in the release's namespace: no platform secret reaches the tenant's.

    :param owner: the operator's own Deployment; a Tenant of another namespace cannot own them, so they carry its uid.
    """
    api, worker = components(spec, config, slug=slug, uid=uid)
    objects = []
    if api.owner:
        objects.append(service(config, api, owner))
        objects.append(deployment(config, api, owner, connections_version=connections_version))
    if worker.owner:
        objects.append(deployment(config, worker, owner, connections_version=connections_version))
    return objects
