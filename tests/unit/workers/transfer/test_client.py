"""The patience of the HTTP client, with scripted answers; a real server is used in the chaos tier."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from collegium_workers.transfer import client as module
from collegium_workers.transfer.client import Answer, Client, PlatformAwayError, RefusedError, Target

TARGET = Target("http://localhost:1/lrs", "ada", "secret", identity="x")
OK = Answer(200, b"[]", {})


class Scripted(Client):
    """A client whose connection gives prepared answers; a text is a failed connection."""

    def __init__(self, *script: Answer | str, **arguments: Any) -> None:
        self.waits: list[str] = []
        super().__init__(TARGET, "acme", waiting=self.waits.append, **arguments)
        self.script = list(script)
        self.asked: list[tuple[str, str, bytes | None, Mapping[str, str] | None]] = []

    async def _try(
        self, method: str, url: str, body: bytes | None, parameters: Mapping[str, str] | None
    ) -> tuple[Answer | None, str]:
        self.asked.append((method, url, body, parameters))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return (None, step) if isinstance(step, str) else (step, "")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record pauses and let the clock run through them at once."""
    taken: list[float] = []
    clock = [100.0]

    async def sleep(seconds: float) -> None:
        taken.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    return taken


async def test_a_lost_connection_is_made_again(pauses: list[float]) -> None:
    """The caller is told why it waits, and when it goes on."""
    client = Scripted("no connection", "no connection", OK)
    assert OK == await client.post_statements(b"[]")
    assert 2 == len(pauses)
    assert ["no connection", "no connection", ""] == client.waits


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
async def test_passing_trouble_is_waited_out(pauses: list[float], status: int) -> None:
    """Not less than the platform asks for."""
    client = Scripted(Answer(status, b'{"detail":"the backlog is full"}', {"retry-after": "7"}), OK)
    assert OK == await client.post_statements(b"[]")
    assert [7.0] == pauses
    assert "the backlog is full" == client.waits[0]


@pytest.mark.parametrize("text", ["Wed, 21 Oct 2026 07:28:00 GMT", "", "-5", "nonsense"])
async def test_a_retry_after_that_is_no_number_counts_as_none(pauses: list[float], text: str) -> None:
    """The usual pause is taken."""
    await Scripted(Answer(503, b"", {"retry-after": text}), OK).post_statements(b"[]")
    assert 0.05 <= pauses[0] <= 0.1


async def test_pauses_grow(pauses: list[float]) -> None:
    """A platform that is down for long is not hammered."""
    await Scripted(*["no connection"] * 5, OK).post_statements(b"[]")
    assert all(later > earlier * 0.9 for earlier, later in pairwise(pauses))


async def test_patience_ends(pauses: list[float]) -> None:
    """The error says how long and what the last trouble was."""
    with pytest.raises(PlatformAwayError, match=r"no success for 30 s; the last trouble: no connection"):
        await Scripted("no connection", patience=30.0).post_statements(b"[]")
    assert 15 < sum(pauses) <= 30


@pytest.mark.parametrize(("status", "words"), [(401, "does not know this user"), (403, "refuses"), (404, "refuses")])
async def test_what_concerns_the_caller_ends_everything(status: int, words: str) -> None:
    """Trying other statements could not help."""
    with pytest.raises(RefusedError, match=words):
        await Scripted(Answer(status, b"", {})).post_statements(b"[]")


@pytest.mark.parametrize("status", [200, 400, 409, 413, 500])
async def test_every_other_answer_is_the_callers(status: int) -> None:
    """What is wrong with statements is for the sender to find out."""
    assert status == (await Scripted(Answer(status, b"", {})).post_statements(b"[]")).status


async def test_urls_hold_root_path_and_tenant() -> None:
    """A name of any script is quoted; `more` is relative to the server."""
    client = Scripted(OK)
    client._base = Client(TARGET, "größe/1")._base
    await client.post_statements(b"[1]")
    await client.get_statements(limit="5")
    await client.get_statements(more="/lrs/x/xAPI/statements?more=t")
    assert [
        ("POST", "http://localhost:1/lrs/gr%C3%B6%C3%9Fe%2F1/xAPI/statements", b"[1]", None),
        ("GET", "http://localhost:1/lrs/gr%C3%B6%C3%9Fe%2F1/xAPI/statements", None, {"limit": "5"}),
        ("GET", "http://localhost:1/lrs/x/xAPI/statements?more=t", None, {}),
    ] == client.asked


def test_details_of_a_problem_are_one_sentence() -> None:
    """Faults by place are part of it; a body that is no problem document leaves the status."""
    body = b'{"detail":"not valid","errors":[{"path":"statements[0].actor","detail":"is required"}]}'
    assert "not valid: statements[0].actor: is required" == Answer(400, body, {}).detail
    assert "HTTP status 502" == Answer(502, b"<html>", {}).detail


def test_a_printed_target_shows_no_password() -> None:
    """Nor does a traceback that holds one."""
    assert "secret" not in repr(TARGET)
