"""What a list query asks for, parsed from the request's parameters (xAPI-Communication 2.1.3)."""

from __future__ import annotations

import msgspec

__all__ = ["Place", "StatementQuery"]


class Place(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A place in a tenant's order of statements: microseconds stored, then position."""

    stored: int
    position: int


class StatementQuery(msgspec.Struct, frozen=True, omit_defaults=True):
    """The filters of one list; filter values are keys as :class:`collegium_core.lrs.keys.FilterKeys` holds them.

    ``since`` is exclusive and ``until`` inclusive, both microseconds on ``stored``.
    """

    agent: str | None = None
    related_agents: bool = False
    verb: str | None = None
    activity: str | None = None
    related_activities: bool = False
    registration: str | None = None
    since: int | None = None
    until: int | None = None
    ascending: bool = False
