"""One stream of log lines for all processes."""

from __future__ import annotations

import asyncio
import io
import threading
from typing import Literal

import msgspec
import pytest

from collegium_workers.supervisor import logstream
from collegium_workers.supervisor.logstream import LogStream


def written(form: Literal["json", "console"], *lines: bytes) -> list[str]:
    output = io.StringIO()
    with LogStream(output, form) as log:
        for line in lines:
            log.write("api-2", line)
    return output.getvalue().splitlines()


def test_console_lines_begin_with_the_process() -> None:
    """People see at a glance who speaks."""
    assert ["api-2     | started", "api-2     | {}"] == written("console", b"started\r", b"{}")


def test_json_lines_keep_their_fields_and_name_the_replica() -> None:
    """A child knows that it is an API; which one, the supervisor adds."""
    [line] = written("json", b'{"level":"info","process":"api","event":"api_serving"}')
    assert {"level": "info", "process": "api-2", "event": "api_serving"} == msgspec.json.decode(line)


def test_json_lines_without_a_process_get_one() -> None:
    """Every line says who wrote it."""
    [line] = written("json", b'{"event":"x"}')
    assert {"process": "api-2", "event": "x"} == msgspec.json.decode(line)


def test_plain_text_becomes_json() -> None:
    """A traceback in a JSON log breaks no reader."""
    [line] = written("json", b'Traceback "here" \xff')
    assert {"process": "api-2", "event": 'Traceback "here" \ufffd'} == msgspec.json.decode(line)


async def test_a_stream_is_copied_line_by_line_to_its_end() -> None:
    """The last line counts without its end, too."""
    output = io.StringIO()
    source = asyncio.StreamReader()
    source.feed_data(b"one\ntw")
    source.feed_data(b"o\nthree")
    source.feed_eof()
    with LogStream(output, "console") as log:
        await log.copy("worker", source)
    assert ["worker    | one", "worker    | two", "worker    | three"] == output.getvalue().splitlines()


async def test_a_line_without_end_does_not_fill_the_memory() -> None:
    """Beyond 256 KiB it is cut."""
    output = io.StringIO()
    source = asyncio.StreamReader()
    source.feed_data(b"x" * 600_000)
    source.feed_eof()
    with LogStream(output, "console") as log:
        await log.copy("worker", source)
    lines = output.getvalue().splitlines()
    assert len(lines) >= 2
    assert 600_000 == sum(line.count("x") for line in lines)


class _Blocked(io.StringIO):
    """A terminal that has been stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def write(self, text: str) -> int:
        self.go.wait(20)
        return super().write(text)


def test_a_stopped_terminal_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines beyond the limit are dropped and counted, and the count is written when there is room again."""
    monkeypatch.setattr(logstream, "_MOST_WAITING", 3)
    output = _Blocked()
    with LogStream(output, "console") as log:
        for number in range(50):
            log.write("api", str(number).encode())
        output.go.set()
        while log._lines.qsize():
            pass
        log.write("api", b"after")
    assert "log lines were dropped\napi       | after\n" in output.getvalue()


def test_a_reader_that_has_gone_is_no_error() -> None:
    """The platform goes on without its log."""
    output = io.StringIO()
    output.close()
    with LogStream(output, "console") as log:
        log.write("api", b"unheard")
