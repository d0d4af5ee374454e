"""The platform of one machine from start to stop, in the order in which its parts need each other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from collegium_core.settings import Settings
from collegium_core.telemetry import exposition
from collegium_core.tenancy.platform import Platform
from collegium_workers.supervisor.console import ReadyReport, Voice
from collegium_workers.supervisor.lock import DataFolderError, DataLock
from collegium_workers.supervisor.logstream import LogStream
from collegium_workers.supervisor.orphans import ProcessBook, end_orphans, identify
from collegium_workers.supervisor.probe import get, reachable_host
from collegium_workers.supervisor.processes import Child, ChildSpec
from collegium_workers.supervisor.programs import Programs
from collegium_workers.supervisor.reconciler import ManifestFolder, Reconciler
from collegium_workers.supervisor.runtime import Runtime, ensure_system_key, forget_runtime, write_runtime
from collegium_workers.supervisor.summary import Summary
from collegium_workers.supervisor.valkey import EmbeddedValkey

__all__ = ["Plan", "StartError", "run"]

_POLL_SECONDS: Final = 0.02
_AWAY_SECONDS: Final = 0.25
_PROBE_SECONDS: Final = 5.0
_CRASHES_AT_START: Final = 5
_STILL_WAITING_SECONDS: Final = 10.0
_BACKLOG: Final = 2048

_log = structlog.get_logger(__name__)


class StartError(Exception):
    """The platform cannot start; the message is one sentence."""


class Plan(msgspec.Struct, frozen=True):
    """What ``collegium up`` was asked for; everything else is in the settings.

    :param manifests: the watched folder; None leaves the tenants that manifests made before as they are.
    :param demo: statements to make in the first tenant of the manifests once the platform is ready.
    """

    settings: Settings
    manifests: Path | None
    api_replicas: int = 1
    demo: int = 0


async def run(plan: Plan, lock: DataLock, log: LogStream, voice: Voice) -> None:
    """Start everything, say so, run until SIGTERM, SIGINT or SIGHUP, drain, stop. Call it in the main thread.

    A second signal kills what is still draining.

    :raises StartError: it cannot start, as do :class:`ValkeyError` and :class:`DataFolderError`; all has been stopped.
    """
    began = time.monotonic()
    stop = asyncio.Event()
    service = _Service(plan, log, voice)

    def on_signal() -> None:
        if stop.is_set():
            service.kill()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    stopping = loop.create_task(stop.wait())
    running = loop.create_task(service.run(stop, lock, began))
    try:
        # A start that hangs on something must not hold back Ctrl-C.
        await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done() and not service.is_ready:
            running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    finally:
        stopping.cancel()


class _Service:
    """The parts of one running platform."""

    def __init__(self, plan: Plan, log: LogStream, voice: Voice) -> None:
        self._plan = plan
        self._settings = plan.settings
        self._data = plan.settings.data_dir
        self._log = log
        self._voice = voice
        self._book = ProcessBook(self._data / "pids.json")
        self._children: list[Child] = []
        self.is_ready = False

    def kill(self) -> None:
        """Stop waiting for children that drain."""
        for child in self._children:
            child.kill()

    async def run(self, stop: asyncio.Event, lock: DataLock, began: float) -> None:
        """Run until *stop*; whatever was begun has ended when this returns or raises."""
        async with contextlib.AsyncExitStack() as stack:
            await self._end_orphans()
            self._settings = await self._prepare()
            listener = stack.enter_context(_listen(self._settings.host, self._settings.port))
            self._settings = msgspec.structs.replace(self._settings, port=listener.getsockname()[1])
            url = self._url()
            lock.describe(url=url)
            redis_url = await stack.enter_async_context(self._redis())
            programs = Programs(self._settings)
            # The last to start is the first to stop: APIs drain while workers and the log still run.
            served = await stack.enter_async_context(self._group(programs.workers()))
            served += await stack.enter_async_context(self._group(programs.apis(self._plan.api_replicas, listener)))
            # While the APIs drain, only they hold the socket: when they let go of it, callers are refused.
            stack.callback(listener.close)
            summary = Summary(served)
            metrics = await stack.enter_async_context(self._metrics(summary))
            platform = await stack.enter_async_context(_opened(self._settings))
            reconciler = Reconciler(platform, self._folders(), report=self._report)
            await self._wait_until_applied(reconciler)
            await self._wait_until_ready()
            host = _in_url(reachable_host(self._settings.host))
            metrics_url = f"http://{host}:{metrics}/metrics"
            supervisor = identify("supervisor", os.getpid())
            if supervisor is None:
                raise AssertionError("a running process has a start time")
            embedded = "" if self._plan.settings.redis_url else redis_url
            runtime = Runtime(supervisor=supervisor, url=url, metrics_url=metrics_url, redis_url=embedded)
            await asyncio.to_thread(write_runtime, self._data, runtime)
            stack.callback(forget_runtime, self._data)
            self.is_ready = True
            self._voice.ready(
                ReadyReport(
                    url=url,
                    metrics_url=metrics_url,
                    data=str(self._data),
                    seconds=time.monotonic() - began,
                    tenants=reconciler.tenants(),
                )
            )
            async with _running(reconciler.run(), summary.run(), self._book.keep(), self._demo(programs, reconciler)):
                await stop.wait()
            self._report("stopping")

    # --- before the first child ------------------------------------------------------------------------------------

    async def _end_orphans(self) -> None:
        marks = await asyncio.to_thread(self._book.read)
        for mark in await end_orphans(marks):
            self._report("orphan-ended", process=mark.name, pid=mark.pid)

    async def _prepare(self) -> Settings:
        """Make the files that the children need; return the settings that name them."""
        try:
            key = await asyncio.to_thread(ensure_system_key, self._data)
            await asyncio.to_thread((self._data / "tenants").mkdir, mode=0o700, exist_ok=True)
        except OSError as error:
            raise DataFolderError(f"the data folder {self._data} is not writable: {error.strerror}") from None
        given = self._settings.system_key_file
        return msgspec.structs.replace(self._settings, system_key_file=given or str(key))

    def _folders(self) -> list[ManifestFolder]:
        folders = [ManifestFolder(self._data / "tenants", "tenants")]
        if self._plan.manifests is not None:
            folders.insert(0, ManifestFolder(self._plan.manifests, "manifests"))
        return folders

    # --- children --------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _redis(self) -> AsyncIterator[str]:
        """Yield the URL of the log: the one of the settings, else that of a Valkey of our own."""
        if self._settings.redis_url:
            yield self._settings.redis_url
            return
        valkey = EmbeddedValkey(self._data)
        await asyncio.to_thread(valkey.prepare)
        async with self._child(valkey.spec()) as child:
            await valkey.wait_until_ready(child)
            self._settings = msgspec.structs.replace(self._settings, redis_url=valkey.url)
            yield valkey.url

    @contextlib.asynccontextmanager
    async def _child(self, spec: ChildSpec) -> AsyncIterator[Child]:
        async with self._group([spec]) as [child]:
            yield child

    @contextlib.asynccontextmanager
    async def _group(self, specs: Iterable[ChildSpec]) -> AsyncIterator[list[Child]]:
        """Run children that stop together."""
        group = [Child(spec, self._book, self._log, self._report) for spec in specs]
        try:
            for child in group:
                self._children.append(child)
                try:
                    await child.start()
                except OSError as error:
                    raise StartError(f"{child.spec.name} cannot be started: {error.strerror}") from None
            yield group
        finally:
            await asyncio.gather(*(child.stop() for child in group))

    # --- ready -----------------------------------------------------------------------------------------------------

    def _url(self) -> str:
        settings = self._settings
        if settings.public_url:
            return settings.public_url.rstrip("/")
        return f"http://{_in_url(reachable_host(settings.host))}:{settings.port}{settings.root_path.rstrip('/')}"

    async def _wait_until_applied(self, reconciler: Reconciler) -> None:
        """Return once the registry holds the manifests' tenants; it may be in a Redis that is away for now."""
        told = time.monotonic()
        while not await reconciler.step():
            if time.monotonic() - told > _STILL_WAITING_SECONDS:
                told = time.monotonic()
                self._report("still-waiting", detail="the tenants cannot be registered: no connection to Redis")
            await asyncio.sleep(_AWAY_SECONDS)

    async def _wait_until_ready(self) -> None:
        """Return once the API accepts writes.

        :raises StartError: a child crashed again and again instead.
        """
        host, path = reachable_host(self._settings.host), f"{self._settings.root_path.rstrip('/')}/readyz"
        told = time.monotonic()
        while True:
            try:
                status, body = await get(host, self._settings.port, path, timeout=_PROBE_SECONDS)
            except OSError as error:
                status, body = 0, str(error).encode()
            if status == 200:
                return
            for child in self._children:
                if child.exits >= _CRASHES_AT_START:
                    name, code = child.spec.name, child.last_exit
                    raise StartError(f"{name} ended {child.exits} times, last with {code}; its log lines say why")
            if time.monotonic() - told > _STILL_WAITING_SECONDS:
                told = time.monotonic()
                self._report("still-waiting", status=status, answer=body[:500].decode("utf-8", "replace"))
            await asyncio.sleep(_POLL_SECONDS)

    @contextlib.asynccontextmanager
    async def _metrics(self, summary: Summary) -> AsyncIterator[int]:
        """Serve the summed metrics; yield the port."""
        settings = self._settings
        try:
            server = await exposition.serve(settings.host, settings.metrics_port, produce=summary.produce)
        except OSError as error:
            raise StartError(_port_sentence("metrics-port", settings.host, settings.metrics_port, error)) from None
        try:
            yield server.port
        finally:
            await server.close()

    async def _demo(self, programs: Programs, reconciler: Reconciler) -> None:
        """Fill the first tenant of the manifests; the same statements at every start, so a second one adds nothing."""
        named = [view.name for view in reconciler.tenants() if view.logins]
        if self._plan.demo > 0 and named:
            spec = programs.demo(self._plan.demo, named[0])
            try:
                code = await Child(spec, self._book, self._log, self._report).run_once()
            except OSError as error:
                self._report("demo-failed", tenant=named[0], detail=f"it cannot be started: {error.strerror}")
                return
            if code:
                self._report("demo-failed", tenant=named[0], detail=f"it ended with {code}; its log lines say why")

    def _report(self, name: str, **fields: Any) -> None:
        level = "warning" if name in _WARNINGS else "info"
        getattr(_log, level)(name.replace("-", "_"), **fields)
        self._voice.event(name, **fields)


_WARNINGS: Final = frozenset(
    {
        "child-exited",
        "child-killed",
        "demo-failed",
        "manifest-fault",
        "orphan-ended",
        "still-waiting",
        "store-away",
        "tenant-fault",
    }
)


@contextlib.asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Platform]:
    platform = await Platform.open(settings)
    try:
        yield platform
    finally:
        await platform.close()


@contextlib.asynccontextmanager
async def _running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines beside the body; one that fails ends the body, all end with it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        yield
        for task in tasks:
            task.cancel()


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    """Yield the API's listening socket: made once, inherited by each API process, so that restarts refuse nobody."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise StartError(_port_sentence("port", host, port, error)) from None
        listener.listen(_BACKLOG)
        yield listener
    finally:
        listener.close()


def _port_sentence(option: str, host: str, port: int, error: OSError) -> str:
    # The system's words: the event loop puts a sentence of its own in their place.
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"cannot listen on {host}:{port} ({reason}); choose another with --{option}, 0 takes a free one"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
