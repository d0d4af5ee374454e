"""Cross-origin requests: content in a browser may use a store on another origin (Fetch standard, CORS protocol)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final

__all__ = ["Cors", "Send"]

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_METHODS: Final = b"GET, HEAD, POST, PUT, DELETE"
_REQUEST_HEADERS: Final = (
    b"Accept-Language, Authorization, Content-Type, If-Match, If-None-Match, X-Experience-API-Version"
)
_EXPOSED: Final = (
    b"ETag, Last-Modified, Retry-After, WWW-Authenticate, X-Experience-API-Consistent-Through, X-Experience-API-Version"
)
_DAY: Final = b"86400"


class Cors:
    """Answers preflights and marks answers for the origins that may read them.

    :param origins: scheme, host and port each; ``*`` for every origin. None turns this off.
    """

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origin.encode().rstrip(b"/") for origin in origins)

    def origin_of(self, scope: MutableMapping[str, Any]) -> bytes | None:
        """Return the request's origin if it may read the answer; ``None`` otherwise, and for requests without one."""
        if not self._origins:
            return None
        for name, value in scope["headers"]:
            if name == b"origin":
                return value if value in self._origins or b"*" in self._origins else None
        return None

    def marking(self, send: Send, origin: bytes) -> Send:
        """Return a *send* that lets *origin* read the answer, errors included."""

        async def marked(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_marks(origin)]
            await send(message)

        return marked

    @staticmethod
    def is_preflight(scope: MutableMapping[str, Any]) -> bool:
        """Return whether a browser asks what it may send."""
        return scope["method"] == "OPTIONS" and any(
            name == b"access-control-request-method" for name, _ in scope["headers"]
        )

    @staticmethod
    async def answer_preflight(send: Send, origin: bytes) -> None:
        """Say what may be sent."""
        headers = [
            *_marks(origin),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _REQUEST_HEADERS),
            (b"access-control-max-age", _DAY),
        ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _marks(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"Origin"),
    ]
