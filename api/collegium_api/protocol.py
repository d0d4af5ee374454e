"""HTTP/1.1 with bounds: a request's head is short, arrives in time, and ends where it ends (RFC 9110, RFC 9112).

The server reads headers of any number and length, waits for them for ever, and takes trailer fields for headers; behind
a proxy that checks headers the last is a way in.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final, Self

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from collegium_api.problems import encode_problem
from collegium_core.errors import BadRequest, Problem, RequestTimeout

__all__ = ["BoundedProtocol"]

_HEAD_BYTES: Final = 64 * 1024
_HEADERS: Final = 128


class HeadTooLarge(Problem):
    """431: the request line and the headers are longer than anybody needs."""

    status = 431
    code = "request-header-fields-too-large"
    title = "Request header fields too large"


class BoundedProtocol(HttpToolsProtocol):
    """One connection; ``head_seconds`` is how long a head may take."""

    head_seconds: ClassVar[float] = 30.0

    @classmethod
    def within(cls, seconds: float) -> type[Self]:
        """Return this protocol with another time for heads."""
        return type(cls.__name__, (cls,), {"head_seconds": seconds})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the parent has it
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; refuse what is no HTTP, and a head that goes on for ever."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(BadRequest("this is not HTTP/1.1 as it should be"))
            return
        except httptools.HttpParserUpgrade:
            return  # nothing here is upgraded; the request is answered as it stands
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > _HEAD_BYTES:
            self._refuse(HeadTooLarge(f"the head of a request has at most {_HEAD_BYTES} bytes"))
        elif self._slow is None:
            self._arm()

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes after the body is a trailer, and none is known here."""
        if self._in_head:
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """End a head."""
        self._in_head = False
        self._disarm()
        if len(self.headers) > _HEADERS:
            self._refuse(HeadTooLarge(f"a request has at most {_HEADERS} header fields"))
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, unless its head was refused."""
        if self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request, unless its head was refused."""
        if self.cycle is not None:
            super().on_message_complete()

    def _arm(self) -> None:
        self._slow = asyncio.get_running_loop().call_later(self.head_seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _too_slow(self) -> None:
        self._slow = None
        if self._in_head:
            self._refuse(RequestTimeout(f"no whole request came within {self.head_seconds:g} s"))

    def _refuse(self, problem: Problem) -> None:
        """Answer and close; nothing of what follows on this connection can be trusted."""
        self._disarm()
        if self.transport.is_closing():
            return
        body = encode_problem(problem, "")
        head = (
            f"HTTP/1.1 {problem.status} {problem.title}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        cycle = self.cycle
        if cycle is None or not cycle.response_started or cycle.response_complete:  # else: not into another answer
            self.transport.write(head.encode() + body)
        self.transport.close()
