"""Timestamps as the two versions of the standard write them.

xAPI 1.0.3 takes ISO 8601 (xAPI-Data 4.5): a calendar date with a time of at least hours and minutes, extended or basic,
the offset optional. xAPI 2.0 takes RFC 3339 and wants UTC. Both refuse the offset ``-00``, ``-0000``, ``-00:00``. Week
and ordinal dates and ``24:00`` are refused in both. Digits are never lost: all conversions leave seconds as they are.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

__all__ = ["instant", "is_iso8601", "is_rfc3339", "is_utc", "microseconds", "to_utc"]

_MONTH: Final = r"(?:0[1-9]|1[0-2])"
_DAY: Final = r"(?:0[1-9]|[12][0-9]|3[01])"
_HOUR: Final = r"(?:[01][0-9]|2[0-3])"
_SIXTY: Final = r"[0-5][0-9]"
_SECOND: Final = r"(?:[0-5][0-9]|60)"

_RFC3339: Final = re.compile(
    rf"[0-9]{{4}}-{_MONTH}-{_DAY}[Tt ]{_HOUR}:{_SIXTY}:{_SECOND}(?:\.[0-9]+)?(?:[Zz]|(?!-00:00)[+-]{_HOUR}:{_SIXTY})"
)
# The form that nearly all clients send; whether it is a real date, the standard library says, in a tenth of the time.
_USUAL: Final = re.compile(
    r"[0-9]{4}-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
    r"(?:\.[0-9]+)?(?:Z|(?!-00:00)[+-][0-9][0-9]:[0-5][0-9])"
)
_EXTENDED: Final = re.compile(
    rf"([0-9]{{4}})-({_MONTH})-({_DAY})[Tt ]({_HOUR}):({_SIXTY})(?::({_SECOND})(?:[.,]([0-9]+))?)?"
    rf"([Zz]|(?!-00(?::?00)?$)[+-]{_HOUR}(?::?{_SIXTY})?)?"
)
_BASIC: Final = re.compile(
    rf"([0-9]{{4}})({_MONTH})({_DAY})[Tt]({_HOUR})({_SIXTY})(?:({_SECOND})(?:[.,]([0-9]+))?)?"
    rf"([Zz]|(?!-00(?:00)?$)[+-]{_HOUR}(?:{_SIXTY})?)?"
)
_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - all arithmetic here is in UTC without saying so
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_UTC_ENDINGS: Final = ("Z", "z", "+00:00")


def is_rfc3339(text: str) -> bool:
    """Return whether *text* is an RFC 3339 date-time; a space may stand for the ``T`` (RFC 3339, 5.6)."""
    return _is_usual(text) or (_RFC3339.fullmatch(text) is not None and _parse(text) is not None)


def is_iso8601(text: str) -> bool:
    """Return whether *text* is an ISO 8601 date and time as xAPI 1.0.3 takes it."""
    return _is_usual(text) or _parse(text) is not None


def is_utc(text: str) -> bool:
    """Return whether the RFC 3339 date-time *text* is written in UTC."""
    return text.endswith(_UTC_ENDINGS)


def to_utc(text: str) -> str:
    """Return the same instant in UTC, all digits of the seconds kept; a text that is in UTC comes back unchanged.

    :param text: an RFC 3339 date-time.
    :raises OverflowError: the instant lies outside the years 1 to 9999.
    """
    if is_utc(text):
        return text
    minute = dt.datetime.fromisoformat(text[:16].upper()) - _offset(text[-6:])
    return f"{minute.isoformat(timespec='minutes')}{text[16:-6]}Z"


def instant(text: str) -> tuple[str, str] | None:
    """Return a value that is equal for equal instants, however they are written; ``None`` for what is no timestamp.

    A timestamp without an offset equals only others without one.
    """
    parsed = _parse(text)
    if parsed is None:
        return None
    minute, second, fraction, offset = parsed
    moment = (minute - _offset(offset)).isoformat(timespec="minutes") + ("Z" if offset else "")
    return moment, f"{second}.{fraction}".rstrip("0")


def microseconds(text: str) -> int:
    """Return the microseconds since 1970 UTC of *text*, cut off, not rounded; without an offset it is in UTC.

    :raises ValueError: *text* is no ISO 8601 date and time.
    """
    parsed = _parse(text)
    if parsed is None:
        raise ValueError(f"{text!r} is not a timestamp")
    minute, second, fraction, offset = parsed
    seconds = dt.timedelta(seconds=int(second), microseconds=int(fraction[:6].ljust(6, "0")))
    return (minute - _EPOCH - _offset(offset) + seconds) // _MICROSECOND


def _parse(text: str) -> tuple[dt.datetime, str, str, str] | None:
    match = _EXTENDED.fullmatch(text) or _BASIC.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups(default="")
    try:
        moment = dt.datetime(int(year), int(month), int(day), int(hour), int(minute))  # noqa: DTZ001 - see _EPOCH
        moment - _offset(offset)
    except (ValueError, OverflowError):
        return None
    return moment, second or "00", fraction, offset


def _offset(text: str) -> dt.timedelta:
    digits = text[1:].replace(":", "")
    if not digits:  # "Z", "z" or none
        return dt.timedelta()
    minutes = int(digits[:2]) * 60 + int(digits[2:] or "0")
    return dt.timedelta(minutes=-minutes if text[0] == "-" else minutes)


def _is_usual(text: str) -> bool:
    """Return whether *text* is right and of the usual form; where this says no, the slow way has the last word."""
    if _USUAL.fullmatch(text) is None:
        return False
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
