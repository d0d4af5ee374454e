"""Log lines: one stream, one form, no secrets."""

from __future__ import annotations

import logging as stdlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import structlog

from collegium_core.telemetry import logging


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    root = stdlib.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    stdlib.captureWarnings(capture=False)
    structlog.reset_defaults()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [msgspec.json.decode(line) for line in captured.err.splitlines()]


def test_a_line_is_one_json_object_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Time, level, process and event come first, then the data."""
    logging.configure("info", "json", "api")
    structlog.get_logger().info("bulk_indexed", tenant="t-acme", statements=50)
    structlog.get_logger().debug("unseen")
    (line,) = _lines(capsys)
    assert list(line) == ["timestamp", "level", "process", "event", "tenant", "statements"]
    assert (line["level"], line["process"], line["event"], line["statements"]) == ("info", "api", "bulk_indexed", 50)
    assert line["timestamp"].endswith("Z")


def test_the_standard_librarys_loggers_go_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    """uvicorn, kopf and asyncio write lines of the same form; talkative libraries only from warnings up."""
    logging.configure("info", "json", "operator")
    uvicorn = stdlib.getLogger("uvicorn.error")
    uvicorn.addHandler(stdlib.NullHandler())
    logging.configure("info", "json", "operator")
    assert uvicorn.handlers == []
    uvicorn.info("Started %s", "server")
    stdlib.getLogger("opensearch").info("POST")
    stdlib.getLogger("asyncio").debug("selector")
    try:
        raise ValueError("no")
    except ValueError:
        stdlib.getLogger("kopf.objects").exception("failed")
    first, second = _lines(capsys)
    assert (first["event"], first["logger"], first["process"]) == ("Started server", "uvicorn.error", "operator")
    assert second["level"] == "error"
    assert "ValueError: no" in second["exception"]


def test_secrets_never_reach_the_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """Under telling names, in URLs, in headers, in keys, in hashes, in exceptions, at any depth."""
    logging.configure("info", "json", "api")
    key = "ck_" + "a" * 43
    data = {
        "authorization": "geheim",
        "nested": {"api_key": "geheim", "list": [{"password": b"geheim"}, f"sent {key}"]},
        "url": "redis://user:geheim@valkey:6379",
        "header": "Basic Z2VoZWltOmdlaGVpbQ==",
        "raw": b"Bearer Z2VoZWltOmdlaGVpbQ.x.y",
        "stored": "$2b$12$" + "geheim" * 8 + "abcde",
    }
    structlog.get_logger().info("connecting", **data)
    try:
        raise ConnectionError("cannot reach http://admin:geheim@search:9200")
    except ConnectionError:
        structlog.get_logger().exception("away")
    stdlib.getLogger("x").error("to %s", "https://u:geheim@host/")
    text = capsys.readouterr().err
    assert "geheim" not in text
    assert "Z2Vo" not in text
    assert "aaaaaaaaaa" not in text
    assert "***@valkey:6379" in text
    assert "***@search:9200" in text


def test_values_of_any_kind_make_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What JSON cannot hold is written as text; a log line never raises."""
    logging.configure("info", "json", "api")
    recursive: list[Any] = []
    recursive.append(recursive)
    structlog.get_logger().info("odd", a=object(), b={1, 2}, c="\ud800", d=2**70, e=recursive, f=None, g=1.5)
    (line,) = _lines(capsys)
    assert line["event"].strip("'") == "odd"


def test_a_record_that_cannot_be_formatted_says_so_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong call of a library's logger is told without its arguments."""
    logging.configure("info", "json", "api")
    stdlib.getLogger("lib").info("%d", "geheim")
    assert capsys.readouterr().err == "log line of lib lost: TypeError\n"


def test_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The console form holds the same: level, event, data."""
    logging.configure("warning", "console", "up")
    structlog.get_logger().warning("restarting", child="api")
    structlog.get_logger().info("unseen")
    text = capsys.readouterr().err
    assert "restarting" in text
    assert "unseen" not in text
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://host/path?x=a@b", "https://host/path?x=a@b"),
        ("mail to a@b.org", "mail to a@b.org"),
        ("basic course", "basic course"),
        ("redis://:p@h and http://u:p@g", "redis://***@h and http://***@g"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ***"),
    ],
)
def test_only_secrets_are_redacted(text: str, shown: str) -> None:
    """Ordinary text stays as it is."""
    assert shown == logging.redact(text)
