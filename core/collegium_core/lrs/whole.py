r"""What must hold of every byte of a statement, wherever it stands.

Where a member stands twice the last one counts, but the bytes of the first are kept too, and whoever reads them must be
able to: they are UTF-8, their numbers can be represented, they are not nested too deeply. Most of that the decoder has
seen to, which decodes the first of two members like the last. Left are the members that it passes over undecoded
(``definition`` and ``contextActivities``, :class:`msgspec.Raw` in :mod:`collegium_core.lrs.statement`), of which only
the last is ever looked at; and the depth of everything.

Nearly every statement has nothing of the kind, so the questions asked of all are only whether it could have: what does
not hold a name more often than it was found has lost none, and what has too few brackets is not deep.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Final

import msgspec
from msgspec import UNSET

from collegium_core.lrs.faults import Faults
from collegium_core.lrs.statement import Statement

__all__ = ["MAX_STATEMENT_DEPTH", "check_whole", "is_too_deep"]

MAX_STATEMENT_DEPTH: Final = 400
"""So deep may objects and arrays be nested in a statement: deeper than the deepest extension value in the deepest place
makes it (256 levels and 8), and less deep than what the usual readers refuse."""

_ANY: Final = msgspec.json.Decoder()
_DEFINITION: Final = b'"definition"'
_ACTIVITIES: Final = b'"contextActivities"'
# A lower-case letter or the A of contextActivities, written as an escape.
_ESCAPED_LETTER: Final = re.compile(rb"\\u00[467]")

# A level takes at least the two bytes of [] or the five of {"":}; only the innermost may be an empty {}.
_ARRAY_BYTES: Final = 2
_OBJECT_BYTES: Final = 5
_LEAST_ARRAYS: Final = (MAX_STATEMENT_DEPTH + 1) * _ARRAY_BYTES - 3
_LEAST_OBJECTS: Final = (MAX_STATEMENT_DEPTH + 1) * _OBJECT_BYTES - 3
_NO_BRACKET: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEP: Final = [0] * 256
_STEP[ord("[")] = _STEP[ord("{")] = 1
_STEP[ord("]")] = _STEP[ord("}")] = -1


def check_whole(document: bytes, statement: Statement, faults: Faults) -> None:
    """Check what the decoder of statements has not looked at, and how deeply all of it is nested.

    :param document: what was decoded to *statement*, in which nothing wrong was found.
    :raises msgspec.DecodeError: a member that a later one replaces holds a number or an escape that is none.
    :raises UnicodeDecodeError: it is not UTF-8.
    :raises RecursionError: it is nested too deeply to be read.
    """
    target = statement.object
    around = UNSET if (context := statement.context) is UNSET else context.context_activities
    # A quotation mark within a text is escaped: so each hit is a whole text or the end of one, no name is missed, and
    # only a text that looks like a name, or escapes, can make a difference where nothing is repeated.
    surplus = document.count(_DEFINITION) - (target.definition is not UNSET)
    if surplus and around is not UNSET:
        surplus -= bytes(around).count(_DEFINITION)
    if (
        surplus
        or document.count(_ACTIVITIES) != (around is not UNSET)
        or (document.find(b"\\") >= 0 and _ESCAPED_LETTER.search(document) is not None)
    ):
        _ANY.decode(document)
    if len(document) >= _LEAST_ARRAYS and is_too_deep(document):
        faults.add("", f"is nested deeper than {MAX_STATEMENT_DEPTH} levels")


def is_too_deep(document: bytes) -> bool:
    """Return whether *document*, which is JSON, is nested deeper than :data:`MAX_STATEMENT_DEPTH`."""
    length = len(document)
    arrays = document.count(b"[")
    if length < _LEAST_OBJECTS - (_OBJECT_BYTES - _ARRAY_BYTES) * arrays:
        return False
    if arrays + document.count(b"{") <= MAX_STATEMENT_DEPTH:
        return False
    if b"\\" in document:
        # Escaped backslashes first: what is left before a quotation mark belongs to it.
        document = document.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(document.split(b'"')[::2]).translate(None, _NO_BRACKET)
    return max(accumulate(map(_STEP.__getitem__, brackets))) > MAX_STATEMENT_DEPTH
