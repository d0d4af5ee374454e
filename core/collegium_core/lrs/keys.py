"""The keys under which queries find a statement, derived once, when it is indexed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from collegium_core.lrs.checks import VOIDED

__all__ = ["FilterKeys", "agent_key", "derive_keys", "text_key"]

_LONGEST: Final = 512
_SURELY_SHORT: Final = 128  # characters, at most four bytes each
_REMEMBERED: Final = 4096
_REMEMBERED_BYTES: Final = 1024


class FilterKeys(msgspec.Struct, frozen=True, gc=False):
    """The filter keys of one statement; every tuple is sorted and without repeats.

    Each key is the canonical text of the thing (``mbox|mailto:a@example.org``, ``account|http://home|name``, an IRI),
    or ``#`` and a digest of it where the text is longer than 512 UTF-8 bytes, so that every store takes every key.

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


class _Reading(msgspec.Struct, gc=False, rename="camel"):
    """What is read here of a statement that was checked when it was received; all else is skipped."""


class _Account(_Reading):
    home_page: str
    name: str


class _Agent(_Reading):
    mbox: str | UnsetType = UNSET
    mbox_sha1sum: str | UnsetType = msgspec.field(default=UNSET, name="mbox_sha1sum")
    openid: str | UnsetType = UNSET
    account: _Account | UnsetType = UNSET
    member: list[_Agent] | UnsetType = UNSET


class _Identified(_Reading):
    id: str


class _ContextAgent(_Reading):
    agent: Raw


class _ContextGroup(_Reading):
    group: Raw


class _Context(_Reading):
    registration: str | UnsetType = UNSET
    instructor: Raw | UnsetType = UNSET
    team: Raw | UnsetType = UNSET
    context_activities: Raw | UnsetType = UNSET
    context_agents: list[_ContextAgent] | UnsetType = UNSET
    context_groups: list[_ContextGroup] | UnsetType = UNSET


class _Object(_Agent):
    object_type: str = "Activity"
    id: str = ""
    actor: Raw | UnsetType = UNSET
    object: _Object | UnsetType = UNSET
    context: _Context | UnsetType = UNSET


class _Statement(_Reading):
    actor: Raw
    verb: Raw
    object: _Object
    context: _Context | UnsetType = UNSET


_STATEMENT: Final = msgspec.json.Decoder(_Statement)
_AGENT: Final = msgspec.json.Decoder(_Agent)
_IDENTIFIED: Final = msgspec.json.Decoder(_Identified)
_ACTIVITIES: Final = msgspec.json.Decoder(dict[str, list[_Identified] | _Identified])


def text_key(text: str) -> str:
    """Return the key of *text*: itself, or ``#`` and its digest where it is longer than 512 UTF-8 bytes."""
    if len(text) <= _SURELY_SHORT:
        return text
    encoded = text.encode()
    return text if len(encoded) <= _LONGEST else f"#{blake2b(encoded, digest_size=20).hexdigest()}"


def agent_key(agent: bytes) -> str | None:
    """Return the key of the Agent or identified Group in *agent* (JSON, checked); ``None`` for an anonymous Group."""
    return _own_key(_AGENT.decode(agent))


def derive_keys(raw: bytes, authority: bytes) -> FilterKeys:
    """Return the filter keys of a statement (xAPI-Communication 2.1.3).

    A StatementRef's target adds nothing here; ``ref`` names it. ``context.statement`` plays no part.

    :param raw: a statement as :func:`collegium_core.lrs.validation.receive` gives it.
    :param authority: the agent or group that the server vouches for, as JSON.
    """
    statement = _STATEMENT.decode(raw)
    target = statement.object
    kind = target.object_type
    verb = _verb_key(statement.verb)
    agents = _agent_keys(statement.actor)
    activities: tuple[str, ...] = ()
    ref: str | None = None
    related_agents = {*agents, *_agent_keys(authority)}
    related_activities: set[str] = set()
    if kind == "Activity":
        activities = (text_key(target.id),)
        related_activities.update(activities)
    elif kind == "StatementRef":
        ref = target.id.lower()
    elif kind == "SubStatement":
        _relate_substatement(target, related_agents, related_activities)
    else:
        agents = _sorted({*agents, *_keys_of(target)})
        related_agents.update(agents)
    context = statement.context
    registration: str | None = None
    if context is not UNSET:
        if context.registration is not UNSET:
            registration = context.registration.lower()
        _relate_context(context, related_agents, related_activities)
    return FilterKeys(
        verb=verb,
        agents=agents,
        related_agents=_sorted(related_agents),
        activities=activities,
        related_activities=_sorted(related_activities),
        registration=registration,
        ref=ref,
        voids=ref is not None and verb == VOIDED,
    )


def _relate_substatement(sub: _Object, agents: set[str], activities: set[str]) -> None:
    if sub.actor is not UNSET:
        agents.update(_agent_keys(sub.actor))
    if (target := sub.object) is not UNSET:
        if target.object_type == "Activity":
            activities.add(text_key(target.id))
        elif target.object_type != "StatementRef":
            agents.update(_keys_of(target))
    if sub.context is not UNSET:
        _relate_context(sub.context, agents, activities)


def _relate_context(context: _Context, agents: set[str], activities: set[str]) -> None:
    if context.context_activities is not UNSET:
        activities.update(_activity_keys(context.context_activities))
    if context.instructor is not UNSET:
        agents.update(_agent_keys(context.instructor))
    if context.team is not UNSET:
        agents.update(_agent_keys(context.team))
    for entry in context.context_agents or ():
        agents.update(_agent_keys(entry.agent))
    for group_entry in context.context_groups or ():
        agents.update(_agent_keys(group_entry.group))


def _remembering(derive: Callable[[bytes], tuple[str, ...]]) -> Callable[[Raw | bytes], tuple[str, ...]]:
    """Return *derive* with a memory for short documents: the same ones come again and again."""
    recall = lru_cache(maxsize=_REMEMBERED)(derive)

    def derived(raw: Raw | bytes) -> tuple[str, ...]:
        document = bytes(raw)
        return recall(document) if len(document) <= _REMEMBERED_BYTES else derive(document)

    return derived


@_remembering
def _agent_keys(document: bytes) -> tuple[str, ...]:
    return _sorted(_keys_of(_AGENT.decode(document)))


@_remembering
def _activity_keys(document: bytes) -> tuple[str, ...]:
    keys: set[str] = set()
    for around in _ACTIVITIES.decode(document).values():
        keys.update(text_key(activity.id) for activity in (around if isinstance(around, list) else (around,)))
    return tuple(keys)


@_remembering
def _verb_keys(document: bytes) -> tuple[str, ...]:
    return (text_key(_IDENTIFIED.decode(document).id),)


def _verb_key(raw: Raw) -> str:
    return _verb_keys(raw)[0]


def _keys_of(agent: _Agent) -> set[str]:
    """Return the keys of an agent, or of a group and its members."""
    keys = {_own_key(agent), *(_own_key(member) for member in agent.member or ())}
    return {key for key in keys if key is not None}


def _own_key(agent: _Agent) -> str | None:
    if agent.account is not UNSET:
        # A home page is an IRI and holds no bar, so the text can be read in one way only.
        return text_key(f"account|{agent.account.home_page}|{agent.account.name}")
    if agent.mbox is not UNSET:
        return text_key(f"mbox|{agent.mbox}")
    if agent.mbox_sha1sum is not UNSET:
        return f"mbox_sha1sum|{agent.mbox_sha1sum.lower()}"
    if agent.openid is not UNSET:
        return text_key(f"openid|{agent.openid}")
    return None


def _sorted(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(keys))
