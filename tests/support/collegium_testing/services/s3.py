"""An S3 endpoint: moto's server, all in memory."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from collegium_testing.processes import free_port, kill, spawn, wait_until

__all__ = ["S3Server"]


class S3Server:
    """An S3 server on loopback that takes any credentials."""

    def __init__(self, folder: Path) -> None:
        """Say where it logs; nothing runs yet."""
        self.port = free_port()
        self.log = folder / "s3.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> S3Server:
        """Start it and wait until it listens."""
        command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = spawn(command, log=self.log)
        wait_until(self._listens, what="moto", timeout=60, process=self._process, log=self.log)
        return self

    def make_bucket(self, name: str) -> None:
        """Make the bucket *name*; one that is there is fine."""
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")  # noqa: S310 - our own loopback address
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - same
            pass

    def stop(self) -> None:
        """End it; nothing of it is kept."""
        if self._process:
            kill(self._process)

    def _listens(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return True
