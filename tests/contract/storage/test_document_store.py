"""What every document store does: exact bytes under exact keys, and one winner among concurrent writers."""

from __future__ import annotations

import asyncio
import hashlib
import time

import pytest

from collegium_core.errors import PreconditionFailed
from collegium_core.storage.ports import ANY, Document, DocumentKey

from .conftest import Stores

KEY = DocumentKey("state", "http://example.org/a|mbox|mailto:a@example.org|", "bookmark")


def etag_of(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


async def test_tenant_without_documents(stores: Stores):
    """Reading and deleting where nothing was ever written find nothing."""
    store = stores.backend.documents(stores.slug("never"), stores.placement)
    assert None is await store.get(KEY)
    assert [] == await store.ids(KEY.resource, KEY.owner)
    assert await store.delete(KEY, expected=ANY) is False
    assert await store.delete(KEY, expected=None) is False
    with pytest.raises(PreconditionFailed):
        await store.delete(KEY, expected="0" * 40)
    await store.drop()


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff\xfe binary", b'{"a":1e2}', b"x" * 3_000_000], ids=["empty", "binary", "JSON", "3 MB"]
)
async def test_content_is_kept(stores: Stores, content: bytes):
    """A document comes back with its bytes, its type and the SHA-1 of its bytes, at once."""
    store = await stores.documents()
    before = time.time_ns() // 1000
    document = await store.put(KEY, content, "application/x-any; charset=utf-8", expected=ANY)
    assert document == await store.get(KEY)
    assert Document(KEY, content, "application/x-any; charset=utf-8", etag_of(content), document.updated) == document
    assert before <= document.updated <= time.time_ns() // 1000


async def test_expectations(stores: Stores):
    """A write happens when what stands there is what was expected, and only then."""
    store = await stores.documents()
    with pytest.raises(PreconditionFailed):
        await store.put(KEY, b"1", "text/plain", expected=etag_of(b"0"))
    await store.put(KEY, b"1", "text/plain", expected=None)
    with pytest.raises(PreconditionFailed):
        await store.put(KEY, b"2", "text/plain", expected=None)
    with pytest.raises(PreconditionFailed):
        await store.put(KEY, b"2", "text/plain", expected=etag_of(b"0"))
    await store.put(KEY, b"2", "text/html", expected=etag_of(b"1"))
    await store.put(KEY, b"3", "text/plain", expected=ANY)
    with pytest.raises(PreconditionFailed):
        await store.delete(KEY, expected=etag_of(b"1"))
    with pytest.raises(PreconditionFailed):
        await store.delete(KEY, expected=None)
    found = await store.get(KEY)
    assert found is not None
    assert (b"3", "text/plain") == (found.content, found.content_type)
    assert await store.delete(KEY, expected=etag_of(b"3")) is True
    assert await store.delete(KEY, expected=ANY) is False
    assert None is await store.get(KEY)
    await store.put(KEY, b"4", "text/plain", expected=None)


async def test_keys_are_compared_code_point_by_code_point(stores: Stores):
    """Case, accents composed or not, separators within a part: each difference is another document."""
    store = await stores.documents()
    keys = [
        DocumentKey("state", "owner", "id"),
        DocumentKey("agent-profile", "owner", "id"),
        DocumentKey("state", "Owner", "id"),
        DocumentKey("state", "owner", "ID"),
        DocumentKey("state", "owner", "é"),
        DocumentKey("state", "owner", "e\u0301"),
        DocumentKey("state", "owner|id", ""),
        DocumentKey("state", "owner", "|id"),
        DocumentKey("state", "owner/i", "d"),
        DocumentKey("state", "owner", "i/d"),
        DocumentKey("state", "owner", "id "),
        DocumentKey("state", "owner" * 200, "id" * 500),
        DocumentKey("state", "owner" * 200, "id" * 500 + "x"),
    ]
    for number, key in enumerate(keys):
        await store.put(key, b"%d" % number, "text/plain", expected=None)
    for number, key in enumerate(keys):
        found = await store.get(key)
        assert found is not None
        assert (key, b"%d" % number) == (found.key, found.content)


async def test_ids_are_sorted_and_see_every_write(stores: Stores):
    """``ids`` lists one owner's documents of one resource in order of code points, those just written too."""
    store = await stores.documents()
    for number, name in enumerate(["b", "a", "Z", "é", "😀", "\uffff", "a a"]):
        await store.put(DocumentKey("state", "o", name), b"", "text/plain", expected=ANY)
        assert number + 1 == len(await store.ids("state", "o"))
    await store.put(DocumentKey("state", "other", "c"), b"", "text/plain", expected=ANY)
    await store.put(DocumentKey("agent-profile", "o", "d"), b"", "text/plain", expected=ANY)
    assert ["Z", "a", "a a", "b", "é", "\uffff", "😀"] == await store.ids("state", "o")
    await store.delete(DocumentKey("state", "o", "b"), expected=ANY)
    assert ["Z", "a", "a a", "é", "\uffff", "😀"] == await store.ids("state", "o")


async def test_ids_since(stores: Stores):
    """``since`` is exclusive and compares with the time of the last update."""
    store = await stores.documents()
    made = []
    for name in ("a", "b", "c"):
        made.append(await store.put(DocumentKey("state", "o", name), b"1", "text/plain", expected=ANY))
        await asyncio.sleep(0.002)
    assert ["b", "c"] == await store.ids("state", "o", since=made[0].updated)
    assert ["a", "b", "c"] == await store.ids("state", "o", since=made[0].updated - 1)
    again = await store.put(made[0].key, b"2", "text/plain", expected=ANY)
    assert ["a"] == await store.ids("state", "o", since=made[2].updated)
    assert [] == await store.ids("state", "o", since=again.updated)


async def test_one_of_twenty_creators_wins(stores: Stores):
    """Among 20 that create the same document at the same time exactly one succeeds."""
    store = await stores.documents()

    async def create(number: int) -> int | None:
        try:
            await store.put(KEY, b"%d" % number, "text/plain", expected=None)
        except PreconditionFailed:
            return None
        return number

    winners = [winner for winner in await asyncio.gather(*map(create, range(20))) if winner is not None]
    found = await store.get(KEY)
    assert found is not None
    assert [int(found.content)] == winners


async def test_no_update_is_lost(stores: Stores):
    """20 writers that each add one by read, compare and set: the sum is 20, whatever the order."""
    store = await stores.documents()
    await store.put(KEY, b"0", "text/plain", expected=None)

    async def add_one() -> None:
        while True:
            found = await store.get(KEY)
            assert found is not None
            try:
                await store.put(KEY, b"%d" % (int(found.content) + 1), "text/plain", expected=found.etag)
            except PreconditionFailed:
                continue
            return

    await asyncio.gather(*(add_one() for _ in range(20)))
    found = await store.get(KEY)
    assert found is not None
    assert b"20" == found.content


async def test_drop_leaves_others_alone(stores: Stores):
    """``drop`` removes one tenant's documents; those of others stay, and it may be written again."""
    store, other = await stores.documents("a"), await stores.documents("b")
    await store.put(KEY, b"mine", "text/plain", expected=None)
    await other.put(KEY, b"theirs", "text/plain", expected=None)
    await store.drop()
    assert None is await store.get(KEY)
    assert [] == await store.ids(KEY.resource, KEY.owner)
    found = await other.get(KEY)
    assert found is not None
    assert b"theirs" == found.content
    await store.prepare()
    await store.put(KEY, b"again", "text/plain", expected=None)
