"""The rules of a statement that types cannot say (xAPI-Data 2.2 to 2.4, 4.1 to 4.6; IEEE 9274.1.1, 4.2).

Every function notes what it finds in ``faults`` and goes on, so that a client learns all its faults at once. ``where``
is the path of the thing checked, relative to the statement.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from collegium_core.lrs.actors import check_actor, check_authority
from collegium_core.lrs.faults import Faults, shown
from collegium_core.lrs.parts import (
    CONTEXT_ACTIVITIES,
    DEFINITION,
    check_extensions,
    check_language_map,
    check_verb,
)
from collegium_core.lrs.statement import Attachment, Context, Object, Result, Score, Statement
from collegium_core.lrs.syntax import is_duration, is_iri, is_language, is_media_type, is_sha2, is_uuid
from collegium_core.lrs.versions import VersionRules

__all__ = ["VOIDED", "LoneActivities", "check_statement"]

VOIDED: Final = "http://adlnet.gov/expapi/verbs/voided"
"""The verb of voiding statements (xAPI-Data 2.3.2)."""


LoneActivities = tuple[bool, bool]
"""Whether an activity stands alone, not in a list, in the contextActivities: of the statement, of its SubStatement."""

_ACTIVITY: Final = (UNSET, "Activity")
_ACTOR_MEMBERS: Final = ("name", "mbox", "mbox_sha1sum", "openid", "account", "member")
_SUBSTATEMENT_MEMBERS: Final = ("actor", "verb", "object", "result", "context", "timestamp", "attachments")
# The members of the merged Object that are none of a kind's; an Agent's "member" is the actor check's matter.
_FOREIGN: Final = {
    "Activity": (*_ACTOR_MEMBERS, *_SUBSTATEMENT_MEMBERS),
    "Agent": ("id", "definition", *_SUBSTATEMENT_MEMBERS),
    "Group": ("id", "definition", *_SUBSTATEMENT_MEMBERS),
    "StatementRef": ("definition", *_ACTOR_MEMBERS, *_SUBSTATEMENT_MEMBERS),
    "SubStatement": ("id", "definition", *_ACTOR_MEMBERS),
}


def check_statement(statement: Statement, rules: VersionRules, faults: Faults) -> LoneActivities:
    """Check everything about *statement* by *rules*.

    :raises msgspec.DecodeError: a part holds an escape that is no character.
    :raises UnicodeDecodeError: a part is not UTF-8.
    :raises RecursionError: a part is nested too deeply to be read.
    """
    if (statement_id := statement.id) is not UNSET and not is_uuid(statement_id):
        faults.add(".id", f"{shown(statement_id)} is not a UUID")
    check_actor(statement.actor, ".actor", faults)
    check_verb(statement.verb, ".verb", faults)
    target = statement.object
    in_substatement = _check_object(target, ".object", rules, faults)
    if statement.verb.id == VOIDED and target.object_type != "StatementRef":
        faults.add(".object", "a voiding statement's object must be a StatementRef (xAPI-Data 2.3.2)")
    if (result := statement.result) is not UNSET:
        _check_result(result, ".result", faults)
    context = statement.context
    in_context = context is not UNSET and _check_context(context, target, ".context", rules, faults)
    timestamp = statement.timestamp
    if timestamp is None:
        if not rules.null_timestamp:
            faults.add(".timestamp", "must be a string, not null")
    elif timestamp is not UNSET and not rules.is_timestamp(timestamp):
        faults.add(".timestamp", f"{shown(timestamp)} is not {rules.timestamp_format}")
    if (attachments := statement.attachments) is not UNSET:
        _check_attachments(attachments, ".attachments", faults)
    if (version := statement.version) is not UNSET and not rules.is_version(version):
        faults.add(".version", f"{shown(version)} is not {rules.expected_version}")
    if (stored := statement.stored) is not UNSET and not rules.is_timestamp(stored):
        faults.add(".stored", f"{shown(stored)} is not {rules.timestamp_format}")
    if (authority := statement.authority) is not UNSET:
        check_authority(authority, ".authority", faults)
    return in_context, in_substatement


def _check_object(target: Object, where: str, rules: VersionRules, faults: Faults, *, inner: bool = False) -> bool:
    """Check the object; return whether it is a SubStatement in which an activity stands alone."""
    if (kind := target.object_type) is UNSET:
        kind = "Activity"
    if kind != "Activity" or not _is_bare_activity(target):
        _check_foreign_members(target, kind, where, faults)
    if kind == "Activity":
        if (activity_id := target.id) is UNSET:
            faults.add(f"{where}.id", "is required")
        elif not is_iri(activity_id):
            faults.add(f"{where}.id", f"{shown(activity_id)} is not an absolute IRI")
        if (definition := target.definition) is not UNSET:
            DEFINITION.examine(definition, f"{where}.definition", faults)
    elif kind == "StatementRef":
        if target.id is UNSET:
            faults.add(f"{where}.id", "is required")
        elif not is_uuid(target.id):
            faults.add(f"{where}.id", f"{shown(target.id)} is not a UUID")
    elif kind != "SubStatement":
        check_actor(target, where, faults)
    elif inner:
        faults.add(where, "a SubStatement must not hold a SubStatement (xAPI-Data 2.4.4.3)")
    else:
        return _check_substatement(target, where, rules, faults)
    return False


def _is_bare_activity(target: Object) -> bool:
    # Written out, because it is asked of nearly every statement: a loop over names takes five times as long.
    return (
        target.name is UNSET
        and target.mbox is UNSET
        and target.mbox_sha1sum is UNSET
        and target.openid is UNSET
        and target.account is UNSET
        and target.member is UNSET
        and target.actor is UNSET
        and target.verb is UNSET
        and target.object is UNSET
        and target.result is UNSET
        and target.context is UNSET
        and target.timestamp is UNSET
        and target.attachments is UNSET
    )


def _check_foreign_members(target: Object, kind: str, where: str, faults: Faults) -> None:
    written = dict(zip(target.__struct_fields__, target.__struct_encode_fields__, strict=True))
    for name in _FOREIGN[kind]:
        if getattr(target, name) is not UNSET:
            faults.add(f"{where}.{written[name]}", f"is not a property of a {kind}")


def _check_substatement(sub: Object, where: str, rules: VersionRules, faults: Faults) -> bool:
    lone = False
    if sub.actor is UNSET:
        faults.add(f"{where}.actor", "is required")
    else:
        check_actor(sub.actor, f"{where}.actor", faults)
    if sub.verb is UNSET:
        faults.add(f"{where}.verb", "is required")
    else:
        check_verb(sub.verb, f"{where}.verb", faults)
    if sub.object is UNSET:
        faults.add(f"{where}.object", "is required")
    else:
        _check_object(sub.object, f"{where}.object", rules, faults, inner=True)
        if sub.context is not UNSET:
            lone = _check_context(sub.context, sub.object, f"{where}.context", rules, faults)
    if sub.result is not UNSET:
        _check_result(sub.result, f"{where}.result", faults)
    if sub.timestamp is not UNSET and not rules.is_timestamp(sub.timestamp):
        faults.add(f"{where}.timestamp", f"{shown(sub.timestamp)} is not {rules.timestamp_format}")
    if sub.attachments is not UNSET:
        _check_attachments(sub.attachments, f"{where}.attachments", faults)
    return lone


def _check_result(result: Result, where: str, faults: Faults) -> None:
    if (score := result.score) is not UNSET:
        _check_score(score, f"{where}.score", faults)
    if (duration := result.duration) is not UNSET and not is_duration(duration):
        faults.add(f"{where}.duration", f"{shown(duration)} is not an ISO 8601 duration")
    if (extensions := result.extensions) is not UNSET:
        check_extensions(extensions, f"{where}.extensions", faults)


def _check_score(score: Score, where: str, faults: Faults) -> None:
    if score.scaled is not UNSET:
        if score.scaled > 1:
            faults.add(f"{where}.scaled", f"{shown(score.scaled)} is greater than 1")
        elif score.scaled < -1:
            faults.add(f"{where}.scaled", f"{shown(score.scaled)} is less than -1")
    if score.raw is not UNSET:
        if score.max is not UNSET and score.raw > score.max:
            faults.add(f"{where}.raw", f"{shown(score.raw)} is greater than max, which is {shown(score.max)}")
        if score.min is not UNSET and score.raw < score.min:
            faults.add(f"{where}.raw", f"{shown(score.raw)} is less than min, which is {shown(score.min)}")
    if score.min is not UNSET and score.max is not UNSET and score.min > score.max:
        faults.add(f"{where}.min", f"{shown(score.min)} is greater than max, which is {shown(score.max)}")


def _check_context(  # noqa: C901 - one question per member
    context: Context, target: Object, where: str, rules: VersionRules, faults: Faults
) -> bool:
    """Check the context of a statement about *target*; return whether an activity stands alone in it."""
    lone = False
    if (registration := context.registration) is not UNSET and not is_uuid(registration):
        faults.add(f"{where}.registration", f"{shown(registration)} is not a UUID")
    if (instructor := context.instructor) is not UNSET:
        check_actor(instructor, f"{where}.instructor", faults)
    if (team := context.team) is not UNSET:
        if team.object_type != "Group":
            faults.add(f"{where}.team", "must be a Group")
        check_actor(team, f"{where}.team", faults)
    if (activities := context.context_activities) is not UNSET:
        lone = CONTEXT_ACTIVITIES.examine(activities, f"{where}.contextActivities", faults) or False
    if target.object_type not in _ACTIVITY:
        if context.revision is not UNSET:
            faults.add(f"{where}.revision", "is allowed only where the object is an Activity")
        if context.platform is not UNSET:
            faults.add(f"{where}.platform", "is allowed only where the object is an Activity")
    if (language := context.language) is not UNSET and not is_language(language):
        faults.add(f"{where}.language", f"{shown(language)} is not a language tag (RFC 5646)")
    if (reference := context.statement) is not UNSET and not is_uuid(reference.id):
        faults.add(f"{where}.statement.id", f"{shown(reference.id)} is not a UUID")
    if (extensions := context.extensions) is not UNSET:
        check_extensions(extensions, f"{where}.extensions", faults)
    if context.context_agents is not UNSET or context.context_groups is not UNSET:
        _check_participants(context, where, rules, faults)
    return lone


def _check_participants(context: Context, where: str, rules: VersionRules, faults: Faults) -> None:
    """Check contextAgents and contextGroups (IEEE 9274.1.1, 4.2.2)."""
    if not rules.context_participants:
        for name, present in (("contextAgents", context.context_agents), ("contextGroups", context.context_groups)):
            if present is not UNSET:
                faults.add(f"{where}.{name}", f"is not a property of xAPI {rules.name}")
        return
    for index, entry in enumerate(context.context_agents or ()):
        path = f"{where}.contextAgents[{index}]"
        if entry.agent.object_type == "Group":
            faults.add(f"{path}.agent", "must be an Agent")
        check_actor(entry.agent, f"{path}.agent", faults)
        _check_relevant_types(entry.relevant_types, f"{path}.relevantTypes", faults)
    for index, group_entry in enumerate(context.context_groups or ()):
        path = f"{where}.contextGroups[{index}]"
        if group_entry.group.object_type != "Group":
            faults.add(f"{path}.group", "must be a Group")
        check_actor(group_entry.group, f"{path}.group", faults)
        _check_relevant_types(group_entry.relevant_types, f"{path}.relevantTypes", faults)


def _check_relevant_types(types: list[str] | UnsetType, where: str, faults: Faults) -> None:
    if types is UNSET:
        return
    if not types:
        faults.add(where, "must not be empty")
    for index, text in enumerate(types):
        if not is_iri(text):
            faults.add(f"{where}[{index}]", f"{shown(text)} is not an absolute IRI")


def _check_attachments(attachments: list[Attachment], where: str, faults: Faults) -> None:
    for index, attachment in enumerate(attachments):
        path = f"{where}[{index}]"
        if not is_iri(attachment.usage_type):
            faults.add(f"{path}.usageType", f"{shown(attachment.usage_type)} is not an absolute IRI")
        check_language_map(attachment.display, f"{path}.display", faults)
        if attachment.description is not UNSET:
            check_language_map(attachment.description, f"{path}.description", faults)
        if not is_media_type(attachment.content_type):
            faults.add(f"{path}.contentType", f"{shown(attachment.content_type)} is not a media type")
        if attachment.length < 0:
            faults.add(f"{path}.length", f"{shown(attachment.length)} is less than 0")
        if not is_sha2(attachment.sha2):
            faults.add(f"{path}.sha2", f"{shown(attachment.sha2)} is not a SHA-2 in hexadecimal digits")
        if attachment.file_url is not UNSET and not is_iri(attachment.file_url):
            faults.add(f"{path}.fileUrl", f"{shown(attachment.file_url)} is not an absolute IRL")
