"""What differs between xAPI 1.0.3 and 2.0 in a statement: one object, chosen by the request's version at the edge."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from collegium_core.lrs.timestamps import is_iso8601, is_rfc3339

__all__ = ["XAPI_1_0_3", "XAPI_2_0_0", "Version", "VersionRules", "rules_for"]

Version = Literal["1.0.3", "2.0.0"]


class VersionRules(msgspec.Struct, frozen=True):
    """The rules of one version.

    :param name: what the ``X-Experience-API-Version`` header says, after the edge has understood it.
    :param filled_version: the ``version`` of statements that come without one (xAPI-Data 2.4.10).
    :param is_version: whether a statement's own ``version`` is taken.
    :param expected_version: the same in words, for messages.
    :param is_timestamp: whether a text is a timestamp of this version.
    :param timestamp_format: the same in words, for messages.
    :param utc: whether timestamps are converted to UTC.
    :param null_timestamp: whether a statement's ``timestamp`` may be null, which is as if it were absent.
    :param context_participants: whether a context may hold ``contextAgents`` and ``contextGroups``.
    """

    name: Version
    filled_version: str
    is_version: Callable[[str], object]
    expected_version: str
    is_timestamp: Callable[[str], bool]
    timestamp_format: str
    utc: bool
    null_timestamp: bool
    context_participants: bool


XAPI_1_0_3: Final = VersionRules(
    name="1.0.3",
    filled_version="1.0.0",
    is_version=re.compile(r"1\.0(?:\.[0-9]{1,9})?").fullmatch,
    expected_version="1.0 or 1.0.x",
    is_timestamp=is_iso8601,
    timestamp_format="an ISO 8601 date and time",
    utc=False,
    null_timestamp=False,
    context_participants=False,
)
XAPI_2_0_0: Final = VersionRules(
    name="2.0.0",
    filled_version="2.0.0",
    # Statements made under 1.0 may be sent on under 2.0.
    is_version=re.compile(r"(?:1\.0|2\.0)(?:\.[0-9]{1,9})?").fullmatch,
    expected_version="2.0.x or 1.0.x",
    is_timestamp=is_rfc3339,
    timestamp_format="an RFC 3339 date and time",
    utc=True,
    null_timestamp=True,
    context_participants=True,
)
_RULES: Final = {"1.0.3": XAPI_1_0_3, "2.0.0": XAPI_2_0_0}


def rules_for(version: str) -> VersionRules:
    """Return the rules of *version*, ``"1.0.3"`` or ``"2.0.0"``.

    :raises ValueError: another version; the edge answers those before it comes here.
    """
    try:
        return _RULES[version]
    except KeyError:
        raise ValueError(f"no rules for xAPI version {version!r}") from None
