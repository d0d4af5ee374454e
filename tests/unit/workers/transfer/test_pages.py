"""Pages of statements, taken apart."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium_workers.transfer.pages import _split_by_brackets, split_page

DEEP = b'{"id":"a","x":' + b"[" * 5000 + b"]" * 5000 + b"}"
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["statements", "more", '\\"]}', "["]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
STATEMENTS = st.dictionaries(st.sampled_from(["id", "statements", "more", "{", '"']), VALUES, max_size=3)


def test_a_page_is_the_bytes_of_its_statements() -> None:
    """Nothing is written anew, and nothing is asked of the bytes."""
    page = split_page(b'{"statements":[{"a":1e999, "b":"\xff"},{}],"more":"/x?a=\\u0031"}')
    assert [b'{"a":1e999, "b":"\xff"}', b"{}"] == [bytes(each) for each in page.statements]
    assert "/x?a=1" == page.more


def test_a_statement_deeper_than_the_decoder_goes_is_given_like_the_others() -> None:
    """It is printed, and the export goes on: with what comes before and after, and with the next page."""
    for body in (
        b'{"statements":[{"a":1},' + DEEP + b' , {"b":"]}"}],"more":"/next"}',
        b'{ "more" : "/next" , "statements" : [ {"a":1},' + DEEP + b',{"b":"]}"} ] }',
    ):
        page = split_page(body)
        assert [b'{"a":1}', DEEP, b'{"b":"]}"}'] == [bytes(each) for each in page.statements]
        assert "/next" == page.more


@pytest.mark.parametrize("body", [b"", b"[]", b'{"more":"x"}', b'{"statements":[', b"<html>"])
def test_what_is_no_page_is_an_error(body: bytes) -> None:
    """It is not taken for an empty page."""
    with pytest.raises(msgspec.DecodeError):
        split_page(body)


@given(st.lists(STATEMENTS, max_size=4), st.text(max_size=8), st.sampled_from([None, 1]), st.booleans(), VALUES)
def test_both_ways_of_taking_apart_agree(
    statements: list[Any],
    more: str,
    indent: int | None,
    order: bool,
    other: Any,
) -> None:
    """Whatever stands in statements and beside them."""
    page = {"statements": statements, "more": more, "other": other}
    body = json.dumps(dict(reversed(page.items())) if order else page, indent=indent).encode()
    wanted = split_page(body)
    found = _split_by_brackets(body)
    assert wanted.more == found.more
    assert [bytes(each) for each in wanted.statements] == [bytes(each) for each in found.statements]
