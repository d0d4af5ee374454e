"""Which programs ``collegium up`` runs, with which arguments and which variables."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from typing import Final

from collegium_core.settings import PREFIX, Settings
from collegium_workers.roles import ROLES
from collegium_workers.supervisor.ports import free_port
from collegium_workers.supervisor.processes import ChildSpec

__all__ = ["Programs", "command_line"]

# Longer than the API's own limit for draining, and than a worker's batch.
_STOP_SECONDS: Final = 25.0
_ENTRY: Final = "from collegium_core.commands import main; main()"
# Variables that name a file for a value which is handed on as such.
_REPLACED: Final = ("REDIS_URL_FILE", "OBJECT_STORE_URL_FILE")


def command_line(*arguments: str) -> tuple[str, ...]:
    """Return the command line of ``collegium`` with *arguments*, run by this very Python."""
    # -P: the folder that the command was started in is nowhere to import from.
    return (sys.executable, "-P", "-c", _ENTRY, *arguments)


class Programs:
    """Makes the specifications of children; *settings* as they were settled for this run."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def apis(self, replicas: int, listener: socket.socket) -> list[ChildSpec]:
        """Return the API processes, which share one listening socket."""
        return [
            ChildSpec(
                name=f"api-{number}" if replicas > 1 else "api",
                command=command_line("api", "--fd", str(listener.fileno())),
                environment=self.environment,
                descriptors=(listener.fileno(),),
                stop_seconds=_STOP_SECONDS,
            )
            for number in range(1, replicas + 1)
        ]

    def workers(self) -> list[ChildSpec]:
        """Return a worker process for each role."""
        return [
            ChildSpec(
                name=role,
                command=command_line("worker", "--role", role),
                environment=self.environment,
                stop_seconds=_STOP_SECONDS,
            )
            for role in ROLES
        ]

    def demo(self, statements: int, tenant: str) -> ChildSpec:
        """Return the process that fills *tenant* with made-up statements."""
        folder = str(self._settings.data_dir)
        return ChildSpec(
            name="demo",
            command=command_line("demo", "--statements", str(statements), "--tenant", tenant, "--data", folder),
            environment=self.environment,
            stop_seconds=2.0,
        )

    def environment(self) -> Mapping[str, str]:
        """Return a child's variables: those that this process got, and the settings where they were settled here."""
        settings = self._settings
        variables = {
            "REDIS_URL": settings.redis_url,
            "STORE": settings.store,
            "DATA_DIR": str(settings.data_dir),
            "OBJECT_STORE_URL": settings.object_store_url,
            # The API's address is the inherited socket; only the metrics listen on this host, and for us alone.
            "HOST": "127.0.0.1",
            "PORT": str(settings.port),
            "METRICS_PORT": str(free_port()),
            "LOG_LEVEL": settings.log_level,
            "LOG_FORMAT": settings.log_format,
            "SYSTEM_KEY_FILE": settings.system_key_file,
        }
        given = {name: value for name, value in os.environ.items() if name.removeprefix(PREFIX) not in _REPLACED}
        return {**given, **{f"{PREFIX}{name}": value for name, value in variables.items()}}
