"""What is changed in a statement's bytes before they are kept, and that nothing else is."""

from __future__ import annotations

import pytest

from collegium_core.errors import BadRequest
from collegium_core.lrs.record import Missing
from collegium_core.lrs.validation import receive

HEAD = b'"verb" : {"id":"http://example.org/\\u0076"}, "actor":{"mbox":"mailto:a@example.org"}'
OBJECT = (
    b'"object":{"id":"http://example.org/o","definition":{"extensions":{"http://example.org/x":[1e2,1.0,"\\u00e9"]}}}'
)


def kept(body: bytes, version: str = "1.0.3") -> bytes:
    (received,) = receive(body, version=version, max_statements=1).statements
    return received.raw


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
@pytest.mark.parametrize(
    "body",
    [
        b"{" + HEAD + b"," + OBJECT + b"}",
        b"{ " + OBJECT + b" ,\n" + HEAD + b',"timestamp":"2015-01-01T00:00:00.120Z","version":"1.0.1" }',
        b"{" + HEAD + b"," + OBJECT + b',"context":{"contextActivities":{"parent":[ {"id":"a:b"} ]}}}',
        b'{"id":"aa97b177-9383-4934-8543-0f91a7a02836",'
        + HEAD
        + b","
        + OBJECT
        + b',"timestamp":"2015-01-01T00:00:00+00:00"}',
    ],
)
def test_what_needs_no_change_is_kept_as_it_is(body: bytes, version: str) -> None:
    """Order, white space, number spelling and escapes of such a statement all survive."""
    assert body == kept(body, version)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b'"id":"AA97B177-9383-4934-8543-0F91A7A02836"', b'"id":"aa97b177-9383-4934-8543-0f91a7a02836"'),
        (
            b'"context":{"contextActivities":{"other" : {"id":"a:b"} }}',
            b'"context":{"contextActivities":{"other":[{"id":"a:b"}]}}',
        ),
        (
            b'"context":{"contextActivities":{"parent":{"id":"a:b"},"other":[{"id":"c:d"} ]},"platform":"\\u0070"}',
            b'"context":{"contextActivities":{"parent":[{"id":"a:b"}],"other":[{"id":"c:d"} ]},"platform":"\\u0070"}',
        ),
    ],
)
def test_only_what_is_named_is_changed(sent: bytes, expected: bytes) -> None:
    """The id in lower case, a lone activity in a list; every other member keeps its bytes and its place."""
    assert (
        b'{"verb":{"id":"http://example.org/\\u0076"},"actor":{"mbox":"mailto:a@example.org"},'
        + expected
        + b","
        + OBJECT
        + b"}"
        == kept(b"{" + HEAD + b", " + sent + b" , " + OBJECT + b"}")
    )


def test_stored_and_authority_of_the_client_are_taken_out() -> None:
    """They are the server's to give; what the client sent is gone, wherever it stood."""
    body = (
        b'{"stored":"2013-05-18T05:32:34.804Z",'
        + HEAD
        + b',"authority":{"mbox":"mailto:b@example.org"},'
        + OBJECT
        + b"}"
    )
    assert (
        b'{"verb":{"id":"http://example.org/\\u0076"},"actor":{"mbox":"mailto:a@example.org"},' + OBJECT + b"}"
        == kept(body)
    )


@pytest.mark.parametrize(
    ("sent", "kept_as"),
    [
        ("2015-01-01T00:30:00.120+01:00", "2014-12-31T23:30:00.120Z"),
        ("2015-12-31T23:59:60.5-00:30", "2016-01-01T00:29:60.5Z"),
        ("2015-01-01 12:00:00.123456789123+05:30", "2015-01-01T06:30:00.123456789123Z"),
        ("2015-01-01t12:00:00-12:00", "2015-01-02T00:00:00Z"),
        ("2015-01-01T12:00:00z", "2015-01-01T12:00:00z"),
        ("2015-01-01T12:00:00+00:00", "2015-01-01T12:00:00+00:00"),
    ],
)
def test_timestamps_of_2_0_are_in_utc(sent: str, kept_as: str) -> None:
    """Version 2.0 wants UTC: the minute is converted, digits of the second stay; 1.0.3 keeps what was sent."""
    body = b"{" + HEAD + b"," + OBJECT + b',"timestamp":"' + sent.encode() + b'"}'
    assert body == kept(body, "1.0.3")
    assert b'"timestamp":"' + kept_as.encode() + b'"}' in kept(body, "2.0.0")
    sub = b"{" + HEAD + b',"object":' + body.replace(b"{", b'{"objectType":"SubStatement",', 1) + b"}"
    assert sub == kept(sub, "1.0.3")
    assert b'"timestamp":"' + kept_as.encode() + b'"}' in kept(sub, "2.0.0")


@pytest.mark.parametrize("sent", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_timestamp_outside_the_calendar_is_refused_in_2_0(sent: str) -> None:
    """An instant that has no year of four digits in UTC is 400, not an error of ours; also in a SubStatement."""
    body = b"{" + HEAD + b"," + OBJECT + b',"timestamp":"' + sent.encode() + b'"}'
    for document in (
        body,
        b"{" + HEAD + b',"object":' + body.replace(b"{", b'{"objectType":"SubStatement",', 1) + b"}",
    ):
        with pytest.raises(BadRequest, match="timestamp"):
            kept(document, "2.0.0")


def test_a_null_timestamp_of_2_0_is_taken_out() -> None:
    """It counts as absent, and the server fills it."""
    body = b"{" + HEAD + b',"timestamp":null,' + OBJECT + b"}"
    (received,) = receive(body, version="2.0.0", max_statements=1).statements
    assert b"timestamp" not in received.raw
    assert Missing.TIMESTAMP in received.missing


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
def test_a_substatement_is_normalised_too(version: str) -> None:
    """A lone activity in a SubStatement's contextActivities becomes a list; its other members keep their bytes."""
    sub = (
        b'{"objectType":"SubStatement",'
        + HEAD
        + b","
        + OBJECT
        + b',"context":{"contextActivities":{"grouping":{"id":"a:b"}}}}'
    )
    body = b"{" + HEAD + b',"object":' + sub + b',"context":{"contextActivities":{"grouping":[]}}}'
    raw = kept(body, version)
    assert b'"grouping":[{"id":"a:b"}]' in raw
    assert b'"grouping":[]' in raw
    assert OBJECT in raw
