"""A statement as a whole and a batch of them: what must be there, what is noted, how faults are told."""

from __future__ import annotations

import json

import pytest

from collegium_core.errors import BadRequest, PayloadTooLarge
from collegium_core.lrs.record import Missing
from collegium_core.lrs.validation import Batch, receive
from collegium_testing.lrs_rules import ABSENT, AGENT, ID, PLAIN, Json, made, taken, within


@pytest.mark.parametrize("name", ["actor", "verb", "object"])
def test_a_statement_needs_actor_verb_and_object(name: str) -> None:
    """Without actor, verb or object a statement, or a SubStatement, is refused."""
    for statement, path in (
        (made({name: ABSENT}), f"statement.{name}"),
        (within({name: ABSENT}), f"statement.object.{name}"),
    ):
        with pytest.raises(BadRequest, match="is required") as caught:
            taken(statement, "1.0.3")
        assert [path] == [error.path for error in caught.value.errors]


@pytest.mark.parametrize("name", ["id", "stored", "version", "authority"])
def test_rule_18_a_substatement_has_no_members_of_a_statement_of_its_own(name: str) -> None:
    """A SubStatement with id, stored, version or authority is refused (rule 18)."""
    value = {"id": ID, "stored": "2013-05-18T05:32:34.804Z", "version": "1.0.0", "authority": AGENT}[name]
    with pytest.raises(BadRequest) as caught:
        taken(within({name: value}), "1.0.3")
    assert [f"statement.object.{name}"] == [error.path for error in caught.value.errors]


def test_rule_19_a_substatement_does_not_hold_another() -> None:
    """A SubStatement in a SubStatement is refused (rule 19)."""
    with pytest.raises(BadRequest, match=r"^statement\.object\.object: a SubStatement must not hold a SubStatement"):
        taken(within({"object": made({}) | {"objectType": "SubStatement"}}), "2.0.0")


def test_rule_29_revision_and_platform_do_not_go_with_a_substatement() -> None:
    """Context revision and platform are refused where the object is a SubStatement (rule 29)."""
    statement = within({}) | {"context": {"revision": "1", "platform": "p"}}
    with pytest.raises(BadRequest) as caught:
        taken(statement, "1.0.3")
    assert ["statement.context.revision", "statement.context.platform"] == [error.path for error in caught.value.errors]


@pytest.mark.parametrize(
    ("changes", "version", "missing", "filled"),
    [
        ({}, "1.0.3", Missing.ID | Missing.TIMESTAMP | Missing.VERSION, "1.0.0"),
        ({}, "2.0.0", Missing.ID | Missing.TIMESTAMP | Missing.VERSION, "2.0.0"),
        ({"id": ID}, "1.0.3", Missing.TIMESTAMP | Missing.VERSION, "1.0.0"),
        ({"timestamp": "2015-01-01T00:00:00Z"}, "1.0.3", Missing.ID | Missing.VERSION, "1.0.0"),
        ({"timestamp": None, "id": ID}, "2.0.0", Missing.TIMESTAMP | Missing.VERSION, "2.0.0"),
        ({"id": ID, "timestamp": "2015-01-01T00:00:00Z", "version": "1.0.9"}, "1.0.3", Missing.NOTHING, "1.0.0"),
    ],
)
def test_rules_33_35_what_is_missing_is_noted(changes: Json, version: str, missing: Missing, filled: str) -> None:
    """What the client left out and the server must fill is noted: id, timestamp, version (rules 33, 35, 36)."""
    (received,) = taken(made(changes), version).statements
    assert missing == received.missing
    assert filled == received.version


def test_rule_39_an_id_has_one_form() -> None:
    """An id in upper case is answered and kept in lower case (rule 39)."""
    (received,) = taken(made({"id": ID.upper()}), "1.0.3").statements
    assert ID == received.id
    assert ID == json.loads(received.raw)["id"]


def test_a_statement_without_an_id_gets_one() -> None:
    """Ids made by the server are UUIDs of version 7, all different."""
    body = json.dumps([PLAIN, PLAIN]).encode()
    first, second = receive(body, version="1.0.3", max_statements=2).statements
    assert first.id != second.id
    assert "7" == first.id[14] == second.id[14]
    assert 36 == len(first.id)
    (chosen,) = receive(json.dumps(PLAIN).encode(), version="1.0.3", max_statements=2, new_id=lambda: ID).statements
    assert ID == chosen.id


def test_rule_48_an_id_stands_once_in_a_batch() -> None:
    """Two statements of one id, in whatever case, are refused; the later one is named (rule 48)."""
    batch = [made({"id": ID}), PLAIN, made({"id": ID.upper()})]
    with pytest.raises(BadRequest) as caught:
        receive(json.dumps(batch).encode(), version="1.0.3", max_statements=10)
    assert [("statements[2].id", f"{ID} is the id of statements[0] too")] == [
        (error.path, error.detail) for error in caught.value.errors
    ]


def test_all_faults_of_a_batch_are_told() -> None:
    """The first fault stands in the detail, all of them, up to 20, in the list."""
    batch = [PLAIN, made({"result.score.scaled": 7}), made({"verb.id": "x", "actor": {}}), made({"foo": 1})]
    with pytest.raises(BadRequest) as caught:
        receive(json.dumps(batch).encode(), version="1.0.3", max_statements=10)
    assert "statements[1].result.score.scaled: 7 is greater than 1 (and 3 more)" == caught.value.detail
    assert [
        "statements[1].result.score.scaled",
        "statements[2].actor",
        "statements[2].verb.id",
        "statements[3].foo",
    ] == [error.path for error in caught.value.errors]
    with pytest.raises(BadRequest) as caught:
        receive(json.dumps([{}] * 50).encode(), version="1.0.3", max_statements=50)
    assert 20 == len(caught.value.errors)


def test_a_batch_has_a_most() -> None:
    """More statements than the server takes in one request are 413; exactly as many are fine."""
    body = json.dumps([PLAIN] * 3).encode()
    assert 3 == len(receive(body, version="1.0.3", max_statements=3).statements)
    with pytest.raises(PayloadTooLarge, match=r"^3 statements in one request; at most 2 are taken$"):
        receive(body, version="1.0.3", max_statements=2)


def test_single_and_list_are_told_apart() -> None:
    """One statement is a single, a list of one is not, an empty list is a batch of none."""
    one = json.dumps(PLAIN).encode()
    assert receive(one, version="1.0.3", max_statements=1).single
    assert not receive(b"[" + one + b"]", version="1.0.3", max_statements=1).single
    assert Batch(single=False, statements=()) == receive(b" [ ] ", version="1.0.3", max_statements=1)


def test_a_version_without_rules_is_a_mistake_of_the_caller() -> None:
    """The edge understands the version header; anything else coming here is a bug and no 400."""
    with pytest.raises(ValueError, match=r"^no rules for xAPI version '1\.0'$"):
        receive(b"[]", version="1.0", max_statements=1)
