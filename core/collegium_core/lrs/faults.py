"""Saying what is wrong with a statement, and where: paths, values fit to be shown, the decoder's findings in words."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from collegium_core.errors import BadRequest, FieldError

__all__ = ["MAX_FAULTS", "Faults", "not_json", "refuse", "shown", "structural_fault"]

MAX_FAULTS: Final = 20
"""So many faults are told at most; what comes after is not looked at."""

_SHOWN_CHARACTERS: Final = 80
_PLACE: Final = re.compile(r"^(?P<finding>.*?)(?: - at `(?P<in_key>key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_TYPES: Final = re.compile(r"Expected `(.*)`, got `(.*)`")
_ENUM: Final = re.compile(r"Invalid enum value (.*)", re.DOTALL)
_STEP: Final = re.compile(r"\.([A-Za-z0-9_]+)|\[([0-9]+)\]|(\[\.\.\.\])")
_WORDS: Final = {
    "str": "a string",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "object": "an object",
    "array": "an array",
    "null": "null",
}
_FINDINGS: Final = {
    "Number out of range": "a number is beyond what a double can hold (1.8e308)",
    "Integer value out of range": "an integer has more than 4,300 digits",
}
_TRUNCATED: Final = "Input data was truncated"


class Faults:
    """The faults of a statement, in the order found; paths are relative to it (``.result.score.scaled``)."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[FieldError] = []

    def add(self, path: str, detail: str) -> None:
        """Note that *detail* is wrong at *path*."""
        self.found.append(FieldError(path, detail))

    def take(self) -> list[FieldError]:
        """Return what was found and begin anew."""
        found, self.found = self.found, []
        return found


def shown(value: object) -> str:
    """Return *value* as JSON for a message, cut to a bearable length."""
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):
        text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def refuse(faults: list[FieldError]) -> BadRequest:
    """Return the answer that tells *faults*: the first in the detail, all of them in the list."""
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return BadRequest(f"{first.path}: {first.detail}{more}", errors=faults)


def not_json(error: msgspec.DecodeError | UnicodeDecodeError) -> BadRequest:
    """Return the answer to a body that no decoder can read."""
    if isinstance(error, UnicodeDecodeError):
        return BadRequest(f"the body is not UTF-8: {error.reason}")
    finding = str(error).removeprefix("JSON is malformed: ")
    if finding == _TRUNCATED:
        finding = "it ends too early, or an escape in it is half of a surrogate pair"
    return BadRequest(f"the body is not JSON: {finding}")


def structural_fault(error: msgspec.ValidationError, document: bytes) -> FieldError:
    """Return in our words, with a relative path, what the decoder found wrong in *document*."""
    match = _PLACE.match(str(error))
    finding, path = (match["finding"], match["path"] or "") if match else (str(error), "")
    if unknown := _UNKNOWN.fullmatch(finding):
        return FieldError(f"{path}.{unknown[1][:_SHOWN_CHARACTERS]}", "is not a property that may stand here")
    if missing := _MISSING.fullmatch(finding):
        return FieldError(f"{path}.{missing[1]}", "is required")
    if types := _TYPES.fullmatch(finding):
        names = types[1].split(" | ")
        wanted = " or ".join(_WORDS.get(name, name) for name in names if name != "int" or "float" not in names)
        finding = f"must be {wanted}, not {_WORDS.get(types[2], types[2])}"
    elif enum := _ENUM.fullmatch(finding):
        finding = f"{enum[1][:_SHOWN_CHARACTERS]} is not one of the values that may stand here"
    else:
        finding = _FINDINGS.get(finding, finding)
    return FieldError(_name_keys(path, document), finding)


def _name_keys(path: str, document: bytes) -> str:
    """Return *path* with every ``[...]``, by which the decoder means some member of a map, replaced by the member."""
    if "[...]" not in path:
        return path
    try:
        return _follow(path, msgspec.json.decode(document))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError, AttributeError):
        # Not to be read whole, or a member stands twice and the fault was in the first: the map's own path must do.
        return path.replace("[...]", "")


def _follow(path: str, place: Any) -> str:
    named = ""
    for name, index, any_key in _STEP.findall(path):
        if any_key:
            # Only language maps have typed values: the first that is no string is the one that was found.
            key = next((key for key, value in place.items() if not isinstance(value, str)), None)
            if key is None:
                return named
            named += f"[{shown(key)}]"
            place = place[key]
        elif index:
            named += f"[{index}]"
            place = place[int(index)]
        else:
            named += f".{name}"
            place = place[name]
    return named
