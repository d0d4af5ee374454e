"""Requests to OpenSearch: every one has a timeout, and what fails says so in the platform's own errors."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping
from typing import Any, Final

import msgspec
import structlog

from collegium_core.errors import Unavailable

__all__ = ["Answer", "Client", "Refused"]

_log = structlog.get_logger()
_REASON_LENGTH: Final = 500
_WARN_EVERY_SECONDS: Final = 60.0
_CLOSED: Final = "index_closed_exception"


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What came back: the HTTP status and the body's bytes."""

    status: int
    body: bytes


class Refused(Exception):  # noqa: N818 - an answer, not an accident
    """OpenSearch understood the request and will not do it (4xx): repeating it cannot help.

    :param status: the HTTP status.
    :param kind: OpenSearch's error type, as ``illegal_argument_exception``.
    :param reason: its sentence, shortened; it may quote the request.
    """

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(f"{status} {kind}: {reason}")
        self.status = status
        self.kind = kind
        self.reason = reason


class _Cause(msgspec.Struct):
    type: str = ""
    reason: str | None = ""


class _Failure(msgspec.Struct):
    error: _Cause | str = ""


_FAILURE: Final = msgspec.json.Decoder(_Failure)


class Client:
    """A pool of connections to one OpenSearch cluster.

    :param url: ``http[s]://[user:password@]host[:port][/prefix]``; kept out of messages and logs.
    :param timeout: seconds for a request, if its caller names none.
    :param connect_timeout: seconds for making a connection.
    :param connections: how many at most at a time; further requests wait within their timeout.
    :raises ValueError: *url* is no such URL.
    """

    def __init__(self, url: str, *, timeout: float = 30.0, connect_timeout: float = 2.0, connections: int = 32) -> None:
        from collegium_core.storage.opensearch import connection  # noqa: PLC0415 - 22 MB that only users of it pay

        self._errors = connection.errors
        self._opened = connection.open_transport(
            url, timeout=timeout, connect_timeout=connect_timeout, connections=connections
        )
        self._timeout = timeout
        self._warned = -_WARN_EVERY_SECONDS

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        accept: Container[int] = (),
        timeout: float | None = None,  # noqa: ASYNC109 - the transport stops the request itself
    ) -> Answer:
        """Send one request and return its answer.

        :param path: begins with ``/``; made of our own names only, never of a client's text.
        :param accept: error statuses (4xx) that are an answer to the caller and not an error.
        :param timeout: seconds.
        :raises Unavailable: no connection, no answer in time, 401, 403, 429 or 5xx, a closed index.
        :raises Refused: another 4xx.
        """
        try:
            data = await self._opened.transport.perform_request(
                method, path, params=dict(params or {}), body=body, timeout=timeout or self._timeout
            )
        except self._errors.ConnectionTimeout as error:
            raise Unavailable("the search store did not answer in time") from error
        except self._errors.ConnectionError as error:
            raise Unavailable("the search store cannot be reached") from error
        except self._errors.TransportError as error:
            return self._judge(int(error.status_code), error.info, accept)
        return Answer(200, data or b"")

    async def close(self) -> None:
        """Close the connections."""
        await self._opened.close()

    def _judge(self, status: int, body: Any, accept: Container[int]) -> Answer:
        if status in accept:
            return Answer(status, body)
        kind, reason = _explain(body)
        if status in {401, 403}:
            self._warn(status, kind)
            raise Unavailable("the search store refuses this platform's credentials or keeps its indices read-only")
        if status == 429 or status >= 500:
            raise Unavailable(f"the search store answers {status}")
        if kind == _CLOSED:
            raise Unavailable("an index of the search store is closed")
        raise Refused(status, kind, reason)

    def _warn(self, status: int, kind: str) -> None:
        # Someone must see it, yet a refused credential fails every request.
        now = time.monotonic()
        if now - self._warned >= _WARN_EVERY_SECONDS:
            self._warned = now
            _log.error("opensearch_refuses_access", status=status, kind=kind)


def _explain(body: Any) -> tuple[str, str]:
    try:
        cause = _FAILURE.decode(body).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "", "no explanation"
    if isinstance(cause, str):
        return "", cause[:_REASON_LENGTH]
    return cause.type, (cause.reason or "")[:_REASON_LENGTH]
