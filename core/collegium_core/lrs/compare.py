"""Whether two statements of one id say the same (xAPI-Data 2.3.1; xAPI-Communication 2.1.1, 2.1.2)."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from collegium_core.lrs.record import Missing, StoredStatement
from collegium_core.lrs.timestamps import instant

__all__ = ["equivalent", "repeats"]

_FILLED: Final = ("id", "stored", "authority", "version")
_LISTS: Final = ("parent", "grouping", "category", "other")
_SECONDS: Final = re.compile(r"([0-9]+)(?:[.,]([0-9]+))?S$")


def _number(text: str) -> Decimal | float:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond any decimal's: a number that is as good as zero
        return float(text)


_DECODER: Final = msgspec.json.Decoder(float_hook=_number)


def equivalent(a: bytes, b: bytes) -> bool:
    """Return whether the raw statements *a* and *b* say the same.

    Left out of account is what the server fills or sets (``id``, ``stored``, ``authority``, ``version``) and how things
    are written: the order of members, one activity or a list of one in contextActivities, the zone of a timestamp,
    digits of a duration beyond 0.01 s, ``1`` or ``1.0``. A ``timestamp`` that only one of them has makes a difference;
    see :func:`repeats`. This is an equivalence relation. Numbers are compared exactly, whatever their length.

    Never raises: what cannot be read says the same as its own bytes and nothing else.
    """
    if a == b:
        return True
    try:
        return _same(_comparable(a), _comparable(b))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def repeats(kept: StoredStatement, raw: bytes) -> bool:
    """Return whether the statement *raw*, which came in with the id of *kept*, says the same as *kept*.

    That is the question of a second POST or PUT: the client may send what it sent before, or what it read back, with
    the ``timestamp`` that the server filled in.
    """
    if equivalent(kept.raw, raw):
        return True
    return bool(kept.missing & Missing.TIMESTAMP) and equivalent(kept.exact(), raw)


def _comparable(raw: bytes) -> Any:
    statement = _DECODER.decode(raw)
    if not isinstance(statement, dict):
        return statement
    for name in _FILLED:
        statement.pop(name, None)
    _unify(statement)
    target = statement.get("object")
    if isinstance(target, dict) and target.get("objectType") == "SubStatement":
        _unify(target)
    return statement


def _unify(statement: dict[str, Any]) -> None:
    """Write in one way what may be written in several, in a statement or a SubStatement."""
    timestamp = statement.get("timestamp")
    if isinstance(timestamp, str):
        statement["timestamp"] = instant(timestamp) or timestamp
    elif timestamp is None:
        statement.pop("timestamp", None)
    result = statement.get("result")
    if isinstance(result, dict) and isinstance(result.get("duration"), str):
        result["duration"] = _SECONDS.sub(_to_centiseconds, result["duration"])
    context = statement.get("context")
    around = context.get("contextActivities") if isinstance(context, dict) else None
    if isinstance(around, dict):
        for name in _LISTS:
            if isinstance(around.get(name), dict):
                around[name] = [around[name]]


def _to_centiseconds(match: re.Match[str]) -> str:
    return f"{match[1]}.{(match[2] or '')[:2].ljust(2, '0')}S"


def _same(a: Any, b: Any) -> bool:
    # A loop, not a recursion: the depth of extensions must not matter.
    pairs = [(a, b)]
    while pairs:
        x, y = pairs.pop()
        if isinstance(x, dict):
            if not isinstance(y, dict) or x.keys() != y.keys():
                return False
            pairs.extend((value, y[key]) for key, value in x.items())
        elif isinstance(x, list):
            if not isinstance(y, list) or len(x) != len(y):
                return False
            pairs.extend(zip(x, y, strict=True))
        elif isinstance(x, bool) or isinstance(y, bool):  # true is not 1
            if x is not y:
                return False
        elif x != y:
            return False
    return True
