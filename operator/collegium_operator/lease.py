"""One operator at a time: a Lease of our own, held by renewing it; who loses it stops before another may begin.

The rules are those of Kubernetes' own components: the holder stops when it has not renewed for less than the lease's
duration, a rival waits a whole duration by its own clock since it last saw the lease change.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from collegium_operator.kube import LEASES, ApiError, Kube

__all__ = ["Leadership"]

_log: Final = structlog.get_logger(__name__)


class Leadership:
    """Competes for the Lease *name* as *identity*.

    :param duration: seconds after which a silent holder has lost it; renewals come three times in that time.
    """

    def __init__(self, kube: Kube, namespace: str, name: str, identity: str, *, duration: float = 15.0) -> None:
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._duration = duration
        self._seen: tuple[str, float] = ("", 0.0)
        self.held = False
        self.last_answer = time.monotonic()

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Compete for ever; run *lead* while the lease is held and cancel it when it is lost. Ends when *lead* ends.

        What *lead* raises is raised. When cancelled, *lead* is ended first, then the lease is given up.
        """
        while True:
            if not await self._try():
                await asyncio.sleep(self._duration / 3)
                continue
            self.held = True
            _log.info("lease_acquired", lease=self._name, holder=self._identity)
            leading = asyncio.ensure_future(lead())
            try:
                await self._renew_while(leading)
            finally:
                self.held = False
                leading.cancel()
                await asyncio.wait({leading})
                await self._release()
            _log.warning("lease_lost", lease=self._name, holder=self._identity)

    async def _renew_while(self, leading: asyncio.Future[None]) -> None:
        """Return when the lease is lost; raise what *leading* raised, or an error that it ended at all."""
        renewed = time.monotonic()
        while True:
            done, _ = await asyncio.wait({leading}, timeout=self._duration / 3)
            if done:
                leading.result()
                raise RuntimeError("the work under the lease ended by itself")
            if await self._try():
                renewed = time.monotonic()
            elif time.monotonic() - renewed > self._duration * 2 / 3 or self._taken():
                return

    def _taken(self) -> bool:
        return self._seen[0].partition(" ")[0] not in {"", self._identity}

    async def _try(self) -> bool:
        """Take or renew the lease; return whether it is ours now."""
        try:
            async with asyncio.timeout(self._duration / 3):
                taken = await self._take()
        except (ApiError, TimeoutError) as error:
            if isinstance(error, ApiError) and error.status == 409:
                return False
            _log.warning("lease_unreachable", lease=self._name, reason=str(error) or "no answer in time")
            return False
        self.last_answer = time.monotonic()
        return taken

    async def _take(self) -> bool:
        lease = await self._kube.get(LEASES, self._namespace, self._name)
        if lease is None:
            document = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": {"name": self._name, "namespace": self._namespace},
                "spec": self._spec({}),
            }
            self._note(await self._kube.create(LEASES, self._namespace, document))
            return True
        self._note(lease)
        spec = lease.get("spec", {})
        holder = spec.get("holderIdentity", "")
        silent = time.monotonic() - self._seen[1]
        if holder not in {"", self._identity} and silent < spec.get("leaseDurationSeconds", self._duration):
            return False
        self._note(await self._kube.replace(LEASES, self._namespace, self._name, {**lease, "spec": self._spec(spec)}))
        return True

    def _note(self, lease: dict[str, Any]) -> None:
        mark = f"{lease.get('spec', {}).get('holderIdentity', '')} {lease['metadata']['resourceVersion']}"
        if mark != self._seen[0]:
            self._seen = (mark, time.monotonic())

    def _spec(self, before: dict[str, Any]) -> dict[str, Any]:
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        same = before.get("holderIdentity") == self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._duration)),
            "acquireTime": before.get("acquireTime", now) if same else now,
            "renewTime": now,
            "leaseTransitions": before.get("leaseTransitions", 0) + (0 if same else 1),
        }

    async def _release(self) -> None:
        """Give the lease up, so that the next one need not wait; best effort."""
        with contextlib.suppress(ApiError, TimeoutError):
            async with asyncio.timeout(self._duration / 3):
                lease = await self._kube.get(LEASES, self._namespace, self._name)
                if lease is not None and lease.get("spec", {}).get("holderIdentity") == self._identity:
                    spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._kube.replace(LEASES, self._namespace, self._name, {**lease, "spec": spec})
