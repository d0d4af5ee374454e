"""When two statements of one id say the same (rules 45 to 47)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collegium_core.lrs.compare import equivalent, repeats
from collegium_core.lrs.record import Missing, StoredStatement, format_stored

PLAIN: dict[str, Any] = {
    "actor": {"mbox": "mailto:a@example.org"},
    "verb": {"id": "http://example.org/v"},
    "object": {"id": "http://example.org/o"},
}
ID = "aa97b177-9383-4934-8543-0f91a7a02836"


def raw(**members: Any) -> bytes:
    return json.dumps(PLAIN | members).encode()


def with_value(value: str) -> bytes:
    return raw(context={"extensions": {"http://example.org/x": 0}}).replace(b": 0}", b": " + value.encode() + b"}")


def around(value: Any) -> dict[str, Any]:
    return {"contextActivities": {"parent": value}}


SAME = [
    (raw(), json.dumps(dict(reversed(PLAIN.items())), indent=2).encode()),
    (raw(), raw(id=ID, stored="2015-01-01T00:00:00Z", version="1.0.0", authority={"mbox": "mailto:b@example.org"})),
    (raw(id=ID, version="1.0.0"), raw(id=ID.upper(), version="2.0.0")),
    (raw(context=around({"id": "a:b"})), raw(context=around([{"id": "a:b"}]))),
    (raw(result={"duration": "PT1.239S"}), raw(result={"duration": "PT1.23S"})),
    (raw(result={"duration": "PT1S"}), raw(result={"duration": "PT1.001S"})),
    (raw(result={"duration": "PT1.5S"}), raw(result={"duration": "PT1,50S"})),
    (raw(result={"score": {"raw": 1}}), raw(result={"score": {"raw": 1.0}})),
    (with_value("1e2"), with_value("100")),
    (with_value("0.10"), with_value("1.0E-1")),
    (with_value('"\\u00e9"'), with_value('"é"')),
    (with_value("-0"), with_value("0.0")),
    (raw(timestamp="2015-01-01T00:00:00Z"), raw(timestamp="2015-01-01T01:00:00.000+01:00")),
    (raw(), raw(timestamp=None)),
]
DIFFERENT = [
    (raw(), raw(verb={"id": "http://example.org/w"})),
    (raw(), raw(result={})),
    (raw(context=around([{"id": "a:b"}])), raw(context=around([{"id": "a:b"}, {"id": "c:d"}]))),
    (raw(context=around([{"id": "a:b"}, {"id": "c:d"}])), raw(context=around([{"id": "c:d"}, {"id": "a:b"}]))),
    (raw(result={"duration": "PT1.24S"}), raw(result={"duration": "PT1.23S"})),
    (raw(result={"duration": "PT1H"}), raw(result={"duration": "PT60M"})),
    (with_value("true"), with_value("1")),
    (with_value("false"), with_value("0")),
    (with_value("null"), with_value("false")),
    (with_value('"1"'), with_value("1")),
    (with_value("[]"), with_value("{}")),
    (with_value('{"id":"a:b"}'), with_value('[{"id":"a:b"}]')),
    (with_value("0.1234567890123456789"), with_value("0.1234567890123456788")),
    (with_value("9" * 1200), with_value("9" * 1199 + "8")),
    (raw(timestamp="2015-01-01T00:00:00Z"), raw(timestamp="2015-01-01T00:00:01Z")),
    (raw(), raw(timestamp="2015-01-01T00:00:00Z")),
    (raw(), b"[]"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_the_same_said_in_other_words(a: bytes, b: bytes) -> None:
    """What the server fills, order, spelling of numbers, lone activities and fine digits make no difference."""
    assert equivalent(a, b)
    assert equivalent(b, a)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_something_else(a: bytes, b: bytes) -> None:
    """Any difference in what is said is a difference, down to the last digit."""
    assert not equivalent(a, b)
    assert not equivalent(b, a)


@pytest.mark.parametrize(("a", "b"), [*SAME[:1], *SAME[3:7], SAME[-2]])
def test_a_substatement_is_compared_like_a_statement(a: bytes, b: bytes) -> None:
    """Within a SubStatement the same spellings make no difference."""
    inner = [json.loads(text) | {"objectType": "SubStatement"} for text in (a, b)]
    assert equivalent(raw(object=inner[0]), raw(object=inner[1]))


def test_a_statement_sent_again_repeats_itself() -> None:
    """A client may send again what it sent, or what it read back with all that the server filled in; nothing else."""
    stored = 1_700_000_000_000_001
    kept = StoredStatement(
        id=ID,
        raw=raw(),
        stored=stored,
        position=stored,
        authority=b'{"mbox":"mailto:server@example.org"}',
        missing=Missing.ID | Missing.TIMESTAMP | Missing.VERSION,
    )
    assert repeats(kept, raw())
    assert repeats(kept, kept.exact())
    assert repeats(kept, raw(timestamp=format_stored(stored)))
    assert not repeats(kept, raw(timestamp=format_stored(stored + 1)))
    assert not repeats(kept, raw(result={}))
    given = StoredStatement(
        id=ID, raw=raw(timestamp="2015-01-01T00:00:00Z"), stored=stored, position=stored, authority=b"{}"
    )
    assert not repeats(given, raw(timestamp=format_stored(stored)))
    assert not repeats(given, raw())


UNREADABLE = [
    with_value('"?"').replace(b"?", b"\xff"),
    with_value("9" * 5000),
    with_value('"\\ud800"'),
    with_value("[" * 5000 + "]" * 5000),
    b"",
    b"{",
]


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: str(text[-24:]))
def test_what_cannot_be_read_says_the_same_as_itself_alone(text: bytes) -> None:
    """Comparing never raises, whatever is stored: bytes that no reader takes equal their own copy, nothing else."""
    assert equivalent(text, bytes(bytearray(text)))
    assert not equivalent(text, raw())
    assert not equivalent(raw(), text)
    assert not equivalent(text, text + b" ")
    kept = StoredStatement(id=ID, raw=text, stored=1, position=1, authority=b"{}", missing=Missing.TIMESTAMP)
    assert repeats(kept, text)
    assert not repeats(kept, raw())
