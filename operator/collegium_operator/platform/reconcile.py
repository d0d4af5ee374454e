"""The platform's objects, applied: they are there, and as they should be, whoever changed or deleted them."""

from __future__ import annotations

from collegium_operator.config import Config
from collegium_operator.kube import DEPLOYMENTS, SECRETS, Kube
from collegium_operator.platform.objects import desired
from collegium_operator.queue import Key

__all__ = ["PLATFORM", "Surroundings", "platform_key", "reconcile"]

PLATFORM = "Platform"


class Surroundings:
    """What the operator's objects depend on: its own Deployment and the Secret with the platform's addresses."""

    def __init__(self, kube: Kube, config: Config) -> None:
        self._kube = kube
        self._config = config

    async def owner(self) -> dict[str, object] | None:
        """Return the operator's own Deployment, None where it runs outside the cluster.

        :raises collegium_operator.kube.ApiError: it cannot be read.
        """
        if not self._config.deployment:
            return None
        found = await self._kube.get(DEPLOYMENTS, self._config.namespace, self._config.deployment)
        return None if found is None else {**found, "apiVersion": "apps/v1", "kind": "Deployment"}

    async def connections_version(self) -> str:
        """Return what changes with the Secret of the platform's addresses; never anything of its contents."""
        secret = await self._kube.get(SECRETS, self._config.namespace, self._config.connections)
        return "" if secret is None else f"{secret['metadata']['uid']}/{secret['metadata']['resourceVersion']}"


def platform_key(config: Config) -> Key:
    """Return the key of the platform's objects."""
    return Key(PLATFORM, config.namespace, config.release)


async def reconcile(kube: Kube, config: Config, surroundings: Surroundings) -> None:
    """Apply the platform's objects."""
    owner = await surroundings.owner()
    version = await surroundings.connections_version()
    for document in desired(config, owner, connections_version=version):
        await kube.apply(document)
