"""One worker process from its first breath to its last: open the platform, run the roles, drain, close."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Sequence

import structlog
import uvloop

from collegium_core.settings import Settings, load
from collegium_core.telemetry import exposition, logging, metrics
from collegium_core.tenancy.platform import Platform
from collegium_workers.roles import load_role
from collegium_workers.runner import Runner

__all__ = ["run", "work"]

_log = structlog.get_logger(__name__)


def run(roles: Sequence[str], *, metrics_port: int | None) -> None:
    """Work until SIGTERM or SIGINT, then finish the batches in hand.

    :raises SettingsError: the settings cannot be used.
    """
    settings = load()
    logging.configure(settings.log_level, settings.log_format, "worker")
    uvloop.run(work(settings, roles, metrics_port=settings.metrics_port if metrics_port is None else metrics_port))


async def work(settings: Settings, roles: Sequence[str], *, metrics_port: int) -> None:
    """Run *roles*, names of :data:`collegium_workers.roles.ROLES`, side by side."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    metrics.TENANTS.limit = settings.tenant_label_limit
    platform = await Platform.open(settings)
    try:
        metrics_server = await exposition.serve(settings.host, metrics_port)
        try:
            owner = f"{socket.gethostname()}:{os.getpid()}"
            gc.collect()
            gc.freeze()
            _log.info("worker_working", roles=list(roles))
            async with asyncio.TaskGroup() as tasks:
                for name in roles:
                    tasks.create_task(Runner(platform, load_role(name), owner=owner).run(stop))
        finally:
            await metrics_server.close()
    finally:
        await platform.close()
    _log.info("worker_stopped")
