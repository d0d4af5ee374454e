"""Reading a request's body: bounded in size and in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from collegium_core.errors import BadRequest, PayloadTooLarge, RequestTimeout

__all__ = ["BodyReader", "ClientGone", "Receive"]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_LOOK_SECONDS: Final = 0.25


class ClientGone(Exception):  # noqa: N818 - nobody is there to be told of an error
    """The client closed the connection before its request was whole."""


class BodyReader:
    """Reads bodies for one event loop.

    One timer looks after all bodies under way: nearly every body is there at once, and a timer for each would cost more
    than reading it.

    :param limit: most bytes of a body.
    :param seconds: how long a whole body may take (to the next quarter of a second).
    """

    def __init__(self, *, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._reading: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, receive: Receive, *, declared: bytes | None) -> bytes:
        """Return the body.

        :param declared: the content-length header, if any: too large a body is refused before it is read.
        :raises PayloadTooLarge: more bytes than the limit.
        :raises RequestTimeout: it did not arrive in time.
        :raises ClientGone: the client went away.
        """
        if declared is not None:
            if not declared.isdigit():
                raise BadRequest("Content-Length is not a number")
            if int(declared) > self._limit:
                raise self._too_large()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs is some task's
        self._reading[task] = time.monotonic() + self._seconds
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)
        try:
            return await self._read(receive)
        except asyncio.CancelledError:
            if task in self._late and task.uncancel() == 0:
                raise RequestTimeout(f"the body did not arrive within {self._seconds:g} s") from None
            raise
        finally:
            del self._reading[task]
            self._late.discard(task)

    async def _read(self, receive: Receive) -> bytes:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body: bytes = message.get("body", b"")
        size = len(body)
        if size > self._limit:
            raise self._too_large()
        if not message.get("more_body"):
            return body
        chunks = [body]
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > self._limit:
                raise self._too_large()
            chunks.append(chunk)
        return b"".join(chunks)

    def _look(self) -> None:
        now = time.monotonic()
        for task, deadline in self._reading.items():
            if deadline < now and task not in self._late:
                self._late.add(task)
                task.cancel()
        again = bool(self._reading)
        self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look) if again else None

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"the body has more than {self._limit} bytes")
