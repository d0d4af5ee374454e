"""What every statement store finds: each filter and each pair of filters, in order, page by page."""

from __future__ import annotations

import itertools
import random

import msgspec
import pytest

from collegium_core.lrs.query import Place, StatementQuery
from collegium_core.lrs.record import StoredStatement
from collegium_core.storage.ports import IndexedStatement, StatementStore
from collegium_testing.statements import START, Model, indexed, place_of, statements

from .conftest import Stores

FAR = START + 10**9
COUNT = 160

AGENT = "account|http://example.org|user-3"
TEAM = "mbox|mailto:team-1@example.org"
ACTIVITY = "http://example.org/activity/4"
COURSE = "http://example.org/course/2"

# One value of each filter as the fields of a query; a pair of filters is two of these together.
FILTERS: dict[str, dict[str, object]] = {
    "agent": {"agent": AGENT},
    "related agent": {"agent": TEAM, "related_agents": True},
    "agent among related": {"agent": AGENT, "related_agents": True},
    "team among direct": {"agent": TEAM},
    "verb": {"verb": "http://adlnet.gov/expapi/verbs/passed"},
    "activity": {"activity": ACTIVITY},
    "related activity": {"activity": COURSE, "related_activities": True},
    "course among direct": {"activity": COURSE},
    "registration": {"registration": "00000000-0000-0000-0000-000000000003"},
    "since": {"since": START + 40},
    "until": {"until": START + 120},
    "unknown verb": {"verb": "http://example.org/never"},
}


def mixed(count: int = COUNT) -> list[IndexedStatement]:
    """Return statements of which a third are imports: their own ``stored``, often equal, and a later position."""
    source = random.Random(7)
    items = []
    for item in statements(count, seed=3):
        statement = item.statement
        if source.random() < 0.35:
            statement = msgspec.structs.replace(statement, stored=START + source.randrange(0, count, 20))
        items.append(msgspec.structs.replace(item, statement=statement))
    return items


def pairs() -> list[tuple[str, StatementQuery]]:
    """Return every filter alone and every pair that does not set one field twice, in both directions."""
    found = [("no filter", StatementQuery())]
    for (one, first), (two, second) in itertools.combinations_with_replacement(FILTERS.items(), 2):
        if one == two:
            found.append((one, StatementQuery(**first)))
        elif not first.keys() & second.keys():
            found.append((f"{one}, {two}", StatementQuery(**first, **second)))
    return found


async def pages(store: StatementStore, query: StatementQuery, *, through: int, limit: int) -> list[StoredStatement]:
    """Follow a list to its end."""
    found: list[StoredStatement] = []
    after: Place | None = None
    while page := await store.find(query, through=through, after=after, limit=limit):
        assert len(page) <= limit
        found += page
        after = place_of(page[-1])
    return found


@pytest.mark.parametrize("ascending", [False, True], ids=["newest first", "oldest first"])
async def test_every_filter_alone_and_in_pairs(stores: Stores, ascending: bool):
    """Each list is the one that looking at every statement gives, with equal ``stored`` ordered by position."""
    store = await stores.statements()
    items = mixed()
    model = Model(items)
    await store.write(items)
    for name, filters in pairs():
        query = msgspec.structs.replace(filters, ascending=ascending)
        expected = model.find(query, through=FAR, after=None, limit=COUNT)
        assert expected == await store.find(query, through=FAR, after=None, limit=COUNT), name


@pytest.mark.parametrize("ascending", [False, True], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("limit", [1, 7, 50])
async def test_pages_join_without_gap_or_repeat(stores: Stores, ascending: bool, limit: int):
    """Following a list page by page gives each statement once, also where a page ends among equal ``stored``."""
    store = await stores.statements()
    items = mixed(60)
    model = Model(items)
    await store.write(items)
    for fields in ({}, FILTERS["related agent"], FILTERS["verb"] | FILTERS["related activity"]):
        query = StatementQuery(ascending=ascending, **fields)
        expected = model.find(query, through=FAR, after=None, limit=COUNT)
        assert expected == await pages(store, query, through=FAR, limit=limit)


async def test_nothing_beyond_the_watermark(stores: Stores):
    """``through`` is inclusive and bounds every list; ``until`` may only narrow it."""
    store = await stores.statements()
    items = mixed()
    model = Model(items)
    await store.write(items)
    for through in (START - 1, START, START + 60, START + 61, FAR):
        for query in (StatementQuery(), StatementQuery(until=START + 61), StatementQuery(ascending=True)):
            expected = model.find(query, through=through, after=None, limit=COUNT)
            assert expected == await store.find(query, through=through, after=None, limit=COUNT)


async def test_since_is_exclusive_and_until_inclusive(stores: Stores):
    """xAPI-Communication 2.1.3: since the given time (exclusive), at or before the given time."""
    store = await stores.statements()
    items = [indexed(number) for number in range(1, 6)]
    await store.write(items)
    query = StatementQuery(since=START + 2, until=START + 4, ascending=True)
    assert [items[2].statement, items[3].statement] == await store.find(query, through=FAR, after=None, limit=9)


async def test_pages_stay_joined_while_statements_arrive(stores: Stores):
    """A statement written between two pages neither shifts nor repeats what the next page holds."""
    store = await stores.statements()
    items = statements(30)
    await store.write(items)
    first = await store.find(StatementQuery(), through=START + 29, after=None, limit=10)
    await store.write(statements(10, first=30))
    rest = await store.find(StatementQuery(), through=START + 29, after=place_of(first[-1]), limit=100)
    assert [item.statement for item in reversed(items)] == first + rest


async def test_random_queries_match_the_model(stores: Stores):
    """Any mixture of filters, bounds, direction, place and limit gives what looking at every statement gives."""
    source = random.Random(11)
    store = await stores.statements()
    items = mixed()
    model = Model(items)
    for start in range(0, COUNT, 40):
        await store.write(items[start : start + 40])
    for _ in range(150):
        fields: dict[str, object] = {}
        for chosen in source.sample(sorted(FILTERS), k=source.randrange(4)):
            fields |= FILTERS[chosen]
        query = StatementQuery(ascending=source.random() < 0.5, **fields)
        after = place_of(source.choice(items).statement) if source.random() < 0.6 else None
        through = START + source.randrange(COUNT + 20)
        limit = source.choice([1, 3, 20, 500])
        expected = model.find(query, through=through, after=after, limit=limit)
        assert expected == await store.find(query, through=through, after=after, limit=limit), (query, after)


@pytest.mark.parametrize("ascending", [False, True], ids=["newest first", "oldest first"])
async def test_place_outside_the_bounds(stores: Stores, ascending: bool):
    """A place before the first statement within the bounds widens nothing; one after the last leaves nothing."""
    store = await stores.statements()
    items = [indexed(number) for number in range(10)]
    await store.write(items)
    query = StatementQuery(since=START + 2, until=START + 6, ascending=ascending)
    inside = [item.statement for item in items[3:7]]
    before, beyond = (0, 8) if ascending else (8, 0)
    found = await store.find(query, through=FAR, after=place_of(items[before].statement), limit=50)
    assert (inside if ascending else inside[::-1]) == found
    assert [] == await store.find(query, through=FAR, after=place_of(items[beyond].statement), limit=50)
