"""One pipelined connection to one server: the hot path's way to Redis.

Commands written during one turn of the event loop leave in one ``write``; replies come back in order. The server runs
what it finds in its buffer before it syncs its append-only file once, so concurrent requests share that sync: group
commit, with no delay when there is nothing to share with.

No command is ever sent twice by this module: after a lost connection its fate is unknown, and the caller decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

import hiredis
import msgspec

from collegium_core.errors import Unavailable

__all__ = ["Address", "Pipe", "ReplyError", "parse_address"]

_CONNECT_SECONDS: Final = 5.0
_REPLY_SECONDS: Final = (
    20.0  # a slow disk may hold back an `always` sync for seconds; silence beyond this is a dead peer
)
_RETRY_SECONDS: Final = 0.2  # after a failed connect, how long further callers are told at once

ReplyError = hiredis.ReplyError


class Address(msgspec.Struct, frozen=True):
    """Where a server is and how to log in; ``path`` is a unix socket. ``repr`` never shows the password."""

    host: str = "127.0.0.1"
    port: int = 6379
    path: str = ""
    username: str = ""
    password: str = ""
    database: int = 0
    tls: bool = False

    def __repr__(self) -> str:
        return f"Address({self.path or f'{self.host}:{self.port}'})"


def parse_address(url: str) -> Address:
    """Return the address in a ``redis://``, ``rediss://``, ``valkey://`` or ``unix://`` URL.

    :raises ValueError: another scheme, or a database that is no number; the message holds no password.
    """
    parts = urlsplit(url)
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme == "unix":
        return Address(path=unquote(parts.path), username=username, password=password)
    if parts.scheme not in {"redis", "rediss", "valkey", "valkeys"}:
        raise ValueError(f"a Redis URL begins with redis://, rediss:// or unix://, not {parts.scheme}://")
    database = parts.path.strip("/")
    if database and not database.isdecimal():
        raise ValueError("the path of a Redis URL is the number of a database")
    return Address(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 6379,
        username=username,
        password=password,
        database=int(database or 0),
        tls=parts.scheme in {"rediss", "valkeys"},
    )


class _Protocol(asyncio.Protocol):
    """Feeds replies to the futures that wait for them, in order."""

    def __init__(self) -> None:
        self.pending: deque[asyncio.Future[Any]] = deque()
        self.transport: asyncio.Transport | None = None
        self.heard = time.monotonic()
        self._reader = hiredis.Reader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # a stream's transport always is; uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        reader, pending = self._reader, self.pending
        self.heard = time.monotonic()
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                future = pending.popleft()
                if not future.done():
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self.fail()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # its text may name the address; the caller gets one sentence
        self.fail()

    def fail(self) -> None:
        """End the connection and tell everyone who waits; whether the server acted is unknown."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None
        while self.pending:
            future = self.pending.popleft()
            if not future.done():
                future.set_exception(Unavailable("the log is away: the connection was lost before it answered"))


class Pipe:
    """A connection made on first use and made again after a loss. Not thread-safe: one event loop owns it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._protocol: _Protocol | None = None
        self._connecting: asyncio.Task[_Protocol] | None = None
        self._buffer: list[bytes] = []
        self._refused_until = 0.0
        self._watch: asyncio.TimerHandle | None = None

    async def call(self, *command: bytes | str | int) -> Any:
        """Send *command*, return its reply; an error reply is returned as :class:`ReplyError`, not raised.

        :raises Unavailable: not reachable, lost, or silent for too long. The command may or may not have been run.
        """
        protocol = self._protocol
        if protocol is None or protocol.transport is None:
            protocol = await self._connected()
        return await self._send(protocol, command)

    def _send(self, protocol: _Protocol, command: Sequence[bytes | str | int]) -> asyncio.Future[Any]:
        if protocol.transport is None:
            raise Unavailable("the log is away: the connection was lost")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if not protocol.pending:
            protocol.heard = time.monotonic()
        protocol.pending.append(future)
        if not self._buffer:
            loop.call_soon(self._flush)
        self._buffer.append(hiredis.pack_command(tuple(command)))  # type: ignore[arg-type]  # its stub forgets mixed tuples
        return future

    def _flush(self) -> None:
        data, self._buffer = b"".join(self._buffer), []
        protocol = self._protocol
        if protocol is not None and protocol.transport is not None:
            protocol.transport.write(data)

    async def _connected(self) -> _Protocol:
        if time.monotonic() < self._refused_until:
            raise Unavailable("the log is away: no connection to Redis")
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        # A caller that is cancelled must not take the others' connection with it.
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> _Protocol:
        loop = asyncio.get_running_loop()
        if self._watch is None:
            self._watch = loop.call_later(1.0, self._look)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                protocol = await self._open()
                # All of it leaves before anybody else's first command can.
                for answer in [self._send(protocol, command) for command in self._greeting()]:
                    reply = await answer
                    if isinstance(reply, ReplyError):
                        raise Unavailable(f"Redis refused the connection: {str(reply).split(' ', 1)[0]}")
        except (OSError, TimeoutError) as error:
            self._give_up()
            raise Unavailable("the log is away: no connection to Redis") from error
        except BaseException:
            self._give_up()
            raise
        return protocol

    async def _open(self) -> _Protocol:
        address, loop = self._address, asyncio.get_running_loop()
        if address.path:
            _, protocol = await loop.create_unix_connection(_Protocol, address.path)
        else:
            context = ssl.create_default_context() if address.tls else None
            _, protocol = await loop.create_connection(_Protocol, address.host, address.port, ssl=context)
        self._buffer = []
        self._protocol = protocol
        return protocol

    def _give_up(self) -> None:
        """Forget a connection that did not come to life, and tell further callers at once for a moment."""
        if self._protocol is not None:
            self._protocol.fail()
            self._protocol = None
        self._refused_until = time.monotonic() + _RETRY_SECONDS

    def _greeting(self) -> list[tuple[str, ...]]:
        address = self._address
        commands: list[tuple[str, ...]] = []
        if address.password:
            user = (address.username,) if address.username else ()
            commands.append(("AUTH", *user, address.password))
        if address.database:
            commands.append(("SELECT", str(address.database)))
        commands.append(("CLIENT", "SETNAME", "collegium"))
        return commands

    def _look(self) -> None:
        """Give up a connection whose peer owes an answer and has said nothing for too long."""
        protocol = self._protocol
        if protocol is not None and protocol.pending and time.monotonic() - protocol.heard > _REPLY_SECONDS:
            protocol.fail()
        self._watch = asyncio.get_running_loop().call_later(1.0, self._look)

    async def close(self) -> None:
        """End the connection; whoever still waits is told."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._connecting is not None and not self._connecting.done():
            self._connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError, Unavailable):
                await self._connecting
        if self._protocol is not None:
            self._protocol.fail()
            self._protocol = None
