"""Under which keys a statement is found (rules 54, 75, 76)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from collegium_core.lrs.keys import FilterKeys, agent_key, derive_keys, text_key
from collegium_core.lrs.query import parse_query

ID = "AA97B177-9383-4934-8543-0F91A7A02836"
AUTHORITY: dict[str, Any] = {"account": {"homePage": "http://example.org", "name": "server"}}
SERVER = "account|http://example.org|server"
VERB = "http://example.org/v"
PLAIN: dict[str, Any] = {"actor": {"mbox": "mailto:a@x"}, "verb": {"id": VERB}, "object": {"id": "o:1"}}


def mbox(name: str) -> dict[str, Any]:
    return {"objectType": "Agent", "mbox": f"mailto:{name}@x"}


def derived(authority: dict[str, Any] = AUTHORITY, **members: Any) -> FilterKeys:
    return derive_keys(json.dumps(PLAIN | members).encode(), json.dumps(authority).encode())


def keys(*names: str) -> list[str]:
    return sorted(f"mbox|mailto:{name}@x" for name in names)


CONTEXT: dict[str, Any] = {
    "registration": ID,
    "instructor": mbox("instructor"),
    "team": {"objectType": "Group", "mbox": "mailto:team@x", "member": [mbox("member")]},
    "contextActivities": {
        "parent": [{"id": "p:1"}, {"id": "p:2"}],
        "grouping": {"id": "g:1"},
        "category": [],
        "other": [{"id": "o:1"}],
    },
    "statement": {"objectType": "StatementRef", "id": ID},
    "contextAgents": [{"objectType": "contextAgent", "agent": mbox("ca")}],
    "contextGroups": [{"objectType": "contextGroup", "group": {"objectType": "Group", "member": [mbox("cg")]}}],
}
ROUND = ["instructor", "team", "member", "ca", "cg"]


def test_a_plain_statement() -> None:
    """Actor, verb and activity; the authority counts among the related agents."""
    assert (
        FilterKeys(
            verb=VERB,
            agents=("mbox|mailto:a@x",),
            related_agents=(SERVER, "mbox|mailto:a@x"),
            activities=("o:1",),
            related_activities=("o:1",),
        )
        == derived()
    )


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ({"mbox": "mailto:A@x"}, "mbox|mailto:A@x"),
        ({"mbox_sha1sum": "ABCD" * 10}, "mbox_sha1sum|" + "abcd" * 10),
        ({"openid": "http://a/"}, "openid|http://a/"),
        ({"account": {"homePage": "http://a", "name": "b|c"}}, "account|http://a|b|c"),
        ({"objectType": "Group", "mbox": "mailto:g@x", "name": "G"}, "mbox|mailto:g@x"),
        ({"objectType": "Group", "member": [mbox("a")]}, None),
    ],
)
def test_the_key_of_an_agent_is_its_identifier(agent: dict[str, Any], expected: str | None) -> None:
    """Name and type play no part; an anonymous group has no key."""
    assert expected == agent_key(json.dumps(agent).encode())


def test_rule_75_agents_are_actor_object_and_members() -> None:
    """The plain agent filter finds actor and object, and a group by its own identifier and by any member."""
    actor = {"objectType": "Group", "mbox": "mailto:g@x", "member": [mbox("m1"), mbox("m2")]}
    assert keys("g", "m1", "m2") == list(derived(actor=actor).agents)
    found = derived(object={"objectType": "Group", "member": [mbox("m1"), mbox("a")]})
    assert keys("a", "m1") == list(found.agents)
    assert () == found.activities == found.related_activities
    assert keys("a", "b") == list(derived(object=mbox("b")).agents)


def test_rule_76_what_is_related() -> None:
    """Around the statement: instructor, team, context agents and groups, authority; all contextActivities."""
    found = derived(context=CONTEXT)
    assert keys("a") == list(found.agents)
    assert [SERVER, *keys("a", *ROUND)] == list(found.related_agents)
    assert ("o:1",) == found.activities
    assert ("g:1", "o:1", "p:1", "p:2") == found.related_activities
    assert ID.lower() == found.registration
    assert found.ref is None


def test_rule_76_within_a_substatement() -> None:
    """All of a SubStatement is related, nothing of it plain; its registration is not the statement's."""
    sub = {
        "objectType": "SubStatement",
        "actor": mbox("s"),
        "verb": {"id": "v:2"},
        "object": mbox("so"),
        "context": CONTEXT,
    }
    found = derived(object=sub)
    assert keys("a") == list(found.agents)
    assert [SERVER, *keys("a", "s", "so", *ROUND)] == list(found.related_agents)
    assert () == found.activities
    assert ("g:1", "o:1", "p:1", "p:2") == found.related_activities
    assert found.registration is None
    assert VERB == found.verb
    assert ("so:1",) == derived(object=sub | {"object": {"id": "so:1"}, "context": {}}).related_activities
    assert (
        ()
        == derived(object=sub | {"object": {"objectType": "StatementRef", "id": ID}, "context": {}}).related_activities
    )


def test_rule_54_a_reference_is_noted() -> None:
    """A StatementRef object is noted in lower case, voiding only with the verb; context.statement is not."""
    target = {"objectType": "StatementRef", "id": ID}
    found = derived(object=target)
    assert (ID.lower(), False) == (found.ref, found.voids)
    assert () == found.activities
    assert derived(object=target, verb={"id": "http://adlnet.gov/expapi/verbs/voided"}).voids
    assert not derived(verb={"id": "http://adlnet.gov/expapi/verbs/voided"}).voids


def test_an_authority_of_two_counts_with_both_members() -> None:
    """An OAuth consumer and its user are both found."""
    authority = {"objectType": "Group", "member": [AUTHORITY, mbox("user")]}
    assert [SERVER, *keys("a", "user")] == list(derived(authority).related_agents)


@pytest.mark.parametrize(("length", "digested"), [(128, False), (512, False), (513, True), (60_000, True)])
def test_a_long_text_becomes_a_digest(length: int, *, digested: bool) -> None:
    """Above 512 UTF-8 bytes the key is a digest, in statement and query alike, so that every store takes it."""
    text = "x:" + "y" * (length - 2)
    key = text_key(text)
    assert digested == (key != text)
    assert len(key.encode()) <= 512
    assert digested == key.startswith("#")
    assert key != text_key(text + "z")
    assert (key,) == derived(object={"id": text}).activities
    assert key == parse_query([("activity", text)], max_limit=10).query.activity
    assert text_key("ä" * 256) == "ä" * 256
    assert text_key("ä" * 257).startswith("#")


def test_members_that_are_none_of_its_business_are_skipped() -> None:
    """Keys are derived from what is known here; a member of a later standard does not stop indexing."""
    assert VERB == derived(future={"a": 1}, context={"future": 1}).verb
