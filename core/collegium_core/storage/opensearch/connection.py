"""The only module that imports opensearch-py; it costs 22 MB and is imported when a client is made, not before.

Bodies go out and come in as bytes: requests are concatenated by :mod:`.builder`, answers decoded by :mod:`.reader` with
the types they have. Neither the URL nor its credentials nor a body is ever logged or part of an error.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlencode, urlsplit

import aiohttp
import opensearchpy
import opensearchpy.exceptions as errors
import yarl
from opensearchpy.serializer import Serializer

__all__ = ["errors", "open_transport"]

_JSON: Final = "application/json"
# aiohttp writes bytes in one go and warns above this size; a file it writes piece by piece.
_ONE_GO: Final = 1024 * 1024


class _Bytes(Serializer):
    """Passes bodies through: both ends are bytes already."""

    mimetype = _JSON

    def loads(self, s: Any) -> Any:
        return s

    def dumps(self, data: Any) -> Any:
        return data


class _Connection(opensearchpy.AIOHttpConnection):
    """Sends and returns bytes, gives up connecting sooner than answering, and logs nothing."""

    def __init__(self, *, connect_timeout: float, connections: int, **settings: Any) -> None:
        super().__init__(**settings)
        self._connections = connections
        self._connect_timeout = connect_timeout

    async def perform_request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        ignore: Collection[int] = (),  # noqa: ARG002 - the library's signature
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        if self.session is None:
            await self._create_aiohttp_session()
        address = yarl.URL.build(
            scheme=self.scheme,
            host=self.hostname,
            port=self.port,
            path=self.url_prefix + url,
            query_string=urlencode(params or {}),
            encoded=True,
        )
        data = io.BytesIO(body) if body is not None and len(body) > _ONE_GO else body
        limits = aiohttp.ClientTimeout(total=timeout or self.timeout, sock_connect=self._connect_timeout)
        try:
            async with self.session.request(
                method, address, data=data, headers={**self.headers, **(headers or {})}, timeout=limits
            ) as response:
                answer = await response.read()
        except TimeoutError as error:
            raise opensearchpy.ConnectionTimeout("TIMEOUT", type(error).__name__, error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise opensearchpy.ConnectionError("N/A", type(error).__name__, error) from error
        if response.status >= 400:
            raise opensearchpy.TransportError(response.status, "", answer)
        # Every answer is read as what we asked for, whatever a proxy says of it.
        return response.status, {"content-type": _JSON}, answer

    async def _create_aiohttp_session(self) -> None:
        # The library's own passes arguments that newer Python and aiohttp versions warn about.
        self.session = aiohttp.ClientSession(
            skip_auto_headers=("accept", "accept-encoding"),
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._ssl_context or True),
        )


def open_transport(
    url: str, *, timeout: float, connect_timeout: float, connections: int
) -> opensearchpy.AsyncOpenSearch:
    """Return a client of the node or proxy at *url*; no I/O until its first request.

    :param url: ``http[s]://[user:password@]host[:port][/prefix]``.
    :param timeout: seconds for a whole request.
    :param connect_timeout: seconds for the TCP connection alone.
    :raises ValueError: *url* is none of that; the message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("the OpenSearch URL must look like http[s]://[user:password@]host[:port][/prefix]")
    secure = parts.scheme == "https"
    login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return opensearchpy.AsyncOpenSearch(
        hosts=[
            {
                "host": parts.hostname,
                "port": port or (443 if secure else 9200),
                "use_ssl": secure,
                "url_prefix": parts.path.strip("/"),
            }
        ],
        http_auth=login,
        connection_class=_Connection,
        serializer=_Bytes(),
        # Repeating is decided by the caller, who knows what may be repeated.
        max_retries=0,
        retry_on_status=(),
        timeout=timeout,
        connect_timeout=connect_timeout,
        connections=connections,
    )
