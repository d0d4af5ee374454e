"""The watches: kopf's events of Tenants and Secrets, and our own of what we made. They name keys, and do nothing else.

kopf runs in a thread with a loop of its own, because at its end it cancels every task of its loop that is younger than
itself. Handlers hand names over to the operator's loop. The pods' objects are watched without kopf, which knows one set
of namespaces for all kinds: so nobody needs the right to read Deployments outside the release's namespace.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

import kopf
import structlog

from collegium_core.manifests import GROUP, VERSION
from collegium_operator.access import Access, open_session
from collegium_operator.kube import ApiError, Kube, Resource

__all__ = ["KopfWatch", "Seen", "follow"]

_STOP_SECONDS: Final = 10.0

Seen = Callable[[str, Mapping[str, Any]], None]
"""Called in the operator's loop: ``ADDED``, ``MODIFIED``, ``DELETED`` or, when listed, ``LISTED``; and the object."""

_log: Final = structlog.get_logger(__name__)


class KopfWatch:
    """kopf in its thread. *tenant* and *secret* are called in the loop that called :meth:`start`."""

    def __init__(self, access: Access, namespaces: tuple[str, ...], *, tenant: Seen, secret: Seen) -> None:
        self._access = access
        self._namespaces = namespaces
        self._tenant = tenant
        self._secret = secret
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[None] | None = None

    def start(self) -> asyncio.Future[None]:
        """Begin; the result is done when kopf has ended, with its error if it had one."""
        loop = asyncio.get_running_loop()
        ended = self._ended = loop.create_future()
        registry = self._make_registry(loop)

        def settle(error: BaseException | None) -> None:
            if ended.done():
                return
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(RuntimeError(f"kopf ended: {type(error).__name__}: {error}"))

        def run() -> None:
            error: BaseException | None = None
            try:
                asyncio.run(self._operate(registry))
            except BaseException as fault:  # noqa: BLE001 - whatever ends this thread ends the operator, in its own loop
                error = fault
            with contextlib.suppress(RuntimeError):  # the loop may be closed already
                loop.call_soon_threadsafe(settle, error)

        self._thread = threading.Thread(target=run, name="kopf", daemon=True)
        self._thread.start()
        return ended

    async def stop(self) -> None:
        """End kopf and wait for its thread."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _STOP_SECONDS)
        if self._ended is not None and self._ended.done() and not self._ended.cancelled():
            self._ended.exception()

    async def _operate(self, registry: kopf.OperatorRegistry) -> None:
        settings = kopf.OperatorSettings()
        configure(settings)
        await kopf.operator(
            registry=registry,
            settings=settings,
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=self._stop,
        )

    def _make_registry(self, loop: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        async def login(**_: Any) -> kopf.AiohttpSession:
            session = open_session(self._access, timeout_seconds=300)
            return kopf.AiohttpSession(server=self._access.server, aiohttp_session=session)

        def hand_over(seen: Seen, event: Mapping[str, Any]) -> None:
            loop.call_soon_threadsafe(seen, event["type"] or "LISTED", event["object"])

        async def tenant(event: Mapping[str, Any], **_: Any) -> None:
            hand_over(self._tenant, event)

        async def secret(event: Mapping[str, Any], **_: Any) -> None:
            metadata = event["object"]["metadata"]
            # Values of Secrets never leave kopf's thread.
            named = {key: metadata.get(key, "") for key in ("namespace", "name", "resourceVersion")}
            hand_over(self._secret, {"type": event["type"], "object": {"metadata": named}})

        kopf.on.login(registry=registry, id="login")(login)
        kopf.on.event(GROUP, VERSION, "tenants", registry=registry, id="tenant")(tenant)
        kopf.on.event("", "v1", "secrets", registry=registry, id="secret")(secret)
        return registry


def configure(settings: kopf.OperatorSettings) -> None:
    """Set kopf up as a mere watcher: it writes nothing, neither to objects nor as events."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = 600
    settings.watching.client_timeout = 660
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 500
    settings.networking.request_timeout = 30
    settings.execution.max_workers = 1
    settings.process.ultimate_exiting_timeout = None
    # One line per event and object is the business of our own metrics.
    logging.getLogger("kopf").setLevel(logging.ERROR)


async def follow(
    kube: Kube, resource: Resource, namespace: str, seen: Seen, *, labels: str = "", fields: str = ""
) -> None:
    """Call *seen* for every object that matches, now and whenever it changes, for ever.

    After a break the list is read anew; objects that went meanwhile are told as ``DELETED``.
    """
    present: dict[str, Mapping[str, Any]] = {}
    pause = 1.0
    while True:
        try:
            found, version = await kube.list(resource, namespace, labels=labels, fields=fields)
            listed = {each["metadata"]["name"]: each for each in found}
            for name in present.keys() - listed.keys():
                seen("DELETED", present.pop(name))
            for name, each in listed.items():
                present[name] = {"metadata": {"name": name}}
                seen("LISTED", each)
            pause = 1.0
            while True:
                async for kind, each in kube.watch(resource, namespace, version, labels=labels, fields=fields):
                    version = each["metadata"]["resourceVersion"]
                    if kind == "BOOKMARK":
                        continue
                    name = each["metadata"]["name"]
                    if kind == "DELETED":
                        present.pop(name, None)
                    else:
                        present[name] = {"metadata": {"name": name}}
                    seen(kind, each)
        except ApiError as error:
            if error.status != 410:
                _log.warning("watch_interrupted", kind=resource.kind, reason=str(error))
        await asyncio.sleep(pause)
        pause = min(30.0, pause * 2)
