"""Requests: what failures mean, and what is never told."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import opensearchpy
import pytest

from collegium_core.errors import Unavailable
from collegium_core.storage.opensearch.client import Answer, Client, Refused


class Transport:
    """Answers every request with one outcome, and keeps the requests."""

    def __init__(self, outcome: bytes | Exception) -> None:
        self.outcome = outcome
        self.requests: list[tuple[Any, ...]] = []

    async def perform_request(self, method: str, path: str, **arguments: Any) -> bytes:
        """Answer with the one outcome."""
        self.requests.append((method, path, arguments))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def client_with(outcome: bytes | Exception) -> tuple[Client, Transport]:
    client = Client("http://user:secret@localhost:1/prefix")
    transport = Transport(outcome)
    client._opened.transport = transport
    return client, transport


def failure(status: int, body: bytes = b'{"error":{"type":"kind","reason":"why"},"status":0}') -> Exception:
    return opensearchpy.TransportError(status, "", body)


async def test_every_request_has_a_timeout_and_a_body_of_bytes() -> None:
    """The default stands where the caller names none; parameters are passed as they are."""
    client, transport = client_with(b"{}")

    assert Answer(200, b"{}") == await client.call("POST", "/i/_search", params={"timeout": "1s"}, body=b"q")
    await client.call("GET", "/", timeout=2.0)

    assert [
        ("POST", "/i/_search", {"params": {"timeout": "1s"}, "body": b"q", "timeout": 30.0}),
        ("GET", "/", {"params": {}, "body": None, "timeout": 2.0}),
    ] == transport.requests


@pytest.mark.parametrize(
    "outcome",
    [
        opensearchpy.ConnectionTimeout("TIMEOUT", "x", TimeoutError()),
        opensearchpy.ConnectionError("N/A", "x", OSError("refused")),
        *(failure(status) for status in (401, 403, 429, 500, 502, 503, 504)),
        failure(502, b"<html>bad gateway</html>"),
        failure(503, b"\xff"),
        failure(400, b'{"error":{"type":"index_closed_exception","reason":"closed"},"status":400}'),
    ],
)
async def test_what_may_pass_is_unavailable_with_a_time_to_come_back(outcome: Exception) -> None:
    """No connection, no answer, overload, a refused credential: the request may be repeated later."""
    client, _ = client_with(outcome)

    with pytest.raises(Unavailable) as raised:
        await client.call("GET", "/", accept={404})

    assert ("retry-after", "2") in raised.value.headers
    assert "secret" not in raised.value.detail


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b'{"error":{"type":"kind","reason":"why"},"status":400}', "kind", "why"),
        (b'{"error":"no handler found","status":400}', "", "no handler found"),
        (b'{"error":{"type":"kind","reason":null}}', "kind", ""),
        (b"not json", "", "no explanation"),
    ],
)
async def test_a_refusal_says_why(body: bytes, kind: str, reason: str) -> None:
    """Another 4xx is our own request's fault; an accepted one is an answer."""
    client, _ = client_with(failure(400, body))

    with pytest.raises(Refused) as raised:
        await client.call("GET", "/")

    assert (400, kind, reason) == (raised.value.status, raised.value.kind, raised.value.reason)
    assert Answer(400, body) == await client.call("GET", "/", accept={400})


@pytest.mark.parametrize(
    "url", ["", "localhost:9200", "ftp://secret@h", "http://", "http://secret@h:port", "http://h?secret", "http://h#x"]
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(ValueError, match="OpenSearch URL must look like") as raised:
        Client(url)

    assert "secret" not in f"{raised.value!r}"


def test_a_url_is_taken_apart() -> None:
    """Host, port, prefix and percent-encoded credentials; the default ports."""
    (host,) = Client("https://us%40er:p%3Aw@search.example.org/a/b/")._opened.transport.hosts

    assert {"host": "search.example.org", "port": 443, "use_ssl": True, "url_prefix": "a/b"} == host
    (host,) = Client("http://localhost")._opened.transport.hosts
    assert (9200, False) == (host["port"], host["use_ssl"])


async def test_a_client_that_was_never_used_closes() -> None:
    """No connection was made, none is to be closed; closing again is fine."""
    client = Client("http://localhost:1")

    await client.close()
    await client.close()


def test_importing_the_package_does_not_import_the_library() -> None:
    """A process whose store is SQLite does not pay 22 MB for a library it never uses."""
    program = (
        "import sys, collegium_core.storage.opensearch;"
        "sys.exit(any(name in sys.modules for name in ('opensearchpy', 'aiohttp')))"
    )

    assert 0 == subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode
