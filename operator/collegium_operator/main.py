"""The operator's process from its first breath to its last: watch, compete for the lease, work the queue, stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog

from collegium_core.errors import Conflict, Unavailable
from collegium_core.settings import Settings, SettingsError, load
from collegium_core.telemetry import exposition, logging
from collegium_core.tenancy.platform import Platform
from collegium_operator import health, metrics
from collegium_operator.access import Access, AccessError, find_access, open_session
from collegium_operator.config import Config, load_config
from collegium_operator.known import TENANT, Known, see_deployment, see_tenant
from collegium_operator.kube import CONFIG_MAPS, DEPLOYMENTS, SECRETS, SERVICES, TENANTS, ApiError, Kube
from collegium_operator.lease import Leadership
from collegium_operator.platform.reconcile import Surroundings, platform_key
from collegium_operator.platform.reconcile import reconcile as reconcile_platform
from collegium_operator.pods import OWNER_LABEL, selector
from collegium_operator.queue import Key, WorkQueue, backoff
from collegium_operator.tenants.cleanup import Doors, collect_orphans
from collegium_operator.tenants.reconcile import TenantReconciler
from collegium_operator.watch import KopfWatch, follow

__all__ = ["Operator", "run"]

_STUCK_SECONDS: Final = 600.0
_DEAF_SECONDS: Final = 120.0
_SILENT_SECONDS: Final = 120.0
_RECONCILE_SECONDS: Final = 120.0
_SOON: Final = 0.2

_log: Final = structlog.get_logger(__name__)


def run() -> None:
    """Run until SIGTERM or SIGINT; what the pod's container runs. Ends the process with 1 when it cannot."""
    try:
        settings, config, access = load(), load_config(os.environ), find_access(os.environ)
    except (SettingsError, AccessError) as error:
        sys.exit(f"collegium operator: {error}")
    logging.configure(settings.log_level, settings.log_format, "operator")
    try:
        asyncio.run(_serve(settings, config, access))
    except Exception:  # noqa: BLE001 - the last word of the process; Kubernetes starts it again
        _log.exception("operator_failed")
        sys.exit(1)


async def _serve(settings: Settings, config: Config, access: Access) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    platform = await Platform.open(settings)
    try:
        async with open_session(access) as session:
            operator = Operator(Kube(session, access.server), platform, config, access)
            servers = await exposition.serve(settings.host, settings.metrics_port)
            probes = await health.serve(
                settings.host, settings.port, alive=operator.alive_checks(), ready=operator.ready_checks()
            )
            try:
                await operator.run(stopped)
            finally:
                await probes.cleanup()
                await servers.close()
    finally:
        await platform.close()
    _log.info("operator_stopped")


class Operator:
    """Everything between the watches and the reconcilers. One per process."""

    def __init__(self, kube: Kube, platform: Platform, config: Config, access: Access) -> None:
        self._kube = kube
        self._config = config
        self._access = access
        self._known = Known()
        self._queue: WorkQueue[Key] = WorkQueue()
        self._surroundings = Surroundings(kube, config)
        self._doors = Doors(platform)
        self._tenants = TenantReconciler(
            kube, platform, config, self._known, self._surroundings, self._doors, look_at=self._queue.add
        )
        self._lease = Leadership(kube, config.namespace, f"{config.release}-operator", config.identity)
        self._listed = False
        self._deaf_since: float | None = None

    async def run(self, stopped: asyncio.Event) -> None:
        """Work until *stopped* is set, then finish what is under way and give up the lease.

        :raises RuntimeError: kopf or one of our own tasks ended, which nothing here can mend.
        """
        await self._wait_for_kinds(stopped)
        if stopped.is_set():
            return
        watch = KopfWatch(self._access, self._config.watched, tenant=self._see_tenant, secret=self._see_secret)
        tasks: list[asyncio.Future[Any]] = [
            watch.start(),
            *(asyncio.ensure_future(coroutine) for coroutine in self._follow_own()),
            asyncio.ensure_future(self._lease.run(self._lead)),
            asyncio.ensure_future(stopped.wait()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if not stopped.is_set():
                raise RuntimeError("a watch ended by itself")
        finally:
            for task in tasks[1:]:
                task.cancel()
            await asyncio.gather(*tasks[1:], return_exceptions=True)
            await watch.stop()
            self._queue.close()

    async def _wait_for_kinds(self, stopped: asyncio.Event) -> None:
        """Return when the API server serves Tenants: kopf looks once, at its start, which kinds there are."""
        failures = 0
        while not stopped.is_set():
            try:
                await self._list_tenants()
            except ApiError as error:
                failures += 1
                _log.warning("tenants_not_served", reason=str(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), backoff(failures))
            else:
                return

    def _follow_own(self) -> list[Any]:
        labels, namespace = selector(self._config), self._config.namespace
        connections = f"metadata.name={self._config.connections}"
        return [
            follow(self._kube, DEPLOYMENTS, namespace, self._see_deployment, labels=labels),
            follow(self._kube, SERVICES, namespace, self._see_own, labels=labels),
            follow(self._kube, CONFIG_MAPS, namespace, self._see_own, labels=labels),
            follow(self._kube, SECRETS, namespace, self._see_connections, fields=connections),
        ]

    # --- under the lease -------------------------------------------------------------------------------------------

    async def _lead(self) -> None:
        """Work the queue while the lease is held."""
        workers = [self._queue.work(self._reconcile, self._failed) for _ in range(self._config.concurrency)]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._resync_for_ever())
            for worker in workers:
                group.create_task(worker)

    async def _resync_for_ever(self) -> None:
        failures = 0
        while True:
            try:
                await self._resync()
            except (ApiError, Unavailable) as error:
                failures += 1
                _log.warning("resync_failed", reason=str(error))
                await asyncio.sleep(backoff(failures))
            else:
                failures = 0
                await asyncio.sleep(self._config.resync_seconds * random.uniform(0.9, 1.1))  # noqa: S311 - spreads load, hides nothing

    async def _resync(self) -> None:
        """Look at everything again, and at what went while nobody watched."""
        present = await self._list_tenants()
        self._queue.add(platform_key(self._config))
        for key in self._known.keys():  # noqa: SIM118 - a method of ours, no dictionary
            self._queue.add(key)
        await collect_orphans(self._kube, self._config, present)
        await self._doors.close_orphans(self._config, present)

    async def _list_tenants(self) -> frozenset[str]:
        """List the Tenants of the watched namespaces, take note of them, and return their uids."""
        found: list[dict[str, Any]] = []
        for namespace in self._config.watched or ("",):
            found += (await self._kube.list(TENANTS, namespace))[0]
        sightings = [see_tenant(tenant) for tenant in found]
        news = [self._known.see(sighting) for sighting in sightings]
        if self._listed and any(news):
            # A list knows better than the watch: once is a race, again and again is a watch that has died.
            self._deaf_since = self._deaf_since or time.monotonic()
        else:
            self._deaf_since = None
        self._listed = True
        for key in self._known.forget_all_but({sighting.key for sighting in sightings}):
            self._queue.add(key)
        return frozenset(sighting.uid for sighting in sightings)

    async def _reconcile(self, key: Key) -> float | None:
        begun = time.monotonic()
        metrics.show_depth(len(self._queue))
        result = "failed"
        try:
            async with asyncio.timeout(_RECONCILE_SECONDS):
                if key.kind == TENANT:
                    again = await self._tenants(key)
                else:
                    await reconcile_platform(self._kube, self._config, self._surroundings)
                    again = None
            result = "ok"
        except ApiError as error:
            if error.status in {404, 409}:
                # It was changed or deleted meanwhile.
                result = "conflict"
                return _SOON
            raise
        else:
            return again
        finally:
            metrics.reconciled(key.kind, result, time.monotonic() - begun)
            metrics.show_depth(len(self._queue))

    @staticmethod
    def _failed(key: Key, error: Exception) -> None:
        expected = isinstance(error, (ApiError, Unavailable, Conflict, TimeoutError))
        reason = str(error) or type(error).__name__
        _log.warning("reconcile_failed", object=str(key), reason=reason, exc_info=None if expected else error)

    # --- what the watches say --------------------------------------------------------------------------------------

    def _see_tenant(self, kind: str, tenant: Mapping[str, Any]) -> None:
        self._deaf_since = None
        sighting = see_tenant(tenant)
        if kind == "DELETED":
            for key in {sighting.key, *self._known.forget(sighting.key)}:
                self._queue.add(key)
        elif self._known.see(sighting):
            for key in {sighting.key, *self._known.rivals(sighting.slug)}:
                self._queue.add(key)

    def _see_secret(self, kind: str, secret: Mapping[str, Any]) -> None:
        metadata = secret["metadata"]
        version = "" if kind == "DELETED" else metadata["resourceVersion"]
        for key in self._known.see_secret(metadata["namespace"], metadata["name"], version):
            self._queue.add(key)

    def _see_deployment(self, kind: str, deployment: Mapping[str, Any]) -> None:
        name = deployment["metadata"]["name"]
        changed = self._known.see_deployment(name, None if kind == "DELETED" else see_deployment(deployment))
        self._see_own(kind, deployment)
        if changed and not deployment["metadata"].get("labels", {}).get(OWNER_LABEL):
            # Everybody's pods have become available or unavailable.
            for key in self._known.keys():  # noqa: SIM118 - a method of ours, no dictionary
                self._queue.add(key)

    def _see_own(self, _kind: str, each: Mapping[str, Any]) -> None:
        """Look again at whom this object was made for: it may have been changed or deleted."""
        owner = each["metadata"].get("labels", {}).get(OWNER_LABEL)
        if not owner:
            self._queue.add(platform_key(self._config))
        elif (key := self._known.key_of(owner)) is not None:
            self._queue.add(key)

    def _see_connections(self, _kind: str, _secret: Mapping[str, Any]) -> None:
        self._queue.add(platform_key(self._config))

    # --- probes ----------------------------------------------------------------------------------------------------

    def alive_checks(self) -> dict[str, health.Check]:
        """Return what has to hold, else the process is better started again."""
        return {"queue": self._check_queue, "watch": self._check_watch}

    def ready_checks(self) -> dict[str, health.Check]:
        """Return what has to hold for work to get done."""
        return {**self.alive_checks(), "start": self._check_start, "lease": self._check_lease}

    def _check_queue(self) -> str:
        waited = self._queue.oldest_seconds()
        # Without the lease the queue has to wait.
        return f"an object has waited for {waited:.0f} s" if self._lease.held and waited > _STUCK_SECONDS else ""

    def _check_watch(self) -> str:
        silent = self._deaf_since is not None and time.monotonic() - self._deaf_since > _DEAF_SECONDS
        return "the watch of Tenants misses changes" if silent else ""

    def _check_start(self) -> str:
        return "" if self._listed else "Tenants have not been listed yet"

    def _check_lease(self) -> str:
        silent = time.monotonic() - self._lease.last_answer
        return f"the lease has not been read for {silent:.0f} s" if silent > _SILENT_SECONDS else ""
