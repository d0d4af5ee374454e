"""The two questions that the supervisor asks its children over HTTP: are you ready, what have you counted."""

from __future__ import annotations

import asyncio
from typing import Final

__all__ = ["get", "reachable_host"]

_LARGEST_ANSWER: Final = 64 * 2**20


async def get(host: str, port: int, path: str, *, timeout: float) -> tuple[int, bytes]:  # noqa: ASYNC109 - seconds for the whole exchange
    """Return status and body of one request. HTTP/1.0: the answer ends with the connection and is never chunked.

    :raises OSError: no connection, no HTTP, or an answer that breaks off before its stated length; ``TimeoutError`` (an
        OSError) after *timeout* seconds.
    """
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            answer = await reader.read(_LARGEST_ANSWER)
            while chunk := await reader.read(_LARGEST_ANSWER):
                answer += chunk
        finally:
            writer.close()
    return _parse(answer)


def _parse(answer: bytes) -> tuple[int, bytes]:
    head, end, body = answer.partition(b"\r\n\r\n")
    status_line, *fields = head.split(b"\r\n")
    words = status_line.split(b" ", 2)
    if not end or len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ConnectionError("the answer is no HTTP")
    for field in fields:
        name, _, value = field.partition(b":")
        # A process that is killed in the middle of its answer closes the connection as if it were whole.
        if name.strip().lower() == b"content-length" and value.strip() != str(len(body)).encode():
            raise ConnectionError("the answer is not as long as it says")
    return int(words[1]), body


def reachable_host(host: str) -> str:
    """Return the address under which a server that listens on *host* is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
