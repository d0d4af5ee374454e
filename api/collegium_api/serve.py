"""One API process from its first breath to its last: open the platform, serve, drain, close."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
from collections.abc import Iterator

import structlog
import uvicorn
import uvloop

from collegium_api.app import Application
from collegium_api.protocol import BoundedProtocol
from collegium_core.settings import Settings, load
from collegium_core.telemetry import exposition, logging, metrics
from collegium_core.tenancy.platform import Platform

__all__ = ["run", "serve"]

_DRAIN_SECONDS = 20

_log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """Leaves after a signal without raising it again, so that what was opened is also closed."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain on SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def run(*, host: str | None, port: int | None, metrics_port: int | None, fd: int | None) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun.

    Arguments that are ``None`` are taken from the settings.

    :raises SettingsError: the settings cannot be used.
    """
    settings = load()
    logging.configure(settings.log_level, settings.log_format, "api")
    # Connections are files: as many as the system lets this process have.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    uvloop.run(
        serve(
            settings,
            host=settings.host if host is None else host,
            port=settings.port if port is None else port,
            metrics_port=settings.metrics_port if metrics_port is None else metrics_port,
            fd=fd,
        )
    )


async def serve(settings: Settings, *, host: str, port: int, metrics_port: int, fd: int | None) -> None:
    """Serve on *host* and *port*, or on the listening socket *fd*."""
    metrics.TENANTS.limit = settings.tenant_label_limit
    platform = await Platform.open(settings)
    try:
        metrics_server = await exposition.serve(settings.host, metrics_port)
        try:
            application = Application(platform, settings)
            config = uvicorn.Config(
                application,
                host=host,
                port=port,
                loop="none",  # this coroutine runs on the loop already
                http=BoundedProtocol.within(settings.body_timeout_seconds),
                ws="none",
                lifespan="off",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                log_config=None,
                timeout_keep_alive=65,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
            )
            sockets = None if fd is None else [socket.socket(fileno=fd)]
            # What is imported by now lives for ever; full collections need not walk it (three to four times lower p99).
            gc.collect()
            gc.freeze()
            _log.info("api_serving", host=host, port=port)
            try:
                await _Server(config).serve(sockets=sockets)
            finally:
                await application.close()
        finally:
            await metrics_server.close()
    finally:
        await platform.close()
    _log.info("api_stopped")
