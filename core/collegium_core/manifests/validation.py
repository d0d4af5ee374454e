"""One object against schema and rules, with the API server's verdict: defaults filled in, every fault at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from collegium_core.errors import BadRequest
from collegium_core.manifests.rules import TENANT_RULES, Rule
from collegium_core.manifests.schema import tenant_schema
from collegium_core.tenancy.names import parse_name

__all__ = ["Fault", "Path", "check_name", "check_rules", "check_schema", "check_tenant", "field_name"]

Path = tuple[str | int, ...]
"""A place in an object: names of fields and numbers of items."""

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SHOWN: Final = 60


class Fault(msgspec.Struct, frozen=True):
    """One fault: where, and what is wrong there. Values are never repeated: they may be secrets."""

    path: Path
    detail: str


def field_name(path: Path) -> str:
    """Return *path* as people write it: ``spec.authentication[0].basic``; the object itself is an empty string."""
    name = ""
    for part in path:
        if isinstance(part, int):
            name += f"[{part}]"
        elif _PLAIN.fullmatch(part):
            name += f".{part}" if name else part
        else:
            name += f"[{part[:_SHOWN]!r}]"
    return name


def check_tenant(value: Any, before: Mapping[str, Any] | None = None) -> tuple[Any, list[Fault]]:
    """Return *value*, a Tenant as read, with its defaults, and all its faults.

    *before* is the object that it replaces, defaults included; without it nothing is compared. Beyond schema and CEL
    the name is looked at as :func:`collegium_core.tenancy.names.parse_name` does, which no expression can.
    """
    faults: list[Fault] = []
    checked = check_schema(value, tenant_schema(), (), faults)
    if not faults:
        faults += check_rules(checked, before, TENANT_RULES)
    if not faults:
        faults += check_name(checked)
    return checked, faults


def check_name(tenant: Mapping[str, Any]) -> list[Fault]:
    """Return what :func:`parse_name` has against the name of a Tenant that schema and rules accept."""
    stated = "name" in tenant["spec"]
    try:
        parse_name(tenant["spec"]["name"] if stated else tenant["metadata"]["name"])
    except BadRequest as error:
        return [Fault(("spec", "name") if stated else ("metadata", "name"), error.detail)]
    return []


def check_rules(value: Mapping[str, Any], before: Mapping[str, Any] | None, rules: Iterable[Rule]) -> list[Fault]:
    """Return a fault for each of *rules* that *value* breaks; transition rules ask only where there is a *before*."""
    faults = []
    for rule in rules:
        for path, here, there in _places(value, before, rule.at, ()):
            if rule.transition and there is None:
                continue
            if not rule.holds(here, there):
                faults.append(Fault(path, rule.message))
    return faults


def _places(value: Any, before: Any, at: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if not at:
        yield path, value, before
    elif at[0] == "*":
        # Items of a list are compared by nobody: no transition rule stands below one.
        for number, item in enumerate(value):
            yield from _places(item, None, at[1:], (*path, number))
    elif at[0] in value:
        earlier = before.get(at[0]) if before is not None else None
        yield from _places(value[at[0]], earlier, at[1:], (*path, at[0]))


def check_schema(value: Any, schema: Mapping[str, Any], path: Path, faults: list[Fault]) -> Any:
    """Return *value* with the defaults of *schema*; what does not fit is appended to *faults*.

    As the API server does: a null is a field left out, an unknown field is a fault, nothing is converted. A schema
    of an object without ``properties`` and ``additionalProperties`` takes any object as it is.
    """
    wanted = schema["type"]
    if _kind(value) != wanted:
        faults.append(Fault(path, f"must be {_ARTICLE[wanted]}, is {_ARTICLE[_kind(value)]}"))
        return value
    if wanted == "object":
        return _check_object(value, schema, path, faults)
    if wanted == "array":
        return _check_array(value, schema, path, faults)
    _check_scalar(value, schema, path, faults)
    return value


_ARTICLE: Final = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
}


def _kind(value: Any) -> str:  # noqa: PLR0911 - one case per kind of value
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def _check_object(value: Mapping[str, Any], schema: Mapping[str, Any], path: Path, faults: list[Fault]) -> Any:
    if "additionalProperties" in schema:
        inner = schema["additionalProperties"]
        return {key: check_schema(item, inner, (*path, key), faults) for key, item in value.items() if item is not None}
    if "properties" not in schema:
        return value
    properties: Mapping[str, Mapping[str, Any]] = schema["properties"]
    checked: dict[str, Any] = {}
    for key, item in value.items():
        if key not in properties:
            faults.append(Fault((*path, key), f"unknown field{_suggestion(key, properties)}"))
        elif item is not None:
            checked[key] = check_schema(item, properties[key], (*path, key), faults)
    for key, inner in properties.items():
        if key in checked:
            continue
        if "default" in inner:
            checked[key] = check_schema(inner["default"], inner, (*path, key), faults)
        elif key in schema.get("required", ()):
            faults.append(Fault((*path, key), "is required"))
    return checked


def _suggestion(key: str, properties: Iterable[str]) -> str:
    known = list(properties)
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known here: {', '.join(known)}"


def _check_array(value: list[Any], schema: Mapping[str, Any], path: Path, faults: list[Fault]) -> list[Any]:
    _check_count(len(value), schema, ("minItems", "maxItems"), "items", path, faults)
    checked = [check_schema(item, schema["items"], (*path, number), faults) for number, item in enumerate(value)]
    keys = schema.get("x-kubernetes-list-map-keys")
    if keys or schema.get("x-kubernetes-list-type") == "set":
        seen: set[str] = set()
        for number, item in enumerate(checked):
            if keys and not isinstance(item, Mapping):
                continue
            identity = repr([item.get(key) for key in keys] if keys else item)
            if identity in seen:
                faults.append(
                    Fault((*path, number), f"repeats the {keys[0]} of an earlier item" if keys else "is there twice")
                )
            seen.add(identity)
    return checked


def _check_count(
    count: int, schema: Mapping[str, Any], bounds: tuple[str, str], noun: str, path: Path, faults: list[Fault]
) -> None:
    least, most = (schema.get(bound) for bound in bounds)
    if least is not None and count < least:
        faults.append(Fault(path, f"must have at least {least} {noun}"))
    if most is not None and count > most:
        faults.append(Fault(path, f"must have at most {most} {noun}, has {count}"))


def _check_scalar(value: Any, schema: Mapping[str, Any], path: Path, faults: list[Fault]) -> None:
    if "enum" in schema and value not in schema["enum"]:
        faults.append(Fault(path, f"must be one of {', '.join(schema['enum'])}"))
    if isinstance(value, str):
        _check_count(len(value), schema, ("minLength", "maxLength"), "characters", path, faults)
        if "pattern" in schema and not _pattern(schema["pattern"]).search(value):
            faults.append(Fault(path, f"must match {schema['pattern']}"))
    elif isinstance(value, int | float):
        if "minimum" in schema and value < schema["minimum"]:
            faults.append(Fault(path, f"must be at least {schema['minimum']}"))
        if "maximum" in schema and value > schema["maximum"]:
            faults.append(Fault(path, f"must be at most {schema['maximum']}"))


@lru_cache
def _pattern(pattern: str) -> re.Pattern[str]:
    # The API server's expressions are RE2: $ is the end of the text alone, \s is ASCII.
    return re.compile(re.sub(r"\$$", r"\\Z", pattern), re.ASCII)
