"""What the document store promises that only a real OpenSearch can disprove."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from collegium_core.errors import PreconditionFailed
from collegium_core.storage.opensearch import OpenSearchBackend, builder
from collegium_core.storage.opensearch.documents import OpenSearchDocuments
from collegium_core.storage.ports import ANY, DocumentKey
from collegium_core.tenancy.record import Placement


@pytest.fixture(params=list(Placement))
async def store(opensearch_url: str, request: pytest.FixtureRequest) -> AsyncIterator[OpenSearchDocuments]:
    backend = OpenSearchBackend(opensearch_url, prefix="doc" + secrets.token_hex(4), pool_shards=2)
    documents = backend.documents("t-a", request.param)
    yield documents
    await backend._client.call("DELETE", documents._target.path(), accept={404})
    await backend._client.call("DELETE", f"/_index_template/{backend._catalog._prefix}-documents", accept={404})
    await backend.close()


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(DocumentKey(resource="state", owner="o" * 40_000, id="i" * 40_000), id="longer than a keyword"),
        pytest.param(DocumentKey(resource="state", owner="a\u0301", id='"}\n{"delete":{}}'), id="line ends, quotes"),
        pytest.param(DocumentKey(resource="state", owner="*", id="../_all"), id="patterns and paths"),
    ],
)
async def test_any_key_holds_a_document(store: OpenSearchDocuments, key: DocumentKey) -> None:
    """Owners and ids are compared code point by code point, whatever they are and however long."""
    content = bytes(range(256)) * 100

    stored = await store.put(key, content, "application/octet-stream", expected=None)

    assert stored == await store.get(key)
    assert content == stored.content
    assert [key.id] == await store.ids(key.resource, key.owner)
    assert [] == await store.ids(key.resource, key.owner.replace("a\u0301", "\u00e1") + "x")
    assert [] == await store.ids("agent-profile", key.owner)


async def test_keys_that_join_to_the_same_text_are_different(store: OpenSearchDocuments) -> None:
    """The borders between resource, owner and id count."""
    await store.put(DocumentKey(resource="state", owner="a", id="bc"), b"1", "text/plain", expected=None)
    await store.put(DocumentKey(resource="state", owner="ab", id="c"), b"2", "text/plain", expected=None)

    found = await store.get(DocumentKey(resource="state", owner="a", id="bc"))
    assert found is not None
    assert b"1" == found.content
    assert ["c"] == await store.ids("state", "ab")


async def test_of_many_writers_with_the_same_expectation_one_wins(store: OpenSearchDocuments) -> None:
    """Compare-and-set lets exactly one of the concurrent writers through, at creation and at replacement."""
    key = DocumentKey(resource="state", owner="o", id="i")

    async def attempt(content: bytes, expected: str | None) -> str | None:
        try:
            return (await store.put(key, content, "text/plain", expected=expected)).etag
        except PreconditionFailed:
            return None

    await store.prepare()
    first = [etag for etag in await asyncio.gather(*(attempt(b"%d" % n, None) for n in range(8))) if etag]
    assert 1 == len(first)
    second = [etag for etag in await asyncio.gather(*(attempt(b"2%d" % n, first[0]) for n in range(8))) if etag]
    assert 1 == len(second)

    found = await store.get(key)
    assert found is not None
    assert second == [found.etag]


async def test_a_list_of_more_ids_than_a_page_is_whole_and_sorted(
    store: OpenSearchDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of the search show in nothing; ``since`` is exclusive."""
    monkeypatch.setattr(builder, "PAGE", 3)
    written = [
        await store.put(DocumentKey(resource="state", owner="o", id=f"i{n:02}"), b"x", "text/plain", expected=ANY)
        for n in range(9)
    ]

    assert [f"i{n:02}" for n in range(9)] == await store.ids("state", "o")
    assert [f"i{n:02}" for n in range(5, 9)] == await store.ids("state", "o", since=written[4].updated)
