"""What every statement store does with what is written: once, whole, at once readable, byte for byte."""

from __future__ import annotations

import asyncio

import pytest

from collegium_core.lrs.keys import FilterKeys
from collegium_core.lrs.query import StatementQuery
from collegium_core.lrs.record import Missing, StoredStatement
from collegium_core.storage.ports import ANY, DocumentKey, Rejection
from collegium_testing.statements import START, indexed, raw_statement, statement_id, statements

from .conftest import Stores

FAR = START + 10**9


async def listed(store) -> list[StoredStatement]:
    return await store.find(StatementQuery(ascending=True), through=FAR, after=None, limit=10_000)


async def test_preparing_twice_changes_nothing(stores: Stores):
    """``prepare`` may be called by everybody at any time: what is stored stays."""
    store = await stores.statements()
    await store.write([indexed(1)])
    await store.prepare()
    assert await store.count() == 1


async def test_tenant_without_data_answers_with_nothing(stores: Stores):
    """Reading a tenant that was never prepared finds nothing, and is no error."""
    store = stores.backend.statements(stores.slug("never"), stores.placement)
    assert frozenset() == await store.existing([statement_id(1)])
    assert {} == await store.get([statement_id(1)])
    assert [] == await listed(store)
    assert await store.count() == 0
    await store.drop()


async def test_writing_and_asking_for_nothing(stores: Stores):
    """Empty lists are legal everywhere."""
    store = await stores.statements()
    assert [] == await store.write([])
    assert frozenset() == await store.existing([])
    assert {} == await store.get([])


async def test_written_is_found_at_once(stores: Stores):
    """When ``write`` returns, every way of reading sees the statements."""
    store = await stores.statements()
    items = statements(50)
    assert [] == await store.write(items)
    ids = [item.statement.id for item in items]
    absent = [statement_id(number) for number in range(1000, 1050)]
    assert frozenset(ids) == await store.existing([*absent, *ids])
    assert {item.statement.id: item.statement for item in items} == await store.get([*ids, *absent])
    assert [item.statement for item in items] == await listed(store)
    assert await store.count() == len(items)


async def test_reading_sees_each_write_without_waiting(stores: Stores):
    """``existing`` and ``get`` are real time: no statement is missed between its write and a refresh."""
    store = await stores.statements()
    for number in range(20):
        await store.write([indexed(number)])
        assert {statement_id(number)} == await store.existing([statement_id(number)])
        assert [statement_id(number)] == list(await store.get([statement_id(number)]))


async def test_rewriting_changes_nothing(stores: Stores):
    """A log entry that is handled twice leaves the statements of the first time, unrejected and once."""
    store = await stores.statements()
    items = statements(30)
    await store.write(items[:20])
    assert [] == await store.write(items)
    assert [] == await store.write(items)
    assert [item.statement for item in items] == await listed(store)


async def test_same_position_is_left_as_it_is(stores: Stores):
    """Under one id and one position the first content stays: it is the same log record, whatever is sent."""
    store = await stores.statements()
    first, other = indexed(1), indexed(1, raw=raw_statement(1, size=500))
    await store.write([first])
    assert [] == await store.write([other])
    assert {first.statement.id: first.statement} == await store.get([first.statement.id])


async def test_equal_duplicate_is_skipped(stores: Stores):
    """The same statement accepted twice (another position, members in another order) is stored once, as first seen."""
    store = await stores.statements()
    first = indexed(
        1, raw=b'{"verb":{"id":"http://e.org/v"},"actor":{"mbox":"mailto:a@e.org"},"object":{"id":"http://e.org/o"}}'
    )
    again = indexed(
        1,
        stored=START + 500,
        raw=b'{"object":{"id":"http://e.org/o"},"actor":{"mbox":"mailto:a@e.org"},"verb":{"id":"http://e.org/v"}}',
    )
    await store.write([first])
    assert [] == await store.write([again])
    assert [first.statement] == await listed(store)


async def test_other_content_under_one_id_is_a_conflict(stores: Stores):
    """A different statement under an id that is taken is rejected as a conflict; the rest of the write is stored."""
    store = await stores.statements()
    await store.write([indexed(1)])
    impostor = indexed(1, stored=START + 500, raw=raw_statement(2))
    assert [Rejection(statement_id(1), "conflict")] == await store.write([indexed(3), impostor, indexed(4)])
    assert [indexed(number).statement for number in (1, 3, 4)] == await listed(store)


async def test_duplicates_within_one_write(stores: Stores):
    """One write may hold an id several times: equal ones are stored once, the others are conflicts."""
    store = await stores.statements()
    write = [
        indexed(1),
        indexed(1),
        indexed(1, stored=START + 10),
        indexed(1, stored=START + 11, raw=raw_statement(2)),
        indexed(5),
    ]
    assert [Rejection(statement_id(1), "conflict")] == await store.write(write)
    assert [indexed(1).statement, indexed(5).statement] == await listed(store)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"a":1e2,"b":100.0,"c":1E+2,"d":-0.0}', id="spelling of numbers"),
        pytest.param(b'{"a":"\\u00e9","b":"\xc3\xa9","c":"\\/","d":"\\u0000"}', id="escapes"),
        pytest.param(b'{"a":1,"a":2}', id="duplicate members"),
        pytest.param(b'{ "a" :\t1 ,\n"b":[ ] }', id="white space"),
        pytest.param(b'{"a":' + b"7" * 1200 + b"}", id="1,200 digits"),
        pytest.param(b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", id="depth 200"),
        pytest.param(b'{"' + b"k" * 61_440 + b'":1}', id="60 KB key"),
        pytest.param(b'{"a":"' + b"x" * 2_000_000 + b'"}', id="2 MB"),
        pytest.param('{"a":"😀\u2028"}'.encode(), id="beyond the basic plane"),
    ],
)
async def test_bytes_are_kept(stores: Stores, raw: bytes):
    """What the API accepted comes back byte for byte: nothing is parsed, rewritten or refused."""
    store = await stores.statements()
    item = indexed(1, raw=raw)
    assert [] == await store.write([item])
    assert {item.statement.id: item.statement} == await store.get([item.statement.id])
    assert [item.statement] == await listed(store)


async def test_all_fields_are_kept(stores: Stores):
    """What the server adds is kept beside the bytes: stored, position, authority, what was missing, the version."""
    store = await stores.statements()
    items = [
        indexed(1, missing=Missing.ID | Missing.TIMESTAMP | Missing.VERSION, version="2.0.0"),
        indexed(2, stored=START - 10**15, position=START + 2, authority=b'{"name":"\xc3\xa9 \\u00e9"}'),
        indexed(3, missing=Missing.TIMESTAMP, version="1.0.3"),
    ]
    await store.write(items)
    assert {item.statement.id: item.statement for item in items} == await store.get([i.statement.id for i in items])


async def test_keys_of_every_length_are_taken(stores: Stores):
    """Keys as long as they come (512 bytes of UTF-8) and as many as a large group has are indexed and found."""
    store = await stores.statements()
    members = tuple(sorted(f"mbox|mailto:member-{number}@example.org" for number in range(500)))
    longest = "http://example.org/" + "é" * 246
    item = indexed(
        1, keys=FilterKeys(verb=longest, agents=members, related_agents=members, related_activities=("", longest))
    )
    assert [] == await store.write([item])
    for query in (
        StatementQuery(verb=longest),
        StatementQuery(agent=members[250]),
        StatementQuery(activity=longest, related_activities=True),
    ):
        assert [item.statement] == await store.find(query, through=FAR, after=None, limit=5)


async def test_concurrent_writers_store_each_statement_once(stores: Stores):
    """Overlapping writes at the same time (two workers with one entry) leave one copy of each."""
    store = await stores.statements()
    items = statements(60)
    results = await asyncio.gather(*(store.write(items[start : start + 30]) for start in range(0, 40, 5)))
    assert [[]] * 8 == results
    assert [item.statement for item in items] == await listed(store)


async def test_drop_leaves_others_alone(stores: Stores):
    """``drop`` removes one tenant's statements, neither its documents nor others'; it may be written again."""
    store, other, documents = await stores.statements("a"), await stores.statements("b"), await stores.documents("a")
    items = statements(20)
    await store.write(items)
    await other.write(items)
    document = await documents.put(DocumentKey("state", "o", "d"), b"x", "text/plain", expected=ANY)
    await store.drop()
    assert await store.count() == 0
    assert frozenset() == await store.existing([item.statement.id for item in items])
    assert await other.count() == len(items)
    assert document == await documents.get(document.key)
    await store.prepare()
    assert [] == await store.write(items[:3])
    assert [item.statement for item in items[:3]] == await listed(store)
