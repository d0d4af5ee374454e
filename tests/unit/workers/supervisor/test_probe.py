"""What counts as an answer of a child."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from collegium_core.telemetry import exposition
from collegium_workers.supervisor import summary
from collegium_workers.supervisor.probe import get

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n"


class Wire:
    """Stands for a connection over which the other side says *answer* and closes it."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.sent = b""
        self.closed = False

    async def open(self, _host: str, _port: int) -> tuple[asyncio.StreamReader, Any]:
        """Connect."""
        reader = asyncio.StreamReader()
        reader.feed_data(self.answer)
        reader.feed_eof()
        return reader, self

    def write(self, data: bytes) -> None:
        """Take the request."""
        self.sent += data

    def close(self) -> None:
        """Hang up."""
        self.closed = True


def connect(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> Wire:
    wire = Wire(answer)
    monkeypatch.setattr(asyncio, "open_connection", wire.open)
    return wire


@pytest.mark.parametrize("answer", [HEAD + b"\r\nrequests 12\n", b"HTTP/1.0 200 OK\r\n\r\nrequests 12\n"])
async def test_a_whole_answer(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    """Status and body; where no length is stated the end of the connection is the end."""
    wire = connect(monkeypatch, answer)
    assert (200, b"requests 12\n") == await get("127.0.0.1", 1, "/metrics", timeout=1)
    assert wire.sent.startswith(b"GET /metrics HTTP/1.0\r\n")
    assert wire.closed


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        HEAD,
        HEAD + b"\r\n",
        HEAD + b"\r\nrequests 1",
        HEAD + b"\r\nrequests 12\nand more",
        HEAD.replace(b"12", b"many") + b"\r\nrequests 12\n",
        b"220 mail.example ESMTP\r\n\r\n",
    ],
)
async def test_what_is_cut_short_or_no_http_is_no_answer(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    """A child that is killed while it answers has not answered."""
    connect(monkeypatch, answer)
    with pytest.raises(ConnectionError, match="the answer is"):
        await get("127.0.0.1", 1, "/metrics", timeout=1)


@pytest.mark.parametrize("cut", range(0, len(HEAD) + 14, 7))
async def test_metrics_that_break_off_anywhere_are_no_metrics(monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    """The sum goes on without them."""
    connect(monkeypatch, (HEAD + b"\r\nrequests 12\n")[:cut])
    assert await summary._read({"COLLEGIUM_METRICS_PORT": "1"}) is None


@pytest.mark.parametrize("body", [b"<html>", b"requests twelve\n", b"\xff\xfe"])
async def test_what_is_no_exposition_is_no_metrics(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """Another program may listen on the port of a child that has ended."""
    connect(monkeypatch, b"HTTP/1.1 200 OK\r\n\r\n" + body)
    assert await summary._read({"COLLEGIUM_METRICS_PORT": "1"}) is None


async def test_our_own_exposition_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a child serves can be added up."""
    body = exposition.render()
    connect(monkeypatch, b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    assert body.decode() == await summary._read({"COLLEGIUM_METRICS_PORT": "1"})


async def test_a_child_without_metrics_is_not_asked() -> None:
    """No port, no question."""
    assert await summary._read({}) is None
