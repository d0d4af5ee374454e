"""What the statement store promises that only a real OpenSearch can disprove."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest

from collegium_core.lrs.keys import FilterKeys
from collegium_core.lrs.query import Place, StatementQuery
from collegium_core.lrs.record import Missing, StoredStatement
from collegium_core.storage.opensearch import OpenSearchBackend, builder
from collegium_core.storage.opensearch.placement import Target
from collegium_core.storage.opensearch.statements import OpenSearchStatements
from collegium_core.storage.ports import IndexedStatement, Rejection
from collegium_core.tenancy.record import Placement

NOON = 1_790_000_000_000_000
FAR = NOON * 2


def item(number: int, raw: bytes = b'{"actor":{}}', *, position: int | None = None, **keys: object) -> IndexedStatement:
    return IndexedStatement(
        statement=StoredStatement(
            id=f"00000000-0000-4000-8000-{number:012d}",
            raw=raw,
            stored=NOON + number,
            position=NOON + number if position is None else position,
            authority=b'{"name":"\\u00e9"}',
            missing=Missing.ID | Missing.VERSION,
            version="2.0.0",
        ),
        keys=FilterKeys(**{"verb": "v:1", **keys}),
    )


@pytest.fixture(params=list(Placement))
async def store(opensearch_url: str, request: pytest.FixtureRequest) -> AsyncIterator[OpenSearchStatements]:
    backend = OpenSearchBackend(opensearch_url, prefix="sta" + secrets.token_hex(4), pool_shards=2)
    statements = backend.statements("t-a", request.param)
    yield statements
    await backend._client.call("DELETE", statements._target.path(), accept={404})
    await backend._client.call("DELETE", f"/_index_template/{backend._catalog._prefix}-statements", accept={404})
    await backend.close()


async def listed(store: OpenSearchStatements) -> list[StoredStatement]:
    return await store.find(StatementQuery(ascending=True), through=FAR, after=None, limit=10_000)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"a":' + b"[" * 199 + b"]" * 199 + b"}", id="depth 200"),
        pytest.param(b'{"a":' + b"9" * 1_200 + b"}", id="1,200 digits"),
        pytest.param(b'{"' + b"k" * 60_000 + b'":1}', id="key of 60,000 characters"),
        pytest.param(b'{"a":"' + b"x" * 5_000_000 + b'"}', id="5 MB"),
        pytest.param(b'{"a":1e2,"b":"\\u00e9","a":1.0}', id="spellings and a repeated member"),
        pytest.param(b'{"a":"\\ud800","b":"\\u0000"}', id="escaped half of a pair, escaped zero"),
        pytest.param('{"a":"\u2028\U0001f600\x7f"}'.encode(), id="line separator, astral, delete"),
        pytest.param(b'{ "a" :\r\n\t1}', id="white space with line ends"),
    ],
)
async def test_any_statement_returns_byte_for_byte(store: OpenSearchStatements, raw: bytes) -> None:
    """OpenSearch neither refuses nor rewrites what the API accepted, by look-up and by list."""
    expected = item(1, raw)

    assert [] == await store.write([expected])

    assert {expected.statement.id: expected.statement} == await store.get([expected.statement.id])
    assert [expected.statement] == await listed(store)


async def test_keys_are_values_whatever_is_in_them(store: OpenSearchStatements) -> None:
    """Quotes, line ends, wildcards and query syntax in a key match that key and nothing else."""
    hostile = 'mbox|mailto:"*"\n{"create":{}}\\ OR _id:* \u00e9'
    await store.write([item(1, agents=(hostile,), related_agents=(hostile, "x")), item(2, agents=("y",))])

    for agent, numbers in ((hostile, [1]), ("*", []), ("y", [2]), ("x", [])):
        found = await store.find(StatementQuery(agent=agent), through=FAR, after=None, limit=10)
        assert [NOON + number for number in numbers] == [statement.stored for statement in found]
    related = await store.find(StatementQuery(agent="x", related_agents=True), through=FAR, after=None, limit=10)
    assert [NOON + 1] == [statement.stored for statement in related]


async def test_a_write_beyond_one_bulk_is_stored_whole(
    store: OpenSearchStatements, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several bulks make one write; a list longer than one search's page comes back whole and in order."""
    monkeypatch.setattr("collegium_core.storage.opensearch.statements._BULK_BYTES", 100_000)
    monkeypatch.setattr(builder, "PAGE", 300)
    items = [item(number) for number in range(1_000)]

    assert [] == await store.write(items)

    assert [one.statement for one in items] == await listed(store)
    assert 1_000 == len(await store.existing([one.statement.id for one in items]))
    assert 1_000 == await store.count()


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("size", [1, 7, 50])
async def test_pages_hold_every_statement_once_when_many_share_an_instant(
    store: OpenSearchStatements, size: int, *, ascending: bool
) -> None:
    """Position breaks ties of ``stored`` at the borders of pages, in both directions."""
    items = []
    for number in range(50):
        one = item(number)
        statement = StoredStatement(
            id=one.statement.id, raw=one.statement.raw, stored=NOON + number // 20, position=number, authority=b"{}"
        )
        items.append(IndexedStatement(statement=statement, keys=one.keys))
    await store.write(items)
    query = StatementQuery(ascending=ascending, since=NOON - 1, until=NOON + 2)

    seen: list[int] = []
    after: Place | None = None
    while page := await store.find(query, through=FAR, after=after, limit=size):
        seen += [statement.position for statement in page]
        after = Place(stored=page[-1].stored, position=page[-1].position)

    assert (list(range(50)) if ascending else list(range(49, -1, -1))) == seen


@pytest.mark.parametrize("since", [None, NOON - 5, 1])
async def test_the_oldest_are_found_over_any_gaps(store: OpenSearchStatements, since: int | None) -> None:
    """Gaps from microseconds to years between statements hide none, whatever the size of the page."""
    gaps = [0, 1, 1, 20_000_000, 1, 3_600_000_000, 1, 10**13, 1, 2, 10**14]
    instants = [NOON + sum(gaps[: number + 1]) for number in range(len(gaps))]
    items = []
    for number, instant in enumerate(instants):
        statement = StoredStatement(
            id=item(number).statement.id, raw=b"{}", stored=instant, position=number, authority=b"{}"
        )
        items.append(IndexedStatement(statement=statement, keys=FilterKeys(verb="v:1")))
    await store.write(items)
    query = StatementQuery(ascending=True, since=since)

    for size in (1, 3, 100):
        seen: list[int] = []
        after: Place | None = None
        while page := await store.find(query, through=FAR, after=after, limit=size):
            seen += [statement.stored for statement in page]
            after = Place(stored=page[-1].stored, position=page[-1].position)
        assert instants == seen
    until = StatementQuery(ascending=True, since=since, until=instants[6])
    assert instants[:7] == [one.stored for one in await store.find(until, through=FAR, after=None, limit=100)]
    assert instants[:5] == [one.stored for one in await store.find(query, through=instants[4], after=None, limit=100)]


async def test_a_repeated_write_shows_what_a_dead_writer_left_unrefreshed(store: OpenSearchStatements) -> None:
    """A writer may die between its bulk and its refresh; whoever repeats the write makes it searchable."""
    await store.prepare()
    settings = b'{"index":{"refresh_interval":"-1"}}'
    await store._client.call("PUT", store._target.path("_settings"), body=settings)
    lines = b"".join(builder.statement_line(store._target, item(number)) for number in range(3))
    await store._client.call("POST", store._target.path("_bulk"), params=builder.routed(store._target), body=lines)
    assert [] == await listed(store)

    assert [] == await store.write([item(number) for number in range(3)])

    assert 3 == len(await listed(store))


async def test_a_taken_id_is_judged_by_position_and_content(store: OpenSearchStatements) -> None:
    """Same position: this very statement, again. Another position: equal is skipped, other is a conflict.

    So it is within one write, too.
    """
    await store.write([item(1, b'{"a":1}'), item(2, b'{"a":2}')])

    rejections = await store.write(
        [
            item(1, b'{"a":1}'),
            item(1, b'{"a": 1}', position=7),
            item(2, b'{"a":3}', position=8),
            item(3, b'{"a":4}'),
            item(3, b'{"a":5}', position=9),
        ]
    )

    assert [Rejection(id=item(number).statement.id, reason="conflict") for number in (2, 3)] == rejections
    assert [b'{"a":1}', b'{"a":2}', b'{"a":4}'] == [statement.raw for statement in await listed(store)]


async def test_one_statement_that_the_store_refuses_stops_no_other(
    store: OpenSearchStatements, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes back with the store's reason, the others are stored."""
    bad = item(2)
    original = builder.statement_line

    def line(target: Target, one: IndexedStatement) -> bytes:
        made = original(target, one)
        return made.replace(b'"missing":5', b'"missing":5000') if one is bad else made

    monkeypatch.setattr(builder, "statement_line", line)

    (rejection,) = await store.write([item(1), bad, item(3)])

    assert bad.statement.id == rejection.id
    assert rejection.reason.startswith("mapper_parsing_exception: failed to parse field [missing]")
    assert [NOON + 1, NOON + 3] == [statement.stored for statement in await listed(store)]
