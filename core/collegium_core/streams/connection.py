"""The platform's connection to Redis: functions loaded, calls routed to the node that owns a partition.

This module and :mod:`collegium_core.streams.pipe` are the only ones that know a Redis client.
"""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, Final

import structlog
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from collegium_core.errors import Unavailable
from collegium_core.streams.pipe import Address, Pipe, ReplyError, parse_address

__all__ = ["PARTITIONS", "Connection", "partition_of", "tenant_key"]

PARTITIONS: Final = 64
_MOVED_TRIES: Final = 5
_TIMEOUT: Final = 5.0
_QUIET_SECONDS: Final = 5.0  # without a message, before a subscription asks whether its peer is there

_log = structlog.get_logger(__name__)


@lru_cache(maxsize=16_384)
def partition_of(slug: str) -> int:
    """Return the partition of a tenant's keys: CRC-16 (XMODEM) of the slug, modulo 64."""
    return binascii.crc_hqx(slug.encode(), 0) % PARTITIONS


@lru_cache(maxsize=65_536)
def tenant_key(slug: str, name: str) -> str:
    """Return the full key of a tenant's *name*: ``c:{p07}:<slug>:<name>``."""
    return f"c:{{p{partition_of(slug):02d}}}:{slug}:{name}"


def ring_key(partition: int, consumer: str) -> str:
    """Return the key of the ready ring of one partition."""
    return f"c:{{p{partition:02d}}}:ring:{consumer}"


@lru_cache(maxsize=1)
def _library() -> tuple[str, str]:
    """Return the version of the Lua library and its source, with the version in the names of library and functions.

    During an upgrade old and new processes run side by side: each calls the functions that it came with.
    """
    source = resources.files("collegium_core.streams").joinpath("functions.lua").read_text(encoding="utf-8")
    version = hashlib.sha256(source.encode()).hexdigest()[:10]
    source = source.replace("#!lua name=collegium\n", f"#!lua name=collegium_{version}\n")
    return version, re.sub(r"'collegium_([a-z]+)'", rf"'collegium_{version}_\1'", source)


class Connection:
    """One process's connection to a Redis server or cluster.

    :param url: ``redis://``, ``rediss://`` or ``unix://``; ``?cluster=true`` names any node of a Redis Cluster.
    """

    def __init__(self, url: str) -> None:
        base, _, query = url.partition("?")
        self._address = parse_address(base)
        self._is_cluster = "cluster=true" in query.split("&")
        self._client: Redis | RedisCluster = self._make_client()
        self._pipes: dict[Address, Pipe] = {}
        self._routes: dict[int, Pipe] = {}
        self._loading: asyncio.Task[None] | None = None
        self._routing: asyncio.Task[None] | None = None

    def _make_client(self) -> Redis | RedisCluster:
        address = self._address
        if self._is_cluster:
            return RedisCluster(
                host=address.host,
                port=address.port,
                username=address.username or None,
                password=address.password or None,
                ssl=address.tls,
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
            )
        return self._make_node_client(address)

    @staticmethod
    def _make_node_client(address: Address, timeout: float | None = _TIMEOUT) -> Redis:
        where: Mapping[str, Any] = (
            {"unix_socket_path": address.path} if address.path else {"host": address.host, "port": address.port}
        )
        return Redis(
            **where,
            db=address.database,
            username=address.username or None,
            password=address.password or None,
            ssl=address.tls and not address.path,
            socket_timeout=timeout,
            socket_connect_timeout=_TIMEOUT,
            # A command whose answer was lost may have been run; whoever sent it knows whether once more is harmless.
            retry=Retry(NoBackoff(), 0),
        )

    # --- functions -------------------------------------------------------------------------------------------------

    async def call(self, function: str, partition: int, keys: list[str], *args: bytes | str | int) -> Any:
        """Run one function of the library on the node that owns *partition*; return its reply.

        :raises Unavailable: Redis is away, loading, out of memory or out of disk. A lost call may have been run.
        """
        name = f"collegium_{_library()[0]}_{function.removeprefix('collegium_')}"
        return await self.command(partition, "FCALL", name, len(keys), *keys, *args)

    async def command(self, partition: int, *command: bytes | str | int) -> Any:
        """Run one command on a tenant's key, on the node that owns *partition*; return its plain reply, never parsed.

        :raises Unavailable: as :meth:`call`.
        """
        reply = await self._send(partition, command)
        for _ in range(_MOVED_TRIES):
            if not isinstance(reply, ReplyError):
                return reply
            await self._repair(reply, command)
            reply = await self._send(partition, command)
        if isinstance(reply, ReplyError):
            raise Unavailable(f"Redis did not settle: {_code(reply)}")
        return reply

    async def _send(self, partition: int, command: tuple[bytes | str | int, ...]) -> Any:
        if not self._is_cluster:
            return await self._pipe_to(self._address).call(*command)
        if partition not in self._routes:
            await self._reroute()
        try:
            return await self._routes[partition].call(*command)
        except Unavailable:
            # Its node may be gone for good. The command is not sent again, its fate is unknown; the next one is routed.
            self._routes.pop(partition, None)
            raise

    async def _repair(self, error: ReplyError, command: tuple[bytes | str | int, ...]) -> None:
        """Repair what an error reply says is missing, where the command was not run and may be sent again.

        :raises Unavailable: it cannot be repaired from here.
        """
        code, text = _code(error), str(error)
        if code in {"MOVED", "ASK", "CLUSTERDOWN", "TRYAGAIN"}:
            await asyncio.sleep(0.05)
            await self._reroute()
        elif "Function not found" in text:
            await self.load_functions()
        elif code in {"LOADING", "OOM", "MISCONF", "READONLY", "MASTERDOWN", "NOREPLICAS", "BUSY", "NOAUTH", "NOPERM"}:
            raise Unavailable(f"Redis takes no writes now: {code}")
        else:
            # Never the arguments: they hold statements.
            _log.error("redis_function_failed", function=str(command[1]), error=text[:200])
            raise Unavailable(f"Redis refused {command[1]!s}")

    async def load_functions(self) -> None:
        """Load the Lua library into every primary that lacks this version of it. Concurrent calls share one load."""
        if self._loading is None or self._loading.done():
            self._loading = asyncio.get_running_loop().create_task(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        source = _library()[1]
        for node in await self._primaries():
            reply = await self._pipe_to(node).call("FUNCTION", "LOAD", source)
            if isinstance(reply, ReplyError) and "already exists" not in str(reply):
                raise Unavailable(f"Redis takes no functions: {_code(reply)}")

    async def _primaries(self) -> list[Address]:
        client = self._client
        if not isinstance(client, RedisCluster):
            return [self._address]
        try:
            await client.initialize()
        except (RedisError, RedisClusterException, OSError) as error:
            raise Unavailable("the log is away: no connection to Redis") from error
        return [self._node_address(node.host, node.port) for node in client.get_primaries()]

    def _node_address(self, host: str, port: int | str) -> Address:
        known = self._address
        return Address(host=host, port=int(port), username=known.username, password=known.password, tls=known.tls)

    # --- routing ---------------------------------------------------------------------------------------------------

    def _pipe_to(self, address: Address) -> Pipe:
        pipe = self._pipes.get(address)
        if pipe is None:
            pipe = self._pipes[address] = Pipe(address)
        return pipe

    async def _reroute(self) -> None:
        """Find out which node owns which partition. Concurrent calls share one look.

        :raises Unavailable: no node of the cluster answers.
        """
        if self._is_cluster and (self._routing is None or self._routing.done()):
            self._routing = asyncio.get_running_loop().create_task(self._route())
        if self._routing is not None:
            await asyncio.shield(self._routing)

    async def _route(self) -> None:
        client = self._client
        assert isinstance(client, RedisCluster)  # noqa: S101 - only called in cluster mode
        try:
            async with asyncio.timeout(_TIMEOUT):
                await client.initialize()
                await client.nodes_manager.initialize()
            for partition in range(PARTITIONS):
                node = client.get_node_from_key(ring_key(partition, "index"))
                if node is not None:
                    self._routes[partition] = self._pipe_to(self._node_address(node.host, node.port))
        except (RedisError, RedisClusterException, OSError, TimeoutError, KeyError) as error:
            raise Unavailable("the log is away: the cluster has no node for this tenant") from error
        known = set(map(id, self._routes.values()))
        for address in [address for address, pipe in self._pipes.items() if id(pipe) not in known]:
            await self._pipes.pop(address).close()  # of a node that has left

    async def open(self) -> None:
        """Find the nodes and load the functions.

        :raises Unavailable: Redis is away.
        """
        await self._reroute()
        await self.load_functions()

    # --- plain commands --------------------------------------------------------------------------------------------

    async def execute(self, *command: bytes | str | int) -> Any:
        """Run one plain command that belongs to no tenant (the list of tenants, messages).

        :raises Unavailable: Redis is away or refuses.
        """
        try:
            return await self._client.execute_command(*command)
        except (RedisError, RedisClusterException, OSError, asyncio.IncompleteReadError) as error:
            raise Unavailable(f"Redis is away or refuses: {type(error).__name__}") from error

    async def check(self) -> None:
        """Answer whether Redis takes commands now.

        :raises Unavailable: it does not.
        """
        if self._is_cluster:
            await self._reroute()
            return
        try:
            # Over the connection that appends go over: ready means that they do.
            async with asyncio.timeout(_TIMEOUT):
                reply = await self._pipe_to(self._address).call("PING")
        except TimeoutError:
            raise Unavailable("Redis does not answer") from None
        if isinstance(reply, ReplyError):
            raise Unavailable(f"Redis takes no commands now: {_code(reply)}")

    async def subscribe(self, *channels: str) -> AsyncIterator[tuple[str, bytes] | bool]:
        """Yield (channel, message), ``True`` after each connection, ``False`` after each loss. Never ends.

        Between a loss and the next connection messages are missed. Cancel the consuming task to stop.
        """
        pause = 0.1
        while True:
            client = self._make_node_client((await self._primaries_or_wait())[0], timeout=None)
            try:
                async with client.pubsub() as pubsub:
                    await pubsub.subscribe(*channels)
                    yield True
                    pause = 0.1
                    silent = False
                    while True:
                        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=_QUIET_SECONDS)
                        if message is None and silent:
                            break  # the peer owes the answer to a ping
                        silent = message is None
                        if message is None:
                            await pubsub.ping()
                        elif message["type"] == "message":
                            yield message["channel"].decode(), message["data"]
            except (RedisError, OSError):
                pass
            finally:
                with contextlib.suppress(RedisError, OSError):
                    await client.aclose()
            yield False
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)

    async def _primaries_or_wait(self) -> list[Address]:
        while True:
            with contextlib.suppress(RedisError, RedisClusterException, OSError, Unavailable):
                if nodes := await self._primaries():
                    return nodes
            await asyncio.sleep(0.5)

    async def close(self) -> None:
        """End every connection."""
        for task in (self._loading, self._routing):
            if task is not None and not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Unavailable):
                    await task
        for pipe in self._pipes.values():
            await pipe.close()
        with contextlib.suppress(RedisError, OSError):
            await self._client.aclose()


def _code(error: ReplyError) -> str:
    return str(error).split(" ", 1)[0]
