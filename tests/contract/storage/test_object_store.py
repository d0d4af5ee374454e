"""What every object store does: whole objects under safe paths, each tenant its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from collegium_core.errors import BadRequest, Conflict, NotFound
from collegium_core.storage.ports import ObjectInfo, ObjectStore

from .conftest import ObjectStores

MIB = 1024 * 1024


async def stream(*chunks: bytes, fail: bool = False) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if fail:
        raise ConnectionResetError("the client went away")


async def content_of(store: ObjectStore, path: str, *, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.read(path, start=start, end=end)])


async def paths_of(store: ObjectStore, prefix: str = "") -> list[str]:
    return [info.path async for info in store.list(prefix)]


@pytest.mark.parametrize("streamed", [False, True], ids=["bytes", "stream"])
@pytest.mark.parametrize("size", [0, 1, 1000, 9 * MIB, 20 * MIB + 7])
async def test_content_is_kept(object_stores: ObjectStores, size: int, streamed: bool):
    """An object comes back with its bytes, its size and its type, however it came and however large it is."""
    store = object_stores.tenant()
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    chunks = [content[start : start + MIB] for start in range(0, size, MIB)]
    put = await store.put("a/b", stream(*chunks) if streamed else content, content_type="application/x-y; z=1")
    assert ObjectInfo("a/b", size, "application/x-y; z=1", put.etag) == put
    assert put.etag
    assert put == await store.info("a/b")
    assert content == await content_of(store, "a/b")


async def test_ranges(object_stores: ObjectStores):
    """``start`` is inclusive, ``end`` exclusive, and nothing lies beyond the end."""
    store = object_stores.tenant()
    content = bytes(range(256)) * 40_000
    await store.put("x", content, content_type="text/plain")
    size = len(content)
    for start, end in [(0, 0), (5, 9), (size - 3, None), (size - 3, size + 900), (size, None), (size + 9, size + 99)]:
        assert content[start:end] == await content_of(store, "x", start=start, end=end)
    assert content[8 * MIB - 2 : 8 * MIB + 2] == await content_of(store, "x", start=8 * MIB - 2, end=8 * MIB + 2)
    assert content[3:-3] == await content_of(store, "x", start=3, end=size - 3)


async def test_nothing_there(object_stores: ObjectStores):
    """An absent object has no information, cannot be read, and deleting it is fine."""
    store = object_stores.tenant()
    assert None is await store.info("none")
    with pytest.raises(NotFound):
        await content_of(store, "none")
    await store.delete("none")
    assert [] == await paths_of(store)
    await store.drop()


async def test_overwriting(object_stores: ObjectStores):
    """A second ``put`` replaces content, type and tag."""
    store = object_stores.tenant()
    first = await store.put("x", b"one", content_type="text/plain")
    second = await store.put("x", b"second", content_type="text/html")
    assert first.etag != second.etag
    assert (6, "text/html", b"second") == (second.size, second.content_type, await content_of(store, "x"))


@pytest.mark.parametrize("size", [3, 9 * MIB], ids=["small", "in parts"])
async def test_create_only(object_stores: ObjectStores, size: int):
    """With ``create`` an object that is there stays as it is, and no trace of the other is left."""
    store = object_stores.tenant()
    first = await store.put("x", stream(b"1" * size), content_type="text/plain", create=True)
    for content in (b"2" * size, stream(b"2" * size)):
        with pytest.raises(Conflict):
            await store.put("x", content, content_type="text/html", create=True)
    assert first == await store.info("x")
    assert b"1" * size == await content_of(store, "x")
    assert ["x"] == await paths_of(store)


@pytest.mark.parametrize("create", [False, True], ids=["put", "create"])
@pytest.mark.parametrize("size", [1, 9], ids=["small", "in parts"])
async def test_broken_stream_leaves_nothing(object_stores: ObjectStores, size: int, create: bool):
    """When the sender goes away in the middle no object appears, and one that was there stays whole."""
    store = object_stores.tenant()
    await store.put("old", b"whole", content_type="text/plain")
    for path in ("new", *(() if create else ("old",))):
        with pytest.raises(ConnectionResetError):
            await store.put(path, stream(*[bytes(MIB)] * size, fail=True), content_type="a/b", create=create)
    assert ["old"] == await paths_of(store)
    assert b"whole" == await content_of(store, "old")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../b",
        "a/../b",
        "a/./b",
        "a\x00b",
        "a\nb",
        "\x7f",
        "a" * 241,
        "é" * 50,
        "a/" * 460 + "a",
        "\ud800",
    ],
)
async def test_unsafe_paths_are_refused(object_stores: ObjectStores, path: str):
    """A path that could leave the tenant or that some store does not take is a bad request everywhere."""
    store = object_stores.tenant()
    with pytest.raises(BadRequest):
        await store.put(path, b"", content_type="a/b")
    with pytest.raises(BadRequest):
        await store.info(path)
    with pytest.raises(BadRequest):
        await content_of(store, path)
    with pytest.raises(BadRequest):
        await store.delete(path)


@pytest.mark.parametrize("content_type", ["", " ", "a/b\r\nx: y", "a/é", "a" * 401])
async def test_unusable_content_types_are_refused(object_stores: ObjectStores, content_type: str):
    """A type that could not be sent as a header is a bad request, and nothing is stored."""
    store = object_stores.tenant()
    with pytest.raises(BadRequest):
        await store.put("x", b"", content_type=content_type)
    assert None is await store.info("x")


async def test_every_other_path_is_kept_and_listed_in_order(object_stores: ObjectStores):
    """Names that mean something to a file system, a URL or a library are names like others here."""
    store = object_stores.tenant()
    paths = [
        *(
            "#1",
            "%2E%2E",
            "+",
            " ",
            ".hidden",
            ".incoming/x",
            "..a",
            "Z",
            "a b",
            "a#1",
            "a/b.c",
            "a/é/x",
            "a?b",
            "a\\b",
        ),
        *("~", "é", "😀", "report#12", "c:", "*", "a&b=c;d", "x" * 240),
    ]
    for path in paths:
        await store.put(path, path.encode(), content_type="text/plain", create=True)
    assert sorted(paths) == await paths_of(store)
    for path in paths:
        assert path.encode() == await content_of(store, path)


async def test_listing_a_folder(object_stores: ObjectStores):
    """A prefix is a folder: what only begins alike is not in it. Sizes and tags are those of ``info``."""
    store = object_stores.tenant()
    for path in ("a/2", "a/1", "ab/3", "a.b", "b"):
        await store.put(path, path.encode(), content_type="text/plain")
    assert ["a/1", "a/2"] == await paths_of(store, "a")
    assert [] == await paths_of(store, "none")
    listed = [info async for info in store.list("a")]
    known = [await store.info("a/1"), await store.info("a/2")]
    assert [(one.path, one.size, one.etag) for one in known if one] == [(i.path, i.size, i.etag) for i in listed]


async def test_tenants_do_not_meet(object_stores: ObjectStores):
    """Two tenants use the same paths: neither sees, changes or drops the other's objects."""
    one, two = object_stores.tenant("a"), object_stores.tenant("a-b")
    await one.put("x/y", b"one", content_type="text/plain", create=True)
    await two.put("x/y", b"two", content_type="text/plain", create=True)
    await two.put("z", b"two", content_type="text/plain")
    assert ["x/y"] == await paths_of(one)
    await two.delete("x/y")
    assert b"one" == await content_of(one, "x/y")
    await one.drop()
    assert ([], ["z"]) == (await paths_of(one), await paths_of(two))
    await one.put("x/y", b"again", content_type="text/plain", create=True)


async def test_backend_answers(object_stores: ObjectStores):
    """``check`` returns when the store can be used."""
    await object_stores.backend.check()
