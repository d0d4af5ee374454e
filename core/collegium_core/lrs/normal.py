r"""The few changes made to a statement's bytes before they are kept, and no others (xAPI-Data 2.3, 2.4).

- ``stored`` and ``authority`` that the client sent are taken out: the server's own are spliced in on reading;
- an activity that stands alone in ``contextActivities`` becomes a list of one, in a SubStatement too;
- the statement's ``id`` is written in lower case;
- in xAPI 2.0 a null ``timestamp`` is taken out and timestamps are written in UTC, in a SubStatement too.

Everything is done on the bytes of members: what is not named above keeps its spelling (``1e2``, ``\u00e9``, the order
of members). A statement that needs no change comes back as it is.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, Raw

from collegium_core.lrs.checks import LoneActivities
from collegium_core.lrs.statement import Object, Statement
from collegium_core.lrs.timestamps import is_utc, to_utc
from collegium_core.lrs.versions import VersionRules

__all__ = ["normalise"]

_MEMBERS: Final = msgspec.json.Decoder(dict[str, Raw])
_ENCODER: Final = msgspec.json.Encoder()


def normalise(raw: bytes, statement: Statement, rules: VersionRules, lone: LoneActivities) -> bytes:
    """Return *raw* with the changes that this module's text names.

    :param raw: a statement that :func:`collegium_core.lrs.checks.check_statement` found nothing wrong with.
    :param statement: the same, decoded.
    :param lone: what that check returned.
    :raises OverflowError: a timestamp in UTC lies outside the years 1 to 9999.
    """
    changes: dict[str, Raw | None] = {}  # None: take the member out
    if (given := statement.id) is not UNSET and given != (lower := given.lower()):
        changes["id"] = _encoded(lower)
    if statement.stored is not UNSET:
        changes["stored"] = None
    if statement.authority is not UNSET:
        changes["authority"] = None
    in_context, alone_in_substatement = lone
    in_substatement = alone_in_substatement
    if rules.utc:
        timestamp = statement.timestamp
        if timestamp is None:
            changes["timestamp"] = None
        elif timestamp is not UNSET and not is_utc(timestamp):
            changes["timestamp"] = _encoded(to_utc(timestamp))
        in_substatement = in_substatement or _is_elsewhere(statement.object)
    if not (changes or in_context or in_substatement):
        return raw
    members = _MEMBERS.decode(raw)
    if in_context:
        members["context"] = _with_lists(members["context"])
    if in_substatement:
        members["object"] = _substatement(members["object"], statement.object, rules, lone=alone_in_substatement)
    for name, value in changes.items():
        if value is None:
            del members[name]
        else:
            members[name] = value
    return _ENCODER.encode(members)


def _is_elsewhere(sub: Object) -> bool:
    """Return whether the object has a timestamp that is not in UTC; only a SubStatement has any."""
    return sub.timestamp is not UNSET and not is_utc(sub.timestamp)


def _substatement(raw: Raw, sub: Object, rules: VersionRules, *, lone: bool) -> Raw:
    members = _MEMBERS.decode(raw)
    if lone:
        members["context"] = _with_lists(members["context"])
    if rules.utc and sub.timestamp is not UNSET and not is_utc(sub.timestamp):
        members["timestamp"] = _encoded(to_utc(sub.timestamp))
    return Raw(_ENCODER.encode(members))


def _with_lists(context: Raw) -> Raw:
    members = _MEMBERS.decode(context)
    around = _MEMBERS.decode(members["contextActivities"])
    for name, activities in around.items():
        text = bytes(activities)
        if text.startswith(b"{"):
            around[name] = Raw(b"[" + text + b"]")
    members["contextActivities"] = Raw(_ENCODER.encode(around))
    return Raw(_ENCODER.encode(members))


def _encoded(text: str) -> Raw:
    return Raw(_ENCODER.encode(text))
