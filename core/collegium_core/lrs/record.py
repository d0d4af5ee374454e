"""A statement as the platform keeps it: the bytes received, and beside them what the server adds.

Design: the raw bytes are never re-encoded. What the server adds (id, timestamp, version, stored, authority) is kept
beside them and spliced in when the statement is read (xAPI-Data 4.1: an LRS must not modify statements but for these).
"""

from __future__ import annotations

import datetime as dt
import enum
from typing import Final

import msgspec

__all__ = ["Missing", "StoredStatement", "format_stored", "parse_stored"]

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


class Missing(enum.IntFlag):
    """Which members the client left out, so that the server supplies them on reading."""

    NOTHING = 0
    ID = 1
    TIMESTAMP = 2
    VERSION = 4


class StoredStatement(msgspec.Struct, frozen=True, gc=False):
    """One accepted statement.

    :param id: the statement's UUID, lower case, 36 characters.
    :param raw: a JSON object as received, without ``stored`` and ``authority`` and without surrounding white space.
    :param stored: microseconds since 1970 UTC; strictly monotone per tenant (imports that keep theirs aside).
    :param position: microseconds handed out by the log; breaks ties of equal ``stored``, never shown.
    :param authority: the agent the server vouches for, as JSON bytes.
    :param missing: what the client left out.
    :param version: the version to supply when ``Missing.VERSION``, ``"1.0.0"`` or ``"2.0.0"``.
    """

    id: str
    raw: bytes
    stored: int
    position: int
    authority: bytes
    missing: Missing = Missing.NOTHING
    version: str = "1.0.0"

    def exact(self) -> bytes:
        """Return the statement as JSON with everything the server adds (``format=exact``)."""
        stored = format_stored(self.stored)
        added = [f'"stored":"{stored}"'.encode(), b'"authority":' + self.authority]
        missing = self.missing
        if missing:
            if missing & Missing.ID:
                added.append(f'"id":"{self.id}"'.encode())
            if missing & Missing.TIMESTAMP:
                added.append(f'"timestamp":"{stored}"'.encode())
            if missing & Missing.VERSION:
                added.append(f'"version":"{self.version}"'.encode())
        # A statement always has members (actor, verb, object), so a comma always stands between.
        return self.raw[:-1] + b"," + b",".join(added) + b"}"


def format_stored(microseconds: int) -> str:
    """Return *microseconds* since 1970 as RFC 3339 in UTC with six digits: ``2026-11-22T08:15:30.000001Z``."""
    moment = _EPOCH + dt.timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def parse_stored(text: str) -> int:
    """Return the microseconds since 1970 of an RFC 3339 timestamp.

    :raises ValueError: *text* is not a timestamp with an offset.
    """
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset")
    return (moment - _EPOCH) // _MICROSECOND
