"""The rules of verbs, definitions and contextActivities (xAPI-Data 2.4.3, 2.4.4.1, 2.4.6.2).

A client sends the same few of these with every statement. So the bytes of definitions and contextActivities, once found
good, are remembered, and the next time they cost one look-up instead of a decoding and thirty questions. What is
remembered is bounded in number and size.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Raw

from collegium_core.lrs.faults import Faults, shown, structural_fault
from collegium_core.lrs.statement import Activity, ContextActivities, Definition, InteractionComponent, Verb
from collegium_core.lrs.syntax import are_iris, are_languages, is_iri, is_language

__all__ = [
    "CONTEXT_ACTIVITIES",
    "DEFINITION",
    "MAX_DEPTH",
    "Part",
    "check_extensions",
    "check_language_map",
    "check_verb",
]

MAX_DEPTH: Final = 256
"""So deep may objects and arrays be nested within one extension value; deeper ones would be refused by some reader."""

_REMEMBERED_PARTS: Final = 2048
_REMEMBERED_BYTES: Final = 1024
_COMPONENTS: Final = ("choices", "scale", "source", "target", "steps")
_interaction: Final = attrgetter("interaction_type", "correct_responses_pattern", *_COMPONENTS)
_NO_INTERACTION: Final = (UNSET,) * (len(_COMPONENTS) + 2)
_COMPONENTS_OF: Final = {
    "choice": ("choices",),
    "sequencing": ("choices",),
    "likert": ("scale",),
    "matching": ("source", "target"),
    "performance": ("steps",),
}

ShapeT = TypeVar("ShapeT", bound=msgspec.Struct)
NoteT = TypeVar("NoteT")


class Part(Generic[ShapeT, NoteT]):
    """One kind of part: how it is decoded and checked, and what is worth knowing about a good one (its *note*)."""

    def __init__(
        self, shape: type[ShapeT], check: Callable[[ShapeT, Faults], None], note: Callable[[ShapeT], NoteT]
    ) -> None:
        self._decoder = msgspec.json.Decoder(shape)
        self._check = check
        self._note = note
        self._known: dict[bytes, NoteT] = {}

    def examine(self, raw: Raw, where: str, faults: Faults) -> NoteT | None:
        """Return the note of the part in *raw*; ``None`` after noting faults below the path *where*.

        :raises msgspec.DecodeError: it holds an escape that is no character.
        :raises UnicodeDecodeError: it is not UTF-8.
        :raises RecursionError: it is nested too deeply to be read.
        """
        document = bytes(raw)
        note = self._known.get(document)
        return self._meet(document, where, faults) if note is None else note

    def _meet(self, document: bytes, where: str, faults: Faults) -> NoteT | None:
        own = Faults()
        try:
            part = self._decoder.decode(document)
        except msgspec.ValidationError as error:
            own.found.append(structural_fault(error, document))
        else:
            self._check(part, own)
        if own.found:
            for fault in own.found:
                faults.add(where + fault.path, fault.detail)
            return None
        note = self._note(part)
        if len(document) <= _REMEMBERED_BYTES:
            if len(self._known) >= _REMEMBERED_PARTS:
                self._known.clear()
            self._known[document] = note
        return note


def check_language_map(texts: dict[str, str], where: str, faults: Faults) -> None:
    """Check a language map (xAPI-Data 4.2)."""
    if not texts:
        faults.add(where, "must have at least one language")
    if not are_languages(texts):
        for tag in texts:
            if not is_language(tag):
                faults.add(f"{where}[{shown(tag)}]", "is not a language tag (RFC 5646)")


def check_extensions(extensions: dict[str, Any], where: str, faults: Faults) -> None:
    """Check the keys of extensions, and that no value is nested beyond reading (xAPI-Data 4.1)."""
    if not are_iris(extensions):
        for key in extensions:
            if not is_iri(key):
                faults.add(f"{where}[{shown(key)}]", "is not an absolute IRI, as the keys of extensions must be")
    for key, value in extensions.items():
        if (type(value) is dict or type(value) is list) and _is_too_deep(value):
            faults.add(f"{where}[{shown(key)}]", f"is nested deeper than {MAX_DEPTH} levels")


def _is_too_deep(value: dict[str, Any] | list[Any]) -> bool:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for holder in level
            for child in (holder.values() if type(holder) is dict else holder)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def check_verb(verb: Verb, where: str, faults: Faults) -> None:
    """Check a verb (xAPI-Data 2.4.3)."""
    if not is_iri(verb.id):
        faults.add(f"{where}.id", f"{shown(verb.id)} is not an absolute IRI")
    if verb.display is not UNSET:
        check_language_map(verb.display, f"{where}.display", faults)


def _check_definition(definition: Definition, faults: Faults, where: str = "") -> None:
    if definition.name is not UNSET:
        check_language_map(definition.name, f"{where}.name", faults)
    if definition.description is not UNSET:
        check_language_map(definition.description, f"{where}.description", faults)
    if definition.type is not UNSET and not is_iri(definition.type):
        faults.add(f"{where}.type", f"{shown(definition.type)} is not an absolute IRI")
    if definition.more_info is not UNSET and not is_iri(definition.more_info):
        faults.add(f"{where}.moreInfo", f"{shown(definition.more_info)} is not an absolute IRL")
    if definition.extensions is not UNSET:
        check_extensions(definition.extensions, f"{where}.extensions", faults)
    if _interaction(definition) != _NO_INTERACTION:
        _check_interaction(definition, where, faults)


def _check_interaction(definition: Definition, where: str, faults: Faults) -> None:
    kind = definition.interaction_type
    if kind is UNSET:
        faults.add(f"{where}.interactionType", "is required where properties of interactions stand")
        return
    allowed = _COMPONENTS_OF.get(kind, ())
    for name in _COMPONENTS:
        components: list[InteractionComponent] | msgspec.UnsetType = getattr(definition, name)
        if components is UNSET:
            continue
        path = f"{where}.{name}"
        if name not in allowed:
            faults.add(path, f"is not a property of an interaction of type {kind}")
        seen: set[str] = set()
        for index, component in enumerate(components):
            if component.id in seen:
                faults.add(f"{path}[{index}].id", f"{shown(component.id)} stands twice in this list")
            seen.add(component.id)
            if component.description is not UNSET:
                check_language_map(component.description, f"{path}[{index}].description", faults)


def _check_context_activities(around: ContextActivities, faults: Faults) -> None:
    empty = True
    for name in around.__struct_fields__:
        value: list[Activity] | Activity | msgspec.UnsetType = getattr(around, name)
        if value is UNSET:
            continue
        empty = False
        if isinstance(value, Activity):
            _check_activity(value, f".{name}", faults)
        else:
            for index, activity in enumerate(value):
                _check_activity(activity, f".{name}[{index}]", faults)
    if empty:
        faults.add("", "must have one of parent, grouping, category, other")


def _check_activity(activity: Activity, where: str, faults: Faults) -> None:
    if not is_iri(activity.id):
        faults.add(f"{where}.id", f"{shown(activity.id)} is not an absolute IRI")
    if activity.definition is not UNSET:
        _check_definition(activity.definition, faults, f"{where}.definition")


def _has_lone_activity(around: ContextActivities) -> bool:
    return any(isinstance(getattr(around, name), Activity) for name in around.__struct_fields__)


DEFINITION: Final[Part[Definition, bool]] = Part(Definition, _check_definition, lambda _: True)
"""Activity definitions; the note says nothing."""

CONTEXT_ACTIVITIES: Final[Part[ContextActivities, bool]] = Part(
    ContextActivities, _check_context_activities, _has_lone_activity
)
"""contextActivities; the note is whether an activity stands alone where a list should stand."""
