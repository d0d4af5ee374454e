"""What one tenant's stores answer does not depend on what another tenant does with the same ids and keys."""

from __future__ import annotations

import random

import pytest

from collegium_core.errors import PreconditionFailed
from collegium_core.lrs.query import StatementQuery
from collegium_core.storage.ports import ANY, DocumentKey, DocumentStore, StatementStore
from collegium_testing.statements import START, indexed, place_of, raw_statement, statement_id, statements

from .conftest import Stores

FAR = START + 10**9
POOL = statements(60, seed=5)


async def statement_step(store: StatementStore, source: random.Random) -> object:  # noqa: PLR0911 - one per operation
    """Do one random thing to *store* and return all that could be observed."""
    numbers = source.sample(range(60), k=source.randrange(1, 8))
    choice = source.random()
    if choice < 0.35:
        return await store.write([POOL[number] for number in numbers])
    if choice < 0.45:
        number = numbers[0]
        impostor = indexed(number, stored=START + 1000 + source.randrange(9), raw=raw_statement(source.randrange(60)))
        return await store.write([impostor])
    if choice < 0.6:
        return await store.existing([statement_id(number) for number in numbers])
    if choice < 0.7:
        return await store.get([statement_id(number) for number in numbers])
    if choice < 0.95:
        query = StatementQuery(
            verb=POOL[numbers[0]].keys.verb if source.random() < 0.4 else None,
            agent="account|http://example.org|lms" if source.random() < 0.3 else None,
            related_agents=True,
            ascending=source.random() < 0.5,
        )
        after = place_of(POOL[numbers[-1]].statement) if source.random() < 0.5 else None
        return await store.find(query, through=FAR, after=after, limit=source.randrange(1, 30))
    if choice < 0.98:
        return await store.count()
    return await store.drop()


async def document_step(store: DocumentStore, source: random.Random) -> object:
    """Do one random thing to *store* and return all that could be observed, but for the time of updates."""
    key = DocumentKey(
        source.choice(["state", "agent-profile"]), f"owner-{source.randrange(3)}", f"id-{source.randrange(4)}"
    )
    content = b"content %d" % source.randrange(4)
    expected = source.choice([ANY, None, "0" * 40])
    choice = source.random()
    try:
        if choice < 0.4:
            document = await store.put(key, content, "text/plain", expected=expected)
            return document.etag
        if choice < 0.6:
            return await store.delete(key, expected=expected)
        if choice < 0.8:
            found = await store.get(key)
            return found and (found.key, found.content, found.etag)
        if choice < 0.98:
            return await store.ids(key.resource, key.owner)
        return await store.drop()
    except PreconditionFailed:
        return "precondition failed"


@pytest.mark.parametrize("seed", [1, 2])
async def test_statements_of_a_neighbour_are_unobservable(stores: Stores, seed: int):
    """A script of random operations is answered alike alone and beside a neighbour that uses the same ids."""
    alone, source = await stores.statements("alone"), random.Random(seed)
    expected = [await statement_step(alone, source) for _ in range(60)]

    beside, neighbour = await stores.statements("beside"), await stores.statements("neighbour")
    source, other = random.Random(seed), random.Random(seed + 100)
    answers = []
    for _ in range(60):
        await statement_step(neighbour, other)
        answers.append(await statement_step(beside, source))
        await statement_step(neighbour, other)
    assert expected == answers


@pytest.mark.parametrize("seed", [1, 2])
async def test_documents_of_a_neighbour_are_unobservable(stores: Stores, seed: int):
    """The same for documents: contents, ids, expectations and drops."""
    alone, source = await stores.documents("alone"), random.Random(seed)
    expected = [await document_step(alone, source) for _ in range(80)]

    beside, neighbour = await stores.documents("beside"), await stores.documents("neighbour")
    source, other = random.Random(seed), random.Random(seed + 100)
    answers = []
    for _ in range(80):
        await document_step(neighbour, other)
        answers.append(await document_step(beside, source))
        await document_step(neighbour, other)
    assert expected == answers
