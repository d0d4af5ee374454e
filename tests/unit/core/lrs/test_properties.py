"""What holds for every statement: bytes survive, comparing is an equivalence, damage is answered and never crashes."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from collegium_core.errors import BadRequest, Problem
from collegium_core.lrs.compare import equivalent
from collegium_core.lrs.keys import derive_keys
from collegium_core.lrs.record import StoredStatement
from collegium_core.lrs.validation import Batch, Received, receive
from collegium_core.lrs.whole import MAX_STATEMENT_DEPTH

AUTHORITY = b'{"account":{"homePage":"http://example.org","name":"server"}}'
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
IRIS = st.from_regex(r"[a-z]{1,5}://[a-z]{1,5}\.example/[a-z0-9é%]{0,5}", fullmatch=True).map(
    lambda x: x.replace("%", "%25")
)
UUIDS = st.uuids().map(str) | st.uuids().map(lambda x: str(x).upper())
MAPS = st.dictionaries(st.sampled_from(["en", "en-US", "de", "zh-Hans-CN", "und"]), TEXTS, min_size=1, max_size=2)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
EXTENSIONS = st.dictionaries(IRIS, VALUES, max_size=2)
AGENTS = st.one_of(
    st.fixed_dictionaries(
        {"mbox": st.just("mailto:a@example.org")}, optional={"name": TEXTS, "objectType": st.just("Agent")}
    ),
    st.fixed_dictionaries({"account": st.fixed_dictionaries({"homePage": IRIS, "name": TEXTS})}),
    st.fixed_dictionaries({"mbox_sha1sum": st.from_regex(r"[0-9a-fA-F]{40}", fullmatch=True)}),
    st.fixed_dictionaries({"openid": IRIS}),
)
GROUPS = st.fixed_dictionaries({"objectType": st.just("Group"), "member": st.lists(AGENTS, min_size=1, max_size=2)})
DEFINITIONS = st.fixed_dictionaries(
    {}, optional={"name": MAPS, "description": MAPS, "type": IRIS, "extensions": EXTENSIONS}
)
ACTIVITIES = st.fixed_dictionaries(
    {"id": IRIS}, optional={"objectType": st.just("Activity"), "definition": DEFINITIONS}
)
REFS = st.fixed_dictionaries({"objectType": st.just("StatementRef"), "id": UUIDS})
AROUND = st.dictionaries(
    st.sampled_from(["parent", "grouping", "category", "other"]),
    ACTIVITIES | st.lists(ACTIVITIES, max_size=2),
    min_size=1,
)
CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "registration": UUIDS,
        "instructor": AGENTS | GROUPS,
        "team": GROUPS,
        "contextActivities": AROUND,
        "language": st.just("de-CH"),
        "statement": REFS,
        "extensions": EXTENSIONS,
    },
)
SCORES = st.floats(-1, 1).map(lambda x: {"scaled": x}) | st.integers(-5, 5).map(
    lambda x: {"raw": x, "min": -5, "max": 5.0}
)
RESULTS = st.fixed_dictionaries(
    {},
    optional={
        "score": SCORES,
        "success": st.booleans(),
        "completion": st.booleans(),
        "response": TEXTS,
        "duration": st.sampled_from(["PT1S", "P4W", "PT1H0.123S", "P1Y2M3DT4H"]),
        "extensions": EXTENSIONS,
    },
)
TIMES = st.datetimes(timezones=st.timezones()).map(lambda x: x.replace(tzinfo=None).isoformat() + "+01:00") | st.just(
    "2015-01-01T00:00:00Z"
)
VERBS = st.fixed_dictionaries({"id": IRIS}, optional={"display": MAPS})
PARTS = {"actor": AGENTS | GROUPS, "verb": VERBS}
MORE = {"result": RESULTS, "context": CONTEXTS, "timestamp": TIMES}
SUBSTATEMENTS = st.fixed_dictionaries(
    {"objectType": st.just("SubStatement"), "object": ACTIVITIES | REFS, **PARTS}, optional=MORE
)
OBJECTS = ACTIVITIES | REFS | SUBSTATEMENTS | GROUPS | AGENTS.map(lambda x: x | {"objectType": "Agent"})
STATEMENTS = st.fixed_dictionaries(
    {"object": OBJECTS, **PARTS},
    optional=MORE | {"id": UUIDS, "version": st.just("1.0.3"), "stored": TIMES, "authority": AGENTS},
)
VERSIONS = st.sampled_from(["1.0.3", "2.0.0"])
SPELLINGS = st.sampled_from(
    [
        {"separators": (",", ":"), "ensure_ascii": False},
        {"ensure_ascii": True},
        {"indent": 2},
        {"sort_keys": True, "separators": (" , ", " : ")},
    ]
)


def received(statement: Any, version: str, spelling: dict[str, Any] | None = None) -> Any:
    body = json.dumps(statement, **spelling or {}).encode()
    return body, receive(body, version=version, max_statements=1).statements[0]


def changed_by_rule(statement: dict[str, Any]) -> bool:
    """Return whether one of the listed exceptions touches *statement*, in either version."""
    sub = statement["object"] if statement["object"].get("objectType") == "SubStatement" else {}
    lone = any(
        isinstance(value, dict)
        for part in (statement, sub)
        for value in part.get("context", {}).get("contextActivities", {}).values()
    )
    elsewhere = any(part.get("timestamp", "Z")[-1] != "Z" for part in (statement, sub))
    return (
        lone
        or elsewhere
        or bool({"stored", "authority"} & set(statement))
        or statement.get("id", "") != statement.get("id", "").lower()
    )


@given(STATEMENTS, VERSIONS, SPELLINGS)
def test_a_good_statement_is_accepted_and_its_bytes_survive(
    statement: dict[str, Any], version: str, spelling: dict[str, Any]
) -> None:
    """Accepted, however it is spelt; kept byte for byte, or where an exception applies, saying the same."""
    body, kept = received(statement, version, spelling)
    if not changed_by_rule(statement):
        assert body == kept.raw
    assert equivalent(body, kept.raw)
    # What is kept is good, needs no further change, has keys, and stays JSON when the server's members are put in.
    assert kept.raw == receive(kept.raw, version=version, max_statements=1).statements[0].raw
    keys = derive_keys(kept.raw, AUTHORITY)
    assert set(keys.agents) <= set(keys.related_agents)
    assert set(keys.activities) <= set(keys.related_activities)
    assert keys == derive_keys(body, AUTHORITY)
    exact = StoredStatement(kept.id, kept.raw, 1, 1, AUTHORITY, kept.missing, kept.version).exact()
    whole = json.loads(exact)
    assert {"id", "stored", "authority", "timestamp", "version"} <= set(whole)
    assert kept.id == whole["id"]


@given(STATEMENTS, VERSIONS)
def test_what_is_extension_is_kept_to_the_last_byte(statement: dict[str, Any], version: str) -> None:
    """Even where members around them are changed, extension values keep their spelling."""
    value = b'[1e2,-0,0.10,"\\u00e9\\/",{"a":1, "a":2}]'
    statement["result"] = {"extensions": {"http://example.org/x": "HERE"}}
    body = json.dumps(statement).encode().replace(b'"HERE"', value)
    assert value in receive(body, version=version, max_statements=1).statements[0].raw


@given(STATEMENTS, STATEMENTS, SPELLINGS)
def test_comparing_is_an_equivalence(a: dict[str, Any], b: dict[str, Any], spelling: dict[str, Any]) -> None:
    """Reflexive over spellings, symmetric; and transitive: two ways of saying b compare with a alike."""
    first, second = json.dumps(a).encode(), json.dumps(b).encode()
    other = json.dumps(b, **spelling).encode()
    assert equivalent(first, json.dumps(a, **spelling).encode())
    assert equivalent(second, other)
    assert equivalent(first, second) == equivalent(second, first) == equivalent(first, other)


@given(STATEMENTS, VERSIONS, st.randoms(use_true_random=False), st.integers(1, 4))
@settings(max_examples=150)
def test_a_damaged_body_is_accepted_or_refused(
    statement: dict[str, Any], version: str, chance: random.Random, times: int
) -> None:
    """Bytes changed, cut, doubled or thrown in at random: the outcome is a batch or a Problem, nothing else."""
    body = bytearray(json.dumps(statement).encode())
    for _ in range(times):
        at = chance.randrange(len(body))
        match chance.randrange(4):
            case 0:
                body[at] = chance.randrange(256)
            case 1:
                del body[at : at + chance.randrange(1, 20)]
            case 2:
                body[at:at] = body[at : at + chance.randrange(1, 40)]
            case _:
                body[at:at] = chance.choice([b"null", b"{}", b"[]", b'"', b"\\u", b"1e999", b"\xc3", b'"id":', b","])
        body = body or bytearray(b" ")
    _survive(bytes(body), version)


@given(STATEMENTS, VERSIONS, st.randoms(use_true_random=False), VALUES)
@settings(max_examples=150)
def test_a_misplaced_value_is_accepted_or_refused(
    statement: dict[str, Any], version: str, chance: random.Random, value: Any
) -> None:
    """Any JSON value in any place of a statement: the outcome is a batch or a Problem that names a place."""
    place: Any = statement
    while True:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if isinstance(inner, dict | list) and inner and chance.random() < 0.8:
            place = inner
            continue
        place[key] = value
        break
    _survive(json.dumps(statement).encode(), version)


@given(st.binary(max_size=200), VERSIONS)
def test_any_bytes_are_accepted_or_refused(body: bytes, version: str) -> None:
    """Nothing but a batch or a Problem comes of any bytes."""
    _survive(body, version)


def _survive(body: bytes, version: str) -> None:
    outcome: Batch | Problem
    try:
        outcome = receive(body, version=version, max_statements=5)
    except Problem as problem:
        outcome = problem
    if isinstance(outcome, Problem):
        assert isinstance(outcome, BadRequest)
        assert outcome.detail
        assert all(error.path.startswith("statement") for error in outcome.errors)
        return
    for statement in outcome.statements:
        _read(statement)


def _read(statement: Received) -> None:
    """Do with *statement* what the platform and its clients do with what is stored."""
    assert equivalent(statement.raw, statement.raw + b" ")
    assert derive_keys(statement.raw, AUTHORITY).verb
    exact = StoredStatement(statement.id, statement.raw, 1, 1, AUTHORITY, statement.missing, statement.version).exact()
    json.loads(exact.decode())
    assert depth_of(exact) <= MAX_STATEMENT_DEPTH


def depth_of(document: bytes) -> int:
    """Return how deeply *document* is nested, every one of two members counted."""
    deepest = 0

    def hold(members: Any) -> int:
        nonlocal deepest
        levels = 1 + max((measure(value) for _, value in members), default=0)
        deepest = max(deepest, levels)
        return -levels

    def measure(value: Any) -> int:
        if isinstance(value, list):
            return 1 + max(map(measure, value), default=0)
        return -value if isinstance(value, int) and value < 0 else 0

    # Numbers are of no interest, so negative ones can stand for objects and their depth.
    outer = json.loads(document, object_pairs_hook=hold, parse_int=lambda _: 0, parse_float=lambda _: 0)
    return max(deepest, measure(outer))


NESTED = st.integers(0, 500).map(lambda depth: b"[" * depth + b"]" * depth)
HOSTILE = st.sampled_from(
    [
        b"1e999",
        b"-1e999",
        b"9" * 4400,
        b'"\xff"',
        b'"\\ud800"',
        b'"\xed\xa0\x80"',
        b'{"\xff":1}',
        b'{"a":1,"a":[1e999]}',
    ]
)
SPELT = {
    "verb": [b'"verb"', b'"\\u0076erb"'],
    "definition": [b'"definition"', b'"definitio\\u006e"', b'"definition" '],
    "contextActivities": [b'"contextActivities"', b'"context\\u0041ctivities"', b'"c\\u006FntextActivities"'],
    "context": [b'"context"', b'"contex\\u0074"'],
    "object": [b'"object"', b'"\\u006fbject"'],
    "extensions": [b'"extensions"', b'"http://example.org/twice"'],
}


@given(STATEMENTS, VERSIONS, st.sampled_from(sorted(SPELT)), st.randoms(use_true_random=False), NESTED | HOSTILE)
@settings(max_examples=300)
def test_the_first_of_two_members_is_read_like_the_last(
    statement: dict[str, Any], version: str, name: str, chance: random.Random, value: bytes
) -> None:
    """Whatever stands in a member that a later one replaces, wherever: what is accepted, every reader takes."""
    body = json.dumps(statement, separators=(",", ":")).encode()
    key = b'"%s":' % name.encode()
    if key not in body:
        return
    spelt = chance.choice(SPELT[name])
    holders = [
        value,
        b'{"id":"a:b","definition":' + value + b"}",
        b'{"contextActivities":' + value + b"}",
        b'{"a:b":' + value + b',"a:b":1}',
        b'{"object":{"id":"a:b","definition":' + value + b"}}",
    ]
    places = body.split(key)
    at = chance.randrange(1, len(places))
    body = key.join(places[:at]) + spelt + b":" + chance.choice(holders) + b"," + key + key.join(places[at:])
    _survive(body, version)


def test_the_strategies_reach_every_kind_of_object() -> None:
    """The properties above are worth something only if all five kinds of object come up."""
    kinds: set[str] = set()

    @given(STATEMENTS)
    @settings(database=None, derandomize=True, max_examples=60)
    def collect(statement: dict[str, Any]) -> None:
        kinds.add(statement["object"].get("objectType", "Activity"))

    collect()
    assert {"Activity", "Agent", "Group", "StatementRef", "SubStatement"} == kinds
