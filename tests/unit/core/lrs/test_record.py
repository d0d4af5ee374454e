"""What is kept of a statement, and what a reader gets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collegium_core.lrs.record import Missing, StoredStatement, format_stored, parse_stored

ID = "aa97b177-9383-4934-8543-0f91a7a02836"
RAW = b'{"actor":{"mbox":"mailto:a@example.org"},"verb":{"id":"a:b"},"object":{"id":"c:d"},"result":{"response":"\\t"}}'
AUTHORITY = b'{"mbox":"mailto:server@example.org"}'


@pytest.mark.parametrize("missing", [Missing(bits) for bits in range(8)])
def test_exact_adds_what_is_missing_and_nothing_else(missing: Missing) -> None:
    """The bytes received come first, unchanged; then stored, authority and what the client left out."""
    statement = StoredStatement(ID, RAW, 1_700_000_000_000_001, 5, AUTHORITY, missing, "2.0.0")
    exact = statement.exact()
    assert exact.startswith(RAW[:-1])
    added = {k: v for k, v in json.loads(exact).items() if k not in json.loads(RAW)}
    stored = "2023-11-14T22:13:20.000001Z"
    expected = {"stored": stored, "authority": json.loads(AUTHORITY)}
    if Missing.ID in missing:
        expected["id"] = ID
    if Missing.TIMESTAMP in missing:
        expected["timestamp"] = stored
    if Missing.VERSION in missing:
        expected["version"] = "2.0.0"
    assert expected == added


@given(st.integers(-(10**16), 2 * 10**17))
def test_stored_is_written_and_read_alike(microseconds: int) -> None:
    """A time written is the time read, to the microsecond."""
    assert microseconds == parse_stored(format_stored(microseconds))


def test_a_time_without_a_zone_is_no_stored() -> None:
    """It would mean another instant on another machine."""
    with pytest.raises(ValueError, match="has no offset"):
        parse_stored("2015-01-01T00:00:00")
