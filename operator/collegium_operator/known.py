"""What the watches have seen: which Tenants there are, what they refer to, how the pods are. Names, never contents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from collegium_core.errors import BadRequest
from collegium_core.tenancy.names import parse_name
from collegium_operator.queue import Key

__all__ = ["TENANT", "Deployed", "Known", "Sighting", "see_deployment", "see_tenant"]

TENANT = "Tenant"


_Entry = TypeVar("_Entry")


class Sighting(msgspec.Struct, frozen=True):
    """A Tenant as it was last seen; ``slug`` is empty where its name cannot be a tenant's."""

    key: Key
    uid: str
    slug: str
    created: str
    secrets: frozenset[str]
    mark: str


class Deployed(msgspec.Struct, frozen=True):
    """How a Deployment is: pods wanted and ready, and whether Kubernetes calls it available."""

    desired: int
    ready: int
    available: bool


def see_tenant(tenant: Mapping[str, Any]) -> Sighting:
    """Return what matters of the Tenant object *tenant*. ``mark`` changes whenever it has to be looked at again."""
    metadata, spec = tenant["metadata"], tenant.get("spec", {})
    try:
        slug = parse_name(spec.get("name") or metadata["name"]).slug
    except BadRequest:
        slug = ""
    marks = (
        metadata["uid"],
        metadata.get("generation", 0),
        metadata.get("deletionTimestamp", ""),
        sorted(metadata.get("annotations", {}).items()),
        sorted(metadata.get("finalizers", [])),
    )
    return Sighting(
        key=Key(TENANT, metadata["namespace"], metadata["name"]),
        uid=metadata["uid"],
        slug=slug,
        created=metadata.get("creationTimestamp", ""),
        secrets=frozenset(
            entry.get("basic", {}).get("secretRef", {}).get("name", "") for entry in spec.get("authentication", [])
        ),
        mark=repr(marks),
    )


def see_deployment(deployment: Mapping[str, Any]) -> Deployed:
    """Return how the Deployment object *deployment* is; status of an older spec counts for nothing."""
    status = deployment.get("status", {})
    current = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
    return Deployed(
        desired=deployment["spec"].get("replicas", 1),
        ready=status.get("readyReplicas", 0),
        available=current and conditions.get("Available") == "True",
    )


class Known:
    """The present state of the watches. Belongs to one event loop."""

    def __init__(self) -> None:
        self._tenants: dict[Key, Sighting] = {}
        self._by_uid: dict[str, Key] = {}
        self._by_slug: dict[str, set[Key]] = {}
        self._by_secret: dict[tuple[str, str], set[Key]] = {}
        self._departed: dict[Key, dict[str, str]] = {}
        self._secret_versions: dict[tuple[str, str], str] = {}
        self.deployments: dict[str, Deployed] = {}

    def __len__(self) -> int:
        return len(self._tenants)

    def see(self, sighting: Sighting) -> bool:
        """Take note of a Tenant; return whether something about it is new."""
        before = self._tenants.get(sighting.key)
        if before == sighting:
            return False
        if before is not None:
            self._unlink(before)
            if before.uid != sighting.uid:
                self._note_departure(before)
        self._tenants[sighting.key] = sighting
        self._by_uid[sighting.uid] = sighting.key
        if sighting.slug:
            self._by_slug.setdefault(sighting.slug, set()).add(sighting.key)
        for secret in sighting.secrets:
            self._by_secret.setdefault((sighting.key.namespace, secret), set()).add(sighting.key)
        return True

    def forget(self, key: Key) -> frozenset[Key]:
        """Take note that a Tenant is gone; return the others that wanted the same name."""
        before = self._tenants.pop(key, None)
        if before is None:
            return frozenset()
        self._unlink(before)
        self._note_departure(before)
        return frozenset(self._by_slug.get(before.slug, ()))

    def forget_all_but(self, present: set[Key]) -> frozenset[Key]:
        """Take note that only the Tenants in *present* are there; return all that have to be looked at for it."""
        gone = [key for key in self._tenants if key not in present]
        return frozenset(gone).union(*(self.forget(key) for key in gone))

    def _unlink(self, sighting: Sighting) -> None:
        self._by_uid.pop(sighting.uid, None)
        _discard(self._by_slug, sighting.slug, sighting.key)
        for secret in sighting.secrets:
            _discard(self._by_secret, (sighting.key.namespace, secret), sighting.key)

    def _note_departure(self, sighting: Sighting) -> None:
        self._departed.setdefault(sighting.key, {})[sighting.uid] = sighting.slug

    def departed(self, key: Key) -> dict[str, str]:
        """Return the Tenants that went from under this name, slug by uid; :meth:`settle` says they are dealt with."""
        return dict(self._departed.get(key, {}))

    def settle(self, key: Key, uid: str) -> None:
        """Take note that what a departed Tenant left behind is in order."""
        departures = self._departed.get(key, {})
        departures.pop(uid, None)
        if not departures:
            self._departed.pop(key, None)

    def key_of(self, uid: str) -> Key | None:
        """Return the name of the Tenant *uid*."""
        return self._by_uid.get(uid)

    def keys(self) -> list[Key]:
        """Return the Tenants there are."""
        return list(self._tenants)

    def uids(self) -> frozenset[str]:
        """Return the uids of the Tenants there are."""
        return frozenset(self._by_uid)

    def first(self, slug: str, *, incumbent: str = "") -> Sighting | None:
        """Return the oldest of the Tenants whose name means *slug*: the one that it belongs to.

        Kubernetes counts whole seconds. Of those made in the same one it is the *incumbent* (a uid), which has the
        name already, else the one with the least uid.
        """
        rivals = [self._tenants[key] for key in self._by_slug.get(slug, ())]
        return min(rivals, key=lambda each: (each.created, each.uid != incumbent, each.uid), default=None)

    def rivals(self, slug: str) -> frozenset[Key]:
        """Return all Tenants whose name means *slug*."""
        return frozenset(self._by_slug.get(slug, ()))

    def see_secret(self, namespace: str, name: str, version: str) -> frozenset[Key]:
        """Take note of a Secret's *version* (empty: it is gone); return the Tenants that this concerns."""
        keys = self._by_secret.get((namespace, name))
        if keys is None:
            # Most Secrets are nobody's business here, and none of their names is kept.
            self._secret_versions.pop((namespace, name), None)
            return frozenset()
        if self._secret_versions.get((namespace, name)) == version:
            return frozenset()
        self._secret_versions[namespace, name] = version
        return frozenset(keys)

    def see_deployment(self, name: str, deployed: Deployed | None) -> bool:
        """Take note of a Deployment of ours (None: it is gone); return whether it is otherwise than before."""
        before = self.deployments.get(name)
        if deployed is None:
            self.deployments.pop(name, None)
        else:
            self.deployments[name] = deployed
        return before != deployed


def _discard(index: dict[_Entry, set[Key]], entry: _Entry, key: Key) -> None:
    keys = index.get(entry)
    if keys is not None:
        keys.discard(key)
        if not keys:
            del index[entry]
