"""Reading a request's body: bounded in size and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from collegium_core.errors import BadRequest, PayloadTooLarge, RequestTimeout

__all__ = ["ClientGone", "Receive", "read_body"]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ClientGone(Exception):  # noqa: N818 - nobody is there to be told of an error
    """The client closed the connection before its request was whole."""


async def read_body(receive: Receive, *, declared: bytes | None, limit: int, seconds: float) -> bytes:
    """Return the body.

    :param declared: the content-length header, if any: too large a body is refused before it is read.
    :param limit: most bytes.
    :param seconds: how long the whole body may take.
    :raises PayloadTooLarge: more than *limit* bytes.
    :raises RequestTimeout: it did not arrive in time.
    :raises ClientGone: the client went away.
    """
    if declared is not None:
        if not declared.isdigit():
            raise BadRequest("Content-Length is not a number")
        if int(declared) > limit:
            raise _too_large(limit)
    message = await _first(receive, seconds)
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        if len(body) > limit:
            raise _too_large(limit)
        return body
    chunks, size = [body], len(body)
    try:
        async with asyncio.timeout(seconds):
            while message.get("more_body"):
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise _too_slow(seconds) from None
    return b"".join(chunks)


async def _first(receive: Receive, seconds: float) -> MutableMapping[str, Any]:
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
    except TimeoutError:
        raise _too_slow(seconds) from None
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body has more than {limit} bytes")


def _too_slow(seconds: float) -> RequestTimeout:
    return RequestTimeout(f"the body did not arrive within {seconds:g} s")
