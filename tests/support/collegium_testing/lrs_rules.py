"""Documents that a rule of the statement accepts or refuses, and the runs that a table of them makes.

A rule that holds for a statement holds for the parts of a SubStatement too, so most cases are run in both places.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import pytest

from collegium_core.errors import BadRequest
from collegium_core.lrs.validation import Batch, receive

__all__ = [
    "ABSENT",
    "AGENT",
    "BOTH",
    "GROUP",
    "ID",
    "IRI",
    "NEW",
    "OLD",
    "OTHER",
    "PLAIN",
    "REF",
    "TEAM",
    "Case",
    "Json",
    "definition",
    "examine",
    "made",
    "runs",
    "taken",
    "within",
]

Json = dict[str, Any]
ABSENT = object()
"""As a value in ``made``: take the member out."""

BOTH = ("1.0.3", "2.0.0")
OLD = ("1.0.3",)
NEW = ("2.0.0",)

ID = "aa97b177-9383-4934-8543-0f91a7a02836"
IRI = "http://example.org/x"
AGENT: Json = {"objectType": "Agent", "mbox": "mailto:a@example.org"}
OTHER: Json = {"account": {"homePage": "http://example.org", "name": "b"}}
GROUP: Json = {"objectType": "Group", "member": [AGENT, OTHER]}
TEAM: Json = {"objectType": "Group", "mbox": "mailto:team@example.org"}
REF: Json = {"objectType": "StatementRef", "id": ID}
PLAIN: Json = {
    "actor": {"mbox": "mailto:a@example.org"},
    "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced"},
    "object": {"id": "http://example.org/activity"},
}


class Case(NamedTuple):
    """A document that a rule accepts (``path`` is ``None``) or refuses, naming the place ``path``."""

    rule: int
    changes: Json
    path: str | None = None
    versions: tuple[str, ...] = BOTH
    in_substatement: bool = True


def made(changes: Json) -> Json:
    """Return a statement with *changes*: dotted paths to values; lists are given whole."""
    statement = copy.deepcopy(PLAIN)
    for path, value in changes.items():
        place: Any = statement
        *steps, last = path.split(".")
        for step in steps:
            place = place.setdefault(step, {})
        if value is ABSENT:
            place.pop(last, None)
        else:
            place[last] = copy.deepcopy(value)
    return statement


def within(changes: Json) -> Json:
    """Return a statement about a SubStatement with *changes*."""
    return made({"object": made(changes) | {"objectType": "SubStatement"}})


def definition(**members: Any) -> Json:
    """Return changes that give the object's definition *members*."""
    return {f"object.definition.{name}": value for name, value in members.items()}


def taken(statement: Json, version: str) -> Batch:
    """Return what becomes of *statement* under the rules of *version*."""
    return receive(json.dumps(statement).encode(), version=version, max_statements=10)


def runs(cases: Iterable[Case]) -> list[Any]:
    """Return the parameters ``statement, root, path, version`` of all runs of *cases*, named by rule."""
    everything = []
    for number, case in enumerate(cases):
        for version in case.versions:
            name = f"rule {case.rule}, case {number}, {version}"
            everything.append(pytest.param(made(case.changes), "statement", case.path, version, id=name))
            if case.in_substatement:
                everything.append(
                    pytest.param(within(case.changes), "statement.object", case.path, version, id=f"{name}, within")
                )
    return everything


def examine(statement: Json, root: str, path: str | None, version: str) -> None:
    """Assert that *statement* is accepted, or with a *path* refused with that path below *root* among the faults."""
    if path is None:
        assert len(taken(statement, version).statements) == 1
        return
    with pytest.raises(BadRequest) as caught:
        taken(statement, version)
    paths = [error.path for error in caught.value.errors]
    assert f"{root}.{path}" in paths
    assert caught.value.detail.startswith(f"{paths[0]}: ")
