"""What holds of every byte of a statement: also of the first of two members, of which the last counts."""

from __future__ import annotations

import json

import pytest

from collegium_core.errors import BadRequest
from collegium_core.lrs.compare import equivalent, repeats
from collegium_core.lrs.keys import derive_keys
from collegium_core.lrs.record import StoredStatement
from collegium_core.lrs.validation import receive
from collegium_core.lrs.whole import MAX_STATEMENT_DEPTH, is_too_deep

AUTHORITY = b'{"account":{"homePage":"http://example.org","name":"server"}}'
ID = b'"id":"11111111-1111-4111-8111-111111111111",'
ACTOR = b'"actor":{"mbox":"mailto:a@example.org"}'
VERB = b'"verb":{"id":"http://example.org/v"}'
OBJECT = b'"object":{"id":"http://example.org/o"}'
ENDS = {
    "verb": (b"{" + ID + b'"verb":', b"," + ACTOR + b"," + VERB + b"," + OBJECT + b"}"),
    "verb_spelt_otherwise": (b"{" + ID + b'"\\u0076erb":', b"," + ACTOR + b"," + VERB + b"," + OBJECT + b"}"),
    "definition": (
        b"{" + ACTOR + b"," + VERB + b',"object":{"definition":',
        b',"definition":{},"id":"http://example.org/o"}}',
    ),
    "definition_of_the_first_object": (
        b"{" + ACTOR + b"," + VERB + b',"object":{"id":"a:b","definition":',
        b"}," + OBJECT + b"}",
    ),
    "definition_spelt_otherwise": (
        b"{" + ACTOR + b"," + VERB + b',"object":{"id":"a:b","d\\u0065finition":',
        b"}," + OBJECT + b"}",
    ),
    "context_activities": (
        b"{" + ACTOR + b"," + VERB + b"," + OBJECT + b',"context":{"contextActivities":',
        b',"contextActivities":{"parent":[]}}}',
    ),
    "context_activities_of_the_first_context": (
        b"{" + ACTOR + b"," + VERB + b"," + OBJECT + b',"context":{"contextActivities":',
        b'},"context":{"contextActivities":{"parent":[{"id":"a:b","definition":{}}]}}}',
    ),
    "context_activities_spelt_otherwise": (
        b"{" + ACTOR + b"," + VERB + b"," + OBJECT + b',"context":{"context\\u0041ctivities":',
        b'},"context":{}}',
    ),
    "definition_in_a_substatement": (
        b"{" + ACTOR + b"," + VERB + b',"object":{"objectType":"SubStatement",' + ACTOR + b"," + VERB
        + b',"object":{"id":"a:b","definition":',
        b',"definition":{}}}}',
    ),
    "extension": (
        b"{" + ACTOR + b"," + VERB + b"," + OBJECT + b',"result":{"extensions":{"a:b":',
        b',"a:b":1}}}',
    ),
    "extensions_of_the_first_result": (
        b"{" + ACTOR + b"," + VERB + b"," + OBJECT + b',"result":{"extensions":{"a:b":',
        b'}},"result":{}}',
    ),
}  # fmt: skip
TAKES_ANY = [name for name in ENDS if not name.startswith("verb")]
UNREADABLE = [
    b'"\xff"',
    b'{"\xc3":1}',
    b'"\xed\xa0\x80"',
    b'"\\ud800"',
    b"1e999",
    b"[-1e999]",
    b"9" * 5000,
    b"[" * 980 + b"]" * 980,
    b'{"a":' * 450 + b"1" + b"}" * 450,
    b"[" * 100_000 + b"]" * 100_000,
]


def around(name: str, value: bytes) -> bytes:
    before, after = ENDS[name]
    return before + value + after


@pytest.mark.parametrize("listed", [False, True], ids=["single", "batch"])
@pytest.mark.parametrize("value", UNREADABLE, ids=lambda value: str(value[:16]))
@pytest.mark.parametrize("name", ENDS)
def test_what_no_reader_takes_is_refused_in_the_first_of_two_members(name: str, value: bytes, *, listed: bool) -> None:
    """Bytes that are no UTF-8, numbers out of range, halves of characters and great depth are 400 wherever they are."""
    body = around(name, value)
    with pytest.raises(BadRequest):
        receive(b"[" + body + b"]" if listed else body, version="2.0.0", max_statements=1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b'"\xff"', "the body is not UTF-8"),
        (b"1e999", "^statement: a number is beyond what a double can hold"),
        (b"9" * 5000, "^statement: an integer has more than 4,300 digits"),
        (b"[" * 700 + b"]" * 700, "^statement: is nested deeper than 400 levels"),
    ],
)
def test_the_answer_says_what_is_wrong(value: bytes, message: str) -> None:
    """In the words that are used elsewhere."""
    with pytest.raises(BadRequest, match=message):
        receive(around("definition_of_the_first_object", value), version="1.0.3", max_statements=1)


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
@pytest.mark.parametrize(
    "value",
    [b"1", b'"\xc3\xa9"', b'{"type":"no iri"}', b'"[[[{{{\\\\"', b"[" * 256 + b"]" * 256],
    ids=lambda v: str(v[:8]),
)
@pytest.mark.parametrize("name", TAKES_ANY)
def test_what_every_reader_takes_is_kept(name: str, value: bytes, version: str) -> None:
    """The first of two members need not be right, as the last counts; what is kept goes through every reader."""
    body = around(name, value)
    (received,) = receive(body, version=version, max_statements=1).statements
    kept = StoredStatement(received.id, received.raw, 1, 1, AUTHORITY, received.missing, received.version)
    assert json.loads(body) == json.loads(received.raw.decode())
    assert received.id == json.loads(kept.exact().decode())["id"]
    assert "http://example.org/v" == derive_keys(received.raw, AUTHORITY).verb
    assert repeats(kept, body + b" ")
    assert not equivalent(received.raw, body.replace(b"/v", b"/w"))


def test_a_text_or_an_extension_that_looks_like_a_name_does_no_harm() -> None:
    """Only members count, and only where they are repeated."""
    for value in (
        b'"definition"',
        b'{"definition":{"definition":1}}',
        b'"\\"contextActivities\\""',
        b'"contextActivities"',
    ):
        body = around("extension", b"1").replace(b"1}}}", value + b"}}}")
        assert body == receive(body, version="1.0.3", max_statements=1).statements[0].raw


@pytest.mark.parametrize(
    ("left", "right"),
    [(b"[", b"]"), (b'{"":', b"}"), (b'[ {"a" : ', b"} ]"), (b'["]]]]]\\\\",', b"]"), (b'["\\"[[",', b"]")],
)
def test_depth_is_measured_exactly(left: bytes, right: bytes) -> None:
    """Brackets within texts do not count; one level more than may be is too deep."""
    levels = left.split(b'"')[0].count(b"[") + left.count(b"{")
    times = MAX_STATEMENT_DEPTH // levels
    assert not is_too_deep(left * times + b"1" + right * times)
    assert is_too_deep(left * times + b"[]" + right * times)
    assert is_too_deep(b"[" + left * times + b"{}" + right * times + b"]")


def test_many_brackets_are_not_deep() -> None:
    """A long list of small objects is read like any other statement."""
    value = b"[" + b",".join([b'{"a":[1]}'] * 5000) + b"]"
    body = around("extension", b"1").replace(b"1}}}", value + b"}}}")
    assert body == receive(body, version="1.0.3", max_statements=1).statements[0].raw
