"""Content in a browser on another origin."""

from __future__ import annotations

from typing import Any

import pytest

ORIGIN = {"Origin": "https://content.example"}


async def test_a_preflight_says_what_may_be_sent(client: Any) -> None:
    """A browser's question needs no credential and names headers and methods."""
    asked = {**ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    answer = await client.send("OPTIONS", headers=asked, authorization=None, version=None)
    assert (204, ORIGIN["Origin"]) == (answer.status, answer.headers["Access-Control-Allow-Origin"])
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize(
    ("version", "authorization", "status"), [("1.0.3", "", 200), ("1.0.3", None, 401), (None, "", 400)]
)
async def test_every_answer_can_be_read(client: Any, version: Any, authorization: Any, status: int) -> None:
    """Errors too: else the content sees nothing but a network failure."""
    answer = await client.get(version=version, authorization=authorization, headers=ORIGIN)
    assert (status, ORIGIN["Origin"]) == (answer.status, answer.headers["Access-Control-Allow-Origin"])
    assert "X-Experience-API-Version" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" == answer.headers["Vary"]


async def test_other_origins_are_told_nothing(client: Any) -> None:
    """An origin that is not configured gets no permission."""
    answer = await client.get(headers={"Origin": "https://elsewhere.example"})
    assert 200 == answer.status
    assert "Access-Control-Allow-Origin" not in answer.headers
