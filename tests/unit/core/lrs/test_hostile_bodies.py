"""Bodies made to break a reader: each is refused with a clear message, or kept byte for byte."""

from __future__ import annotations

import sys

import pytest

from collegium_core.errors import BadRequest
from collegium_core.lrs.compare import equivalent
from collegium_core.lrs.keys import derive_keys
from collegium_core.lrs.validation import receive

AUTHORITY = b'{"account":{"homePage":"http://example.org","name":"server"}}'


def with_extension(value: bytes, key: bytes = b"http://example.org/x") -> bytes:
    return (
        b'{"actor":{"mbox":"mailto:a@example.org"},"verb":{"id":"http://example.org/v"},"object":{"id":"http://example.org/o"},'
        b'"context":{"extensions":{"' + key + b'":' + value + b"}}}"
    )


def nested(depth: int) -> bytes:
    return b'{"a":[' * (depth // 2) + b"1" + b"]}" * (depth // 2)


@pytest.mark.parametrize("listed", [False, True], ids=["single", "batch"])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"nope", "the body is not JSON: invalid character"),
        (b"{", "the body is not JSON: (it ends too early|expected)"),
        (with_extension(b"1")[:-1], "the body is not JSON: (it ends too early|expected)"),
        (with_extension(b"1") + b"{}", "the body is not JSON"),
        (b"\xef\xbb\xbf" + with_extension(b"1"), "the body is not JSON: invalid character"),
        (with_extension(b"NaN"), "the body is not JSON: invalid character"),
        (with_extension(b"-Infinity"), "the body is not JSON: invalid character"),
        (with_extension(b"01"), "the body is not JSON"),
        (with_extension(b'"\x01"'), "the body is not JSON: invalid character"),
        (with_extension(b'"\xff"'), "the body is not UTF-8"),
        (with_extension(b'"\xed\xa0\x80"'), "the body is not UTF-8"),
        (with_extension(b"1", key=b"http://\xff"), "the body is not UTF-8"),
        (with_extension(b'"\\ud800"'), "half of a surrogate pair|hex escape|surrogate"),
        (with_extension(b'"\\ud800x"'), "half of a surrogate pair|hex escape|surrogate"),
        (with_extension(b'"\\udc00\\ud800"'), "surrogate"),
        (with_extension(b"1", key=b"http://\\ud800"), "half of a surrogate pair|hex escape|surrogate"),
        (with_extension(b"1e999"), r"context\.extensions: a number is beyond what a double can hold"),
        (with_extension(b"[-1e999]"), "a number is beyond what a double can hold"),
        (with_extension(b"9" * 5000), r"context\.extensions: an integer has more than 4,300 digits"),
        (with_extension(nested(258)), r'extensions\["http://example.org/x"\]: is nested deeper than 256 levels'),
        (with_extension(b"[" * 100_000 + b"]" * 100_000), "nested too deeply to be read"),
        (b"[" * 100_000, "nested too deeply to be read|too early"),
        (b'{"actor":' * 100_000, "nested too deeply|too early|is not a property"),
    ],
)
def test_an_unreadable_body_is_refused(body: bytes, message: str, *, listed: bool) -> None:
    """What is not JSON in UTF-8, or cannot be represented, is 400 and says so; nothing else is ever raised."""
    with pytest.raises(BadRequest, match=message):
        receive(b"[" + body + b"]" if listed else body, version="1.0.3", max_statements=10)


@pytest.mark.parametrize("body", [b"", b" \r\n\t", b"5", b'"x"', b"null", b"true", b"[5]", b"[[]]", b"[null]", b"{}"])
def test_what_is_no_statement_is_refused(body: bytes) -> None:
    """An empty body and JSON that is no statement are 400."""
    with pytest.raises(BadRequest):
        receive(body, version="2.0.0", max_statements=10)


@pytest.mark.parametrize(
    "value",
    [
        nested(200),
        nested(256),
        b"9" * 1200,
        b"-" + b"9" * 4000,
        b"0." + b"3" * 1200,
        b"1e2",
        b"1E+2",
        b"-0",
        b"-0.0",
        b"1e-400",
        b"1e-99999999999999999999999",
        b"123456789.123456789123456789",
        b'"\\u00e9\\/\\u0000"',
        b'"\xf0\x9f\x8e\x93\\ud83c\\udf93"',
        b'{"a":1,"a":2}',
        b'[ 1 ,\t2\r\n, null , {} , "" ]',
    ],
    ids=lambda value: str(value[:24]),
)
def test_a_strange_extension_value_is_kept_and_goes_on(value: bytes) -> None:
    """What is accepted is kept byte for byte, can be compared with itself and has keys: nothing refuses it later."""
    body = with_extension(value)
    for sent in (body, b"[" + body + b"]", b"  " + body + b"\n"):
        (received,) = receive(sent, version="1.0.3", max_statements=1).statements
        assert body == received.raw
    assert equivalent(body, body + b" ")
    assert "http://example.org/v" == derive_keys(body, AUTHORITY).verb


def test_a_long_extension_key_is_kept() -> None:
    """A key of 60 KB is accepted and kept."""
    body = with_extension(b"1", key=b"http://example.org/" + b"k" * 60_000)
    assert body == receive(body, version="2.0.0", max_statements=1).statements[0].raw


def test_the_depth_taken_does_not_depend_on_the_caller() -> None:
    """A value of 256 levels is read from a stack that is half used already."""
    body = with_extension(nested(256))

    def from_below(frames: int) -> bool:
        if frames:
            return from_below(frames - 1)
        kept = receive(body, version="1.0.3", max_statements=1).statements[0].raw
        return equivalent(kept, body + b" ") and bool(derive_keys(kept, AUTHORITY).verb)

    assert from_below(sys.getrecursionlimit() // 2)


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
def test_of_a_member_that_stands_twice_the_last_counts_everywhere(version: str) -> None:
    """Checking, normalising, keys and comparing all believe the last of two members, changed bytes or not."""
    first, last = b'"verb":{"id":"no iri"}', b'"verb":{"id":"http://example.org/last"}'
    body = (
        b'{"actor":{"mbox":"mailto:a@example.org"},' + first + b',"object":{"id":"http://example.org/o"},'
        b'"id":"11111111-1111-4111-8111-111111111111","id":"22222222-2222-4222-8222-22222222222A",' + last + b"}"
    )
    with pytest.raises(BadRequest, match=r"verb\.id"):
        receive(body.replace(b"last", b"no iri"), version=version, max_statements=1)
    (received,) = receive(body, version=version, max_statements=1).statements
    assert "22222222-2222-4222-8222-22222222222a" == received.id
    assert b"no iri" not in received.raw
    assert 1 == received.raw.count(b'"id":"2222')
    assert 0 == received.raw.count(b'"id":"1111')
    assert "http://example.org/last" == derive_keys(body, AUTHORITY).verb == derive_keys(received.raw, AUTHORITY).verb
    assert equivalent(body, received.raw)


def test_a_fault_in_the_first_of_two_members_is_told() -> None:
    """Where the decoder stumbles over a member that a later one would replace, the answer is a 400 all the same."""
    for maps in (b'{"name":{"en":1},"name":{"en":"x"}}', b'{"name":{"en":1},"name":5}', b'{"name":{"en":1},"name":[]}'):
        body = with_extension(b"1").replace(b'"http://example.org/o"', b'"http://example.org/o","definition":' + maps)
        with pytest.raises(
            BadRequest, match=r"^statement\.object\.definition\.name: must be a string, not a whole number$"
        ):
            receive(body, version="1.0.3", max_statements=1)


def test_members_are_known_by_name_however_it_is_spelt() -> None:
    """An escaped member name is the same member: it is checked and taken out like any other."""
    body = (
        with_extension(b"1")[:-1]
        + b',"st\\u006fred":"2015-01-01T00:00:00Z","\\u0069d":"AAAAAAAA-1111-4111-8111-111111111111"}'
    )
    (received,) = receive(body, version="1.0.3", max_statements=1).statements
    assert "aaaaaaaa-1111-4111-8111-111111111111" == received.id
    assert b"2015" not in received.raw
    assert b"AAAA" not in received.raw
