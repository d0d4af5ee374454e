"""Timestamps: instants, microseconds, UTC; the fast way and the slow way agree."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium_core.lrs import timestamps
from collegium_core.lrs.timestamps import instant, is_iso8601, is_rfc3339, microseconds, to_utc

MOMENTS = st.datetimes().filter(lambda moment: 2 <= moment.year <= 9998)
DIGITS = st.text("0123456789", max_size=12)
SPELLED = st.builds(
    lambda moment, fraction, separator, offset: f"{moment:%m-%dT%H:%M:%S}".replace("T", separator).join(
        [f"{moment.year:04}-", f"{'.' + fraction if fraction else ''}{offset}"]
    ),
    st.datetimes(),
    DIGITS,
    st.sampled_from("Tt "),
    st.sampled_from(
        ["Z", "z", "+00:00", "-00:00", "+23:59", "-23:59", "+05:30", "+24:00", "+01:60", "", "+01", "+0100"]
    ),
)


@given(SPELLED | st.from_regex(timestamps._RFC3339, fullmatch=True) | st.text(max_size=40))
def test_the_fast_way_agrees_with_the_slow_one(text: str) -> None:
    """Whatever the fast test takes, the full grammar takes; whatever is RFC 3339 is ISO 8601."""
    slow = timestamps._RFC3339.fullmatch(text) is not None and timestamps._parse(text) is not None
    if timestamps._is_usual(text):
        assert slow or text.startswith(("0001", "9999"))
    if slow:
        assert is_rfc3339(text)
        assert is_iso8601(text)


@given(MOMENTS, st.integers(-1439, 1439))
def test_an_instant_is_one_in_every_zone(moment: dt.datetime, minutes: int) -> None:
    """One instant written in two zones is equal as instant, in microseconds and in UTC."""
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    utc = moment.replace(tzinfo=dt.UTC).isoformat()
    local = moment.replace(tzinfo=dt.UTC).astimezone(zone).isoformat()
    assert instant(utc) == instant(local)
    assert microseconds(utc) == microseconds(local)
    assert microseconds(utc) == microseconds(to_utc(local))
    since_1970 = moment.replace(tzinfo=dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert since_1970 // dt.timedelta(microseconds=1) == microseconds(utc)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("2015-01-01T00:00:00Z", "2015-01-01T00:00:00.000Z", True),
        ("2015-01-01T00:00:00.12Z", "20150101T010000.120+0100", True),
        ("2015-01-01T00:00Z", "2015-01-01T00:00:00+00", True),
        ("2015-01-01T00:00:00", "2015-01-01T00:00:00Z", False),
        ("2015-01-01T00:00:00", "2015-01-01T00:00", True),
        ("2015-01-01T00:00:00.1234567891Z", "2015-01-01T00:00:00.123456789Z", False),
        ("2015-01-01T00:00:10Z", "2015-01-01T00:00:01Z", False),
    ],
)
def test_instants_compare_by_what_they_say(a: str, b: str, *, same: bool) -> None:
    """Spelling does not count, every digit does, and a time without a zone is a time of its own kind."""
    assert same == (instant(a) == instant(b))


def test_microseconds_are_cut_off() -> None:
    """More than six digits are cut, not rounded; without an offset the time is in UTC; a leap second is the next."""
    assert 999_999 == microseconds("1970-01-01T00:00:00.9999999Z")
    assert -1 == microseconds("1969-12-31T23:59:59.999999Z")
    assert 60_000_000 == microseconds("1970-01-01T00:01")
    assert 60_000_000 == microseconds("1970-01-01T00:00:60Z")
    with pytest.raises(ValueError, match=re.escape("'tomorrow' is not a timestamp")):
        microseconds("tomorrow")
