"""A statement as it is decoded, to be checked: the shapes of xAPI-Data 2.4.

The standard lets ``objectType`` be absent, which a tagged union cannot say. So what shares a place is *merged*: one
:class:`Actor` for Agent and Group, one :class:`Object` for all five kinds of object; which members belong to which kind
is checked afterwards (:mod:`collegium_core.lrs.checks`). Absent is ``UNSET``, so that null is refused (xAPI-Data 2.2),
and unknown members are refused everywhere but inside extensions. Texts are plain ``str``: their forms are checked
afterwards too, which costs a fifth of patterns in the types.

What is large and repeats from statement to statement (the object's definition, contextActivities) stays
:class:`msgspec.Raw` here: :mod:`collegium_core.lrs.parts` decodes and checks it, and remembers the bytes that it found
good; :mod:`collegium_core.lrs.whole` sees to the rare ones that a second member of the same name replaces.

Extension values are decoded, not skipped: so what no reader could represent (a number beyond the range of a double with
an exponent, an integer of more than 4,300 digits) is refused here, once.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

__all__ = [
    "Account",
    "Activity",
    "Actor",
    "Attachment",
    "Context",
    "ContextActivities",
    "ContextAgent",
    "ContextGroup",
    "Definition",
    "InteractionComponent",
    "Object",
    "Result",
    "Score",
    "Statement",
    "StatementRef",
    "Verb",
]

LanguageMap = dict[str, str]
Extensions = dict[str, Any]


class _Shape(msgspec.Struct, gc=False, forbid_unknown_fields=True, rename="camel"):
    """What all shapes have in common."""


class Account(_Shape):
    """An account on a system (xAPI-Data 2.4.2.4)."""

    home_page: str
    name: str


class Actor(_Shape):
    """An Agent or a Group (xAPI-Data 2.4.2)."""

    object_type: Literal["Agent", "Group"] | UnsetType = UNSET
    name: str | UnsetType = UNSET
    mbox: str | UnsetType = UNSET
    mbox_sha1sum: str | UnsetType = msgspec.field(default=UNSET, name="mbox_sha1sum")
    openid: str | UnsetType = UNSET
    account: Account | UnsetType = UNSET
    member: "list[Actor] | UnsetType" = UNSET


class Verb(_Shape):
    """A verb (xAPI-Data 2.4.3)."""

    id: str
    display: LanguageMap | UnsetType = UNSET


class InteractionComponent(_Shape):
    """One choice, step, … of an interaction (xAPI-Data 2.4.4.1)."""

    id: str
    description: LanguageMap | UnsetType = UNSET


class Definition(_Shape):
    """An activity's definition, interactions included (xAPI-Data 2.4.4.1)."""

    name: LanguageMap | UnsetType = UNSET
    description: LanguageMap | UnsetType = UNSET
    type: str | UnsetType = UNSET
    more_info: str | UnsetType = UNSET
    extensions: Extensions | UnsetType = UNSET
    interaction_type: (
        Literal[
            "true-false",
            "choice",
            "fill-in",
            "long-fill-in",
            "matching",
            "performance",
            "sequencing",
            "likert",
            "numeric",
            "other",
        ]
        | UnsetType
    ) = UNSET
    correct_responses_pattern: list[str] | UnsetType = UNSET
    choices: list[InteractionComponent] | UnsetType = UNSET
    scale: list[InteractionComponent] | UnsetType = UNSET
    source: list[InteractionComponent] | UnsetType = UNSET
    target: list[InteractionComponent] | UnsetType = UNSET
    steps: list[InteractionComponent] | UnsetType = UNSET


class Activity(_Shape):
    """An activity where nothing else may stand: in contextActivities."""

    id: str
    object_type: Literal["Activity"] | UnsetType = UNSET
    definition: Definition | UnsetType = UNSET


class StatementRef(_Shape):
    """A reference to a statement where nothing else may stand: in ``context.statement``."""

    object_type: Literal["StatementRef"]
    id: str


class Score(_Shape):
    """A score (xAPI-Data 2.4.5.1); whole numbers stay whole, so that comparing them is exact."""

    scaled: int | float | UnsetType = UNSET
    raw: int | float | UnsetType = UNSET
    min: int | float | UnsetType = UNSET
    max: int | float | UnsetType = UNSET


class Result(_Shape):
    """A result (xAPI-Data 2.4.5)."""

    score: Score | UnsetType = UNSET
    success: bool | UnsetType = UNSET
    completion: bool | UnsetType = UNSET
    response: str | UnsetType = UNSET
    duration: str | UnsetType = UNSET
    extensions: Extensions | UnsetType = UNSET


class ContextActivities(_Shape):
    """The four lists of activities around a statement; a single activity may stand for a list (xAPI-Data 2.4.6.2)."""

    parent: list[Activity] | Activity | UnsetType = UNSET
    grouping: list[Activity] | Activity | UnsetType = UNSET
    category: list[Activity] | Activity | UnsetType = UNSET
    other: list[Activity] | Activity | UnsetType = UNSET


class ContextAgent(_Shape):
    """An agent around a statement (IEEE 9274.1.1, 4.2.2)."""

    object_type: Literal["contextAgent"]
    agent: Actor
    relevant_types: list[str] | UnsetType = UNSET


class ContextGroup(_Shape):
    """A group around a statement (IEEE 9274.1.1, 4.2.2)."""

    object_type: Literal["contextGroup"]
    group: Actor
    relevant_types: list[str] | UnsetType = UNSET


class Context(_Shape):
    """A context (xAPI-Data 2.4.6; ``contextAgents`` and ``contextGroups`` since 2.0)."""

    registration: str | UnsetType = UNSET
    instructor: Actor | UnsetType = UNSET
    team: Actor | UnsetType = UNSET
    context_activities: Raw | UnsetType = UNSET  # ContextActivities
    revision: str | UnsetType = UNSET
    platform: str | UnsetType = UNSET
    language: str | UnsetType = UNSET
    statement: StatementRef | UnsetType = UNSET
    extensions: Extensions | UnsetType = UNSET
    context_agents: list[ContextAgent] | UnsetType = UNSET
    context_groups: list[ContextGroup] | UnsetType = UNSET


class Attachment(_Shape):
    """What is said of an attachment (xAPI-Data 2.4.11); ``length`` is in octets."""

    usage_type: str
    display: LanguageMap
    content_type: str
    length: int
    sha2: str
    description: LanguageMap | UnsetType = UNSET
    file_url: str | UnsetType = UNSET


class Object(_Shape):
    """The object of a statement: an Activity, Agent, Group, SubStatement or StatementRef (xAPI-Data 2.4.4)."""

    object_type: Literal["Activity", "Agent", "Group", "SubStatement", "StatementRef"] | UnsetType = UNSET
    # an Activity's and a StatementRef's
    id: str | UnsetType = UNSET
    definition: Raw | UnsetType = UNSET  # Definition
    # an Agent's and a Group's
    name: str | UnsetType = UNSET
    mbox: str | UnsetType = UNSET
    mbox_sha1sum: str | UnsetType = msgspec.field(default=UNSET, name="mbox_sha1sum")
    openid: str | UnsetType = UNSET
    account: Account | UnsetType = UNSET
    member: list[Actor] | UnsetType = UNSET
    # a SubStatement's
    actor: Actor | UnsetType = UNSET
    verb: Verb | UnsetType = UNSET
    object: "Object | UnsetType" = UNSET
    result: Result | UnsetType = UNSET
    context: Context | UnsetType = UNSET
    timestamp: str | UnsetType = UNSET
    attachments: list[Attachment] | UnsetType = UNSET


class Statement(_Shape):
    """A statement (xAPI-Data 2.4). ``timestamp`` may be null, which only xAPI 2.0 takes."""

    actor: Actor
    verb: Verb
    object: Object
    id: str | UnsetType = UNSET
    result: Result | UnsetType = UNSET
    context: Context | UnsetType = UNSET
    timestamp: str | UnsetType | None = UNSET
    stored: str | UnsetType = UNSET
    authority: Actor | UnsetType = UNSET
    version: str | UnsetType = UNSET
    attachments: list[Attachment] | UnsetType = UNSET
