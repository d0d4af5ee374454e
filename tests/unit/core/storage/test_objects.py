"""What is decided before an object store is asked: addresses, options, secrets, the folder's layout."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from collegium_core.errors import Conflict, Unavailable
from collegium_core.storage.objects import ObjectBackend, open_objects


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "must be file:///folder or s3://bucket"),
        ("objects", "must be file:///folder or s3://bucket"),
        ("file://host/folder", "must be file:///folder or s3://bucket"),
        ("http://example.org", "must be file:///folder or s3://bucket"),
        ("s3://", "must be file:///folder or s3://bucket"),
        ("s3://bucket?bogus=hush", "unknown options bogus"),
        ("s3://bucket?allow_http=hush", "allow_http"),
        ("s3://bucket?hush", "list of name=value"),
    ],
)
def test_unusable_url(url: str, sentence: str):
    """A wrong address is told by what is wrong with it; the values in it, which may be secrets, are not repeated."""
    with pytest.raises(ValueError, match=sentence) as caught:
        ObjectBackend(url)
    assert "hush" not in str(caught.value)


def test_folder_that_cannot_be_made(tmp_path: Path):
    """A folder that is a file is told in a sentence without the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="the object store cannot be used") as caught:
        ObjectBackend((tmp_path / "file" / "below").as_uri())
    assert str(tmp_path) not in caught.value.detail


@pytest.mark.parametrize("slug", ["", "..", "a/b", "A", "a" * 64])
def test_only_slugs_become_folders(tmp_path: Path, slug: str):
    """What is not a slug is a fault of the caller, never a path."""
    with pytest.raises(ValueError, match="slug"):
        open_objects(tmp_path.as_uri(), slug)


async def test_folder_keeps_the_content_first(tmp_path: Path):
    """A person finds an object as a file of its name, the content at its beginning."""
    store = open_objects((tmp_path / "with space").as_uri(), "t-a")
    await store.put("x/y.txt", b"content", content_type="text/plain")
    assert (tmp_path / "with space" / "t" / "t-a" / "x" / "y.txt").read_bytes().startswith(b"content\n")


@pytest.mark.parametrize("left", [0, 100, 512])
async def test_damaged_file(tmp_path: Path, left: int):
    """A file whose end is missing is told as damaged, not served with a wrong type."""
    store = open_objects(tmp_path.as_uri(), "t-a")
    await store.put("x", b"y" * 1000, content_type="text/plain")
    file = tmp_path / "t" / "t-a" / "x"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(Unavailable, match="damaged"):
        await store.info("x")


async def test_one_of_ten_creators_wins(tmp_path: Path):
    """Among ten that create one object at the same time exactly one succeeds, and its content stands.

    Here and not in the contract suite: the S3 server of the tests looks and stores in two steps, a real one in one.
    """
    store = open_objects(tmp_path.as_uri(), "t-a")

    async def create(number: int) -> bytes | None:
        content = b"%d" % number
        try:
            await store.put("x", content, content_type="text/plain", create=True)
        except Conflict:
            return None
        return content

    winners = [winner for winner in await asyncio.gather(*map(create, range(10))) if winner is not None]
    assert [b"".join([chunk async for chunk in store.read("x")])] == winners


async def test_check_leaves_nothing(tmp_path: Path):
    """``check`` proves that the folder can be written and leaves nothing in it."""
    backend = ObjectBackend(tmp_path.as_uri())
    await backend.check()
    assert [] == list(tmp_path.iterdir())


async def test_bucket_that_is_away():
    """An S3 that does not answer is unavailable, and the sentence holds neither its address nor a key."""
    url = "s3://bucket?endpoint=http%3A%2F%2F127.0.0.1%3A1&region=us-east-1&allow_http=true"
    backend = ObjectBackend(f"{url}&access_key_id=hush&secret_access_key=hush")
    with pytest.raises(Unavailable, match="the object store cannot be used") as caught:
        await backend.check()
    assert "hush" not in caught.value.detail
    assert "127.0.0.1" not in caught.value.detail
