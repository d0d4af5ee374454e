"""What the operator is told by its environment beside the platform's settings: where it runs and what pods it makes."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from collegium_core.errors import FieldError
from collegium_core.settings import PREFIX, SETTINGS, SettingsError

__all__ = ["Config", "load_config"]

# Of the platform's settings these are the pods' own affair; everything else of the table is handed on as it stands.
_OWN: Final = frozenset({"HOST", "PORT", "METRICS_PORT", "DATA_DIR", "AUTH_FILE", "SYSTEM_KEY_FILE", "SERVE_TENANT"})
_PULL_POLICIES: Final = frozenset({"Always", "IfNotPresent", "Never"})


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's own configuration.

    ``namespace`` is the release's, where all pods run; ``release`` is the prefix of every name there; ``deployment`` is
    the operator's own Deployment, which owns what it makes (empty: nobody owns it); ``watched`` are the namespaces
    whose Tenants count (empty: all); ``connections`` is the Secret with ``redis-url``, ``opensearch-url`` and
    optionally ``object-store-url``; ``environment`` is handed on to the pods.
    """

    namespace: str
    identity: str
    release: str
    deployment: str
    watched: tuple[str, ...]
    image: str
    image_pull_policy: str
    image_pull_secrets: tuple[str, ...]
    connections: str
    api_replicas: int
    worker_replicas: int
    api_resources: dict[str, Any]
    worker_resources: dict[str, Any]
    resync_seconds: float
    concurrency: int
    environment: dict[str, str]


def load_config(environ: Mapping[str, str]) -> Config:
    """Return the configuration in *environ*.

    :raises SettingsError: names every fault there is.
    """
    reader = _Reader(environ)
    config = Config(
        namespace=reader.text("POD_NAMESPACE"),
        identity=environ.get("POD_NAME") or socket.gethostname(),
        release=reader.text(f"{PREFIX}RELEASE", "collegium"),
        deployment=environ.get(f"{PREFIX}OPERATOR_DEPLOYMENT", ""),
        watched=reader.words(f"{PREFIX}WATCH_NAMESPACES"),
        image=reader.text(f"{PREFIX}IMAGE"),
        image_pull_policy=reader.choice(f"{PREFIX}IMAGE_PULL_POLICY", "IfNotPresent", _PULL_POLICIES),
        image_pull_secrets=reader.words(f"{PREFIX}IMAGE_PULL_SECRETS"),
        connections=reader.text(f"{PREFIX}CONNECTIONS_SECRET", "collegium-connections"),
        api_replicas=int(reader.number(f"{PREFIX}API_REPLICAS", 2, 0, 1000)),
        worker_replicas=int(reader.number(f"{PREFIX}WORKER_REPLICAS", 1, 0, 1000)),
        api_resources=reader.json(f"{PREFIX}API_RESOURCES"),
        worker_resources=reader.json(f"{PREFIX}WORKER_RESOURCES"),
        resync_seconds=reader.number(f"{PREFIX}RESYNC_SECONDS", 300, 1, 86_400),
        concurrency=int(reader.number(f"{PREFIX}RECONCILERS", 8, 1, 64)),
        environment=_handed_on(environ),
    )
    if reader.faults:
        raise SettingsError(reader.faults)
    return config


def _handed_on(environ: Mapping[str, str]) -> dict[str, str]:
    names = [f"{PREFIX}{row.name}" for row in SETTINGS if not row.secret and row.name not in _OWN]
    return {name: environ[name] for name in names if environ.get(name)}


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[FieldError] = []

    def _fault(self, name: str, detail: str) -> None:
        self.faults.append(FieldError(name, detail))

    def text(self, name: str, default: str = "") -> str:
        value = self._environ.get(name) or default
        if not value:
            self._fault(name, "must be set")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        return tuple(self._environ.get(name, "").replace(",", " ").split())

    def choice(self, name: str, default: str, allowed: frozenset[str]) -> str:
        value = self._environ.get(name) or default
        if value not in allowed:
            self._fault(name, f"must be one of {', '.join(sorted(allowed))}")
        return value

    def number(self, name: str, default: float, least: float, most: float) -> float:
        text = self._environ.get(name) or str(default)
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            self._fault(name, f"must be a number from {least:g} to {most:g}")
            return default
        return value

    def json(self, name: str) -> dict[str, Any]:
        try:
            return msgspec.json.decode(self._environ.get(name) or "{}", type=dict[str, Any])
        except msgspec.MsgspecError:
            self._fault(name, "must be a JSON object")
            return {}
