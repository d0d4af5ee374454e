"""The keys under which queries find a statement, derived once, when it is indexed."""

from __future__ import annotations

import msgspec

__all__ = ["FilterKeys"]


class FilterKeys(msgspec.Struct, frozen=True, gc=False):
    """The filter keys of one statement; every tuple is sorted and without repeats.

    Each key is the canonical text of the thing (``mbox|mailto:a@example.org``, ``account|http://home|name``, an IRI), or
    ``#`` and a digest of it where the text is longer than 512 UTF-8 bytes, so that every store takes every key.

    :param agents: what the plain ``agent`` parameter matches: actor and object, and the members of groups there.
    :param related_agents: what it matches with ``related_agents=true``; holds ``agents``.
    :param activities: the object's activity id.
    :param related_activities: with ``related_activities=true``; holds ``activities``.
    :param ref: the id that a StatementRef object points at, voiding or not.
    :param voids: whether the statement voids ``ref``.
    """

    verb: str
    agents: tuple[str, ...] = ()
    related_agents: tuple[str, ...] = ()
    activities: tuple[str, ...] = ()
    related_activities: tuple[str, ...] = ()
    registration: str | None = None
    ref: str | None = None
    voids: bool = False
