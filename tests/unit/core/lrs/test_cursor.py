"""Tokens of `more` links: they say what was put in, to the right one alone, and nobody can make or change one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium_core.errors import BadRequest
from collegium_core.lrs.cursor import Continuation, sign, verify
from collegium_core.lrs.query import Place, StatementQuery

KEY = bytes(range(32))
MOMENTS = st.integers(0, 2**60)
QUERIES = st.builds(
    StatementQuery,
    agent=st.none() | st.text(),
    related_agents=st.booleans(),
    verb=st.none() | st.text(),
    activity=st.none() | st.text(),
    related_activities=st.booleans(),
    registration=st.none() | st.uuids().map(str),
    since=st.none() | st.integers(-(2**62), 2**62),
    until=st.none() | MOMENTS,
    ascending=st.booleans(),
)
CONTINUATIONS = st.builds(
    Continuation,
    slug=st.text(min_size=1),
    principal=st.text(),
    query=QUERIES,
    limit=st.integers(1, 10_000),
    format=st.sampled_from(["ids", "exact", "canonical"]),
    attachments=st.booleans(),
    place=st.builds(Place, MOMENTS, MOMENTS),
    issued=MOMENTS,
)
ONE = Continuation(
    "t-acme-x", "demo", StatementQuery(verb="a:b"), 100, "exact", attachments=False, place=Place(1, 2), issued=3
)


def refused(token: str, *, key: bytes = KEY, slug: str = ONE.slug, principal: str = ONE.principal) -> str:
    with pytest.raises(BadRequest) as caught:
        verify(token, key, slug=slug, principal=principal)
    return caught.value.detail


@given(CONTINUATIONS)
def test_a_token_says_what_was_put_in(continuation: Continuation) -> None:
    """What was signed comes back whole; the token can stand in a URL as it is."""
    token = sign(continuation, KEY)
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert continuation == verify(token, KEY, slug=continuation.slug, principal=continuation.principal)


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    """Any other character anywhere, any cut, any addition: refused."""
    token = sign(ONE, KEY)
    place = data.draw(st.integers(0, len(token)))
    changed = token[:place] + data.draw(st.text(max_size=3)) + token[place + data.draw(st.integers(0, 2)) :]
    if changed != token:
        refused(changed)


@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    """Nothing but BadRequest comes of any text."""
    refused(text)


def test_every_refusal_is_the_same() -> None:
    """Foreign tenant, foreign principal, other key, garbage: the answer does not tell which."""
    token = sign(ONE, KEY)
    answers = {
        refused(token, slug="t-globex-x"),
        refused(token, principal="other"),
        refused(token, key=bytes(32)),
        refused(token[:-1]),
        refused(f"{token}="),
        refused(f"{token} "),
        refused(""),
        refused("ä"),
        refused("x" * 100_000),
    }
    assert 1 == len(answers)


def test_a_short_key_protects_nothing() -> None:
    """Signing with less than 32 bytes is a mistake that shows at once."""
    with pytest.raises(ValueError, match="at least 32 bytes"):
        sign(ONE, b"secret")
