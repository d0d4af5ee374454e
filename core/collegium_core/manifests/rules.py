"""What a schema cannot say, as pairs: the expression that the API server runs (CEL) and the function that we run.

A rule stands at a place of the object (``("spec", "authentication", "*")``: at each item). ``holds`` gets the value
there, and for a transition rule the value before; both spellings are held together by one table of examples.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from collegium_core.tenancy.names import RESERVED

__all__ = ["MAX_OBJECT_NAME", "TENANT_RULES", "Rule"]

MAX_OBJECT_NAME: Final = 40
"""Longest ``metadata.name`` of a Tenant: it is a label of what the operator makes, with room for prefixes."""

Value = Mapping[str, Any]


class Rule(msgspec.Struct, frozen=True):
    """One rule: where it stands, what it asks, what it says when it is broken."""

    at: tuple[str, ...]
    cel: str
    message: str
    holds: Callable[[Value, Value | None], bool]

    @property
    def transition(self) -> bool:
        """Whether the rule compares with the object before the change, and is silent on creation."""
        return "oldSelf" in self.cel


_RESERVED: Final = ", ".join(f"'{word}'" for word in sorted(RESERVED))
# One character of a name, and one that may begin or end it; RE2 knows the Unicode classes that Python's re lacks.
_INNER: Final = r"[^/\\%?#.\"<>\p{C}\p{Zl}\p{Zp}]"
_OUTER: Final = r"[^/\\%?#.\"<>\p{C}\p{Z}]"
_NOWHERE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_IDENTIFIERS: Final = ("mbox", "mbox_sha1sum", "openid", "account")


def _is_spelled_well(name: str) -> bool:
    """Return whether *name* fits the pattern of the rule on ``name``."""
    if any(character in '/\\%?#."<>' or _category(character) in _NOWHERE for character in name):
        return False
    return not any(_category(end).startswith("Z") for end in (name[:1], name[-1:]) if end)


def _category(character: str) -> str:
    return unicodedata.category(character)


def _display(document: Value) -> str:
    name: str = document["spec"].get("name", document["metadata"]["name"])
    return name


def _kept(field: str) -> Callable[[Value, Value | None], bool]:
    """Return the rule that *field* is as it was, also where it is left out."""
    return lambda value, before: before is None or value.get(field) == before.get(field)


def _immutable(field: str) -> str:
    return f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"


TENANT_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        at=(),
        cel=f"size(self.metadata.name) <= {MAX_OBJECT_NAME}",
        message=f"metadata.name of a Tenant has at most {MAX_OBJECT_NAME} characters",
        holds=lambda value, _: len(value["metadata"]["name"]) <= MAX_OBJECT_NAME,
    ),
    Rule(
        at=(),
        cel="has(self.spec.name) || !self.metadata.name.contains('.')",
        message="metadata.name holds a full stop, which a tenant's name in the API must not: set spec.name",
        holds=lambda value, _: "name" in value["spec"] or "." not in value["metadata"]["name"],
    ),
    Rule(
        at=(),
        cel=f"!((has(self.spec.name) ? self.spec.name.lowerAscii() : self.metadata.name) in [{_RESERVED}])",
        message="the tenant's name is a reserved word",
        holds=lambda value, _: _display(value).lower() not in RESERVED,
    ),
    Rule(
        at=("spec",),
        cel=f"!has(self.name) || self.name.matches(r'^{_OUTER}({_INNER}*{_OUTER})?$')",
        message='name must not hold / \\ % ? # . " < > or control characters, nor begin or end with white space',
        holds=lambda value, _: "name" not in value or _is_spelled_well(value["name"]),
    ),
    Rule(
        at=("spec",),
        cel=_immutable("name"),
        message="name cannot be changed, set or unset once the Tenant exists",
        holds=_kept("name"),
    ),
    Rule(
        at=("spec",),
        cel=_immutable("storage"),
        message="storage cannot be changed, set or unset once the Tenant exists",
        holds=_kept("storage"),
    ),
    Rule(
        at=("spec", "authentication", "*", "agent"),
        cel=f"[{', '.join(f'has(self.{name})' for name in _IDENTIFIERS)}].filter(given, given).size() == 1",
        message="an agent has exactly one of mbox, mbox_sha1sum, openid and account",
        holds=lambda value, _: sum(name in value for name in _IDENTIFIERS) == 1,
    ),
)
