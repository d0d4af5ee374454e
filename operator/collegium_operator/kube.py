"""The API server in the few verbs that an operator needs, over one session: apply, get, list, watch, delete, status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
import msgspec

from collegium_core.manifests import GROUP, VERSION

__all__ = [
    "CONFIG_MAPS",
    "DEPLOYMENTS",
    "FIELD_MANAGER",
    "LEASES",
    "SECRETS",
    "SERVICES",
    "TENANTS",
    "ApiError",
    "Kube",
    "Resource",
]

FIELD_MANAGER: Final = "collegium-operator"
_PAGE: Final = 500
_WATCH_SECONDS: Final = 300
_LONGEST_LINE: Final = 8 * 2**20

Object = dict[str, Any]


class Resource(msgspec.Struct, frozen=True):
    """A kind as the API server serves it."""

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of one object, of a namespace's objects, or of all."""
        root = "/api/" if "/" not in self.api_version else "/apis/"
        parts = [f"namespaces/{namespace}"] if namespace else []
        return "/".join([root + self.api_version, *parts, self.plural, *([name] if name else [])])


TENANTS: Final = Resource(f"{GROUP}/{VERSION}", "Tenant", "tenants")
DEPLOYMENTS: Final = Resource("apps/v1", "Deployment", "deployments")
SERVICES: Final = Resource("v1", "Service", "services")
CONFIG_MAPS: Final = Resource("v1", "ConfigMap", "configmaps")
SECRETS: Final = Resource("v1", "Secret", "secrets")
LEASES: Final = Resource("coordination.k8s.io/v1", "Lease", "leases")
_BY_KIND: Final = {(each.api_version, each.kind): each for each in (DEPLOYMENTS, SERVICES, CONFIG_MAPS, SECRETS)}


class ApiError(Exception):
    """The API server refused, or could not be reached (``status`` 0). The message is its own, without secrets."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class Kube:
    """The API server behind *session*, which stays the caller's to close."""

    def __init__(self, session: aiohttp.ClientSession, server: str) -> None:
        self._session = session
        self._server = server

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return the object, or None where there is none."""
        try:
            return await self.request("GET", resource.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def list(
        self, resource: Resource, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> tuple[list[Object], str]:
        """Return the objects that match the selectors, and the version of the list."""
        params = _selectors(labels, fields) | {"limit": str(_PAGE)}
        found: list[Object] = []
        while True:
            page = await self.request("GET", resource.path(namespace), params=params)
            found += page["items"]
            if not (token := page["metadata"].get("continue")):
                return found, page["metadata"]["resourceVersion"]
            params["continue"] = token

    async def apply(self, document: Object) -> Object:
        """Apply *document* server-side as this operator and return the object; our fields win over others'."""
        metadata = document["metadata"]
        resource = _BY_KIND[document["apiVersion"], document["kind"]]
        return await self._apply(resource.path(metadata["namespace"], metadata["name"]), document)

    async def apply_status(self, resource: Resource, namespace: str, name: str, status: Object) -> Object:
        """Apply *status*; a field that we set before and that is left out now is removed."""
        document = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name, "namespace": namespace},
            "status": status,
        }
        return await self._apply(f"{resource.path(namespace, name)}/status", document)

    async def _apply(self, path: str, document: Object) -> Object:
        params = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        return await self.request("PATCH", path, params=params, body=document, kind="application/apply-patch+yaml")

    async def merge(self, resource: Resource, namespace: str, name: str, patch: Object) -> Object:
        """Merge *patch* into the object; a ``resourceVersion`` in it is a precondition (409)."""
        params = {"fieldManager": FIELD_MANAGER}
        path = resource.path(namespace, name)
        return await self.request("PATCH", path, params=params, body=patch, kind="application/merge-patch+json")

    async def create(self, resource: Resource, namespace: str, document: Object) -> Object:
        """Create *document* (409 where it is there)."""
        return await self.request("POST", resource.path(namespace), body=document)

    async def replace(self, resource: Resource, namespace: str, name: str, document: Object) -> Object:
        """Replace the object whose version *document* carries (409 where it has changed)."""
        return await self.request("PUT", resource.path(namespace, name), body=document)

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "") -> None:
        """Delete the object, with *uid* only that one; none there is fine."""
        body: Object = {"propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self.request("DELETE", resource.path(namespace, name), body=body)
        except ApiError as error:
            if error.status != 404:
                raise

    async def watch(
        self, resource: Resource, namespace: str, version: str, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield (type, object) for each change after *version*; ends after some minutes, bookmarks included.

        :raises ApiError: status 410 when *version* is too old: list again.
        """
        params = _selectors(labels, fields) | {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        timeout = aiohttp.ClientTimeout(total=_WATCH_SECONDS + 30, sock_connect=10, sock_read=90)
        try:
            async with self._session.get(
                self._server + resource.path(namespace), params=params, timeout=timeout
            ) as response:
                if response.status != 200:
                    raise _error(response.status, await response.read())
                async for event in _lines(response):
                    if event["type"] == "ERROR":
                        raise _error(event["object"].get("code", 500), msgspec.json.encode(event["object"]))
                    yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, "Unreachable", _sentence(error)) from None

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Object | None = None,
        kind: str = "application/json",
    ) -> Object:
        """Send one request and return the object in its answer.

        :raises ApiError: it was refused, or the server cannot be reached.
        """
        data = None if body is None else msgspec.json.encode(body)
        headers = None if body is None else {"Content-Type": kind}
        try:
            async with self._session.request(
                method, self._server + path, params=params, data=data, headers=headers
            ) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, "Unreachable", _sentence(error)) from None
        if response.status >= 300:
            raise _error(response.status, answer)
        decoded: Object = msgspec.json.decode(answer)
        return decoded


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[Object]:
    rest = b""
    async for chunk in response.content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line:
                yield msgspec.json.decode(line)
        if len(rest) > _LONGEST_LINE:
            raise ApiError(0, "Unreadable", "the API server sent a line without end")
        await asyncio.sleep(0)


def _selectors(labels: str, fields: str) -> dict[str, str]:
    return {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}


def _sentence(error: BaseException) -> str:
    return f"the API server cannot be reached: {type(error).__name__}"


def _error(status: int, answer: bytes) -> ApiError:
    try:
        said = msgspec.json.decode(answer)
        return ApiError(status, str(said.get("reason", "")), str(said.get("message", ""))[:1000])
    except (msgspec.MsgspecError, AttributeError):
        return ApiError(status, "", answer[:200].decode("utf-8", "replace"))
