"""Files of tenants (attachments, artifacts) in a folder or in S3: ``t/<slug>/<path>``, written whole or not at all.

A path's segments are percent-encoded in keys, so that every store takes every path and no path leaves its tenant.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from collegium_core.errors import BadRequest, Conflict, NotFound, Unavailable
from collegium_core.ids import new_id
from collegium_core.storage.object_layouts import Layout, open_bucket, open_folder
from collegium_core.storage.ports import ObjectInfo
from collegium_core.tenancy.names import is_slug

__all__ = ["ObjectBackend", "TenantObjects", "open_objects"]

# The shortest limits among the stores: 255 bytes for a file's name, some of which are needed while it is written, and
# 1,024 for an S3 key.
_MAX_SEGMENT_BYTES: Final = 240
_MAX_PATH_BYTES: Final = 900
_MAX_TYPE_BYTES: Final = 400
# Up to here a stream is one request; beyond, S3 takes it in parts of this size.
_PART_BYTES: Final = 8 * 1024 * 1024
_CHUNK_BYTES: Final = 256 * 1024
_PARTS_AT_ONCE: Final = 2
_INCOMING: Final = ".incoming"  # an encoded segment never begins with a dot


class ObjectBackend:
    """One object store, shared by all tenants.

    :param url: ``file:///folder``, or ``s3://bucket/prefix`` with the options ``endpoint``, ``region``,
        ``access_key_id``, ``secret_access_key``, ``session_token`` and ``allow_http=true`` in its query; what is not
        there comes from the usual ``AWS_…`` environment variables or the instance's role.
    :raises ValueError: the URL is neither; the message names no secret.
    :raises Unavailable: the folder cannot be made.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
            with _clear_errors():
                self._layout: Layout = open_folder(Path(unquote(parts.path)))
        elif parts.scheme == "s3" and parts.netloc:
            self._layout = open_bucket(parts.netloc, parts.path, parts.query)
        else:
            raise ValueError("the object store's URL must be file:///folder or s3://bucket")

    def objects(self, slug: str) -> TenantObjects:
        """Return the object store of one tenant; no I/O."""
        if not is_slug(slug):
            raise ValueError(f"{slug!r} is not a tenant's slug")
        return TenantObjects(self._layout, slug)

    async def check(self) -> None:
        """Check that the store is reachable.

        :raises Unavailable: it is not.
        """
        with _clear_errors():
            await self._layout.check()

    async def close(self) -> None:
        """Nothing stays open between calls; here so that every backend is closed alike."""


def open_objects(url: str, slug: str) -> TenantObjects:
    """Return the object store of the tenant *slug* at *url* (see :class:`ObjectBackend`)."""
    return ObjectBackend(url).objects(slug)


class TenantObjects:
    """A :class:`collegium_core.storage.ports.ObjectStore` for one tenant."""

    def __init__(self, layout: Layout, slug: str) -> None:
        self._layout = layout
        self._folder = f"t/{slug}"

    async def put(
        self, path: str, content: bytes | AsyncIterator[bytes], *, content_type: str, create: bool = False
    ) -> ObjectInfo:
        """Store *content* at *path*; with *create* only where nothing is."""
        key = self._key(path)
        _check_type(content_type)
        source = _Source(content)
        with source.own_errors(), _clear_errors(), _conflict_if_exists():
            if isinstance(content, bytes):
                await self._put_whole(key, content, content_type, create=create)
            else:
                await self._put_stream(key, aiter(source), content_type, create=create)
            await self._layout.settle(key)
        info = await self.info(path)
        if info is None:
            raise Conflict("the object was deleted while it was being stored")
        return info

    async def info(self, path: str) -> ObjectInfo | None:
        """Return what is known of the object at *path*, None when there is none."""
        key = self._key(path)
        with _clear_errors():
            try:
                result = await obstore.get_async(self._layout.store, key, options={"head": True})
                content_type = await self._layout.content_type(key, result)
            except FileNotFoundError:
                return None
        meta = result.meta
        return ObjectInfo(path, meta["size"] - self._layout.trailer_bytes, content_type, meta["e_tag"] or "")

    async def read(self, path: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes from *start* to *end* (exclusive); nothing beyond the object's end."""
        key = self._key(path)
        store = self._layout.store
        with _clear_errors():
            try:
                meta = await obstore.head_async(store, key)
            except FileNotFoundError:
                raise NotFound("there is no object at this path") from None
        size = meta["size"] - self._layout.trailer_bytes
        stop = size if end is None else min(end, size)
        # In pieces, so that each request has a time limit; held together by the tag, so that they are of one object.
        for begin in range(max(start, 0), stop, _PART_BYTES):
            options: dict[str, Any] = {"range": (begin, min(begin + _PART_BYTES, stop)), "if_match": meta["e_tag"]}
            with _clear_errors():
                result = await obstore.get_async(store, key, options=options)  # type: ignore[arg-type]
                async for chunk in result.stream(min_chunk_size=_CHUNK_BYTES):
                    yield bytes(chunk)

    async def delete(self, path: str) -> None:
        """Delete the object at *path*, if there is one."""
        with _clear_errors(), contextlib.suppress(FileNotFoundError):
            await obstore.delete_async(self._layout.store, self._key(path))

    async def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Yield the objects below the folder *prefix* in order of path; their content type is left empty."""
        folder = self._key(prefix) if prefix else self._folder
        found = []
        async for key, size, etag in self._keys(folder):
            if key.split("/", 3)[2] != _INCOMING:
                path = "/".join(unquote(segment) for segment in key.split("/")[2:])
                found.append(ObjectInfo(path, size - self._layout.trailer_bytes, "", etag))
        for info in sorted(found, key=lambda info: info.path):
            yield info

    async def drop(self) -> None:
        """Delete everything of this tenant."""
        with _clear_errors():
            await self._layout.remove(self._folder, [key async for key, _, _ in self._keys(self._folder)])

    async def _keys(self, folder: str) -> AsyncIterator[tuple[str, int, str]]:
        with _clear_errors():
            async for page in obstore.list(self._layout.store, prefix=folder):
                for meta in page:
                    yield meta["path"], meta["size"], meta["e_tag"] or ""

    async def _put_whole(self, key: str, content: bytes, content_type: str, *, create: bool) -> None:
        await obstore.put_async(
            self._layout.store,
            key,
            content + self._layout.tail(content_type),
            attributes=self._layout.attributes(content_type),
            mode="create" if create else "overwrite",
            use_multipart=False,
        )

    async def _put_stream(self, key: str, content: AsyncIterator[bytes], content_type: str, *, create: bool) -> None:
        head = bytearray()
        async for chunk in content:
            head += chunk
            if len(head) > _PART_BYTES:
                break
        else:
            await self._put_whole(key, bytes(head), content_type, create=create)
            return
        # No store takes a stream on condition that nothing is there; all can rename on that condition.
        target = f"{self._folder}/{_INCOMING}/{new_id()}" if create else key
        await obstore.put_async(
            self._layout.store,
            target,
            _joined(bytes(head), content, self._layout.tail(content_type)),
            attributes=self._layout.attributes(content_type),
            chunk_size=_PART_BYTES,
            max_concurrency=_PARTS_AT_ONCE,
        )
        if create:
            try:
                await obstore.rename_async(self._layout.store, target, key, overwrite=False)
            except BaseException:
                await obstore.delete_async(self._layout.store, target)
                raise

    def _key(self, path: str) -> str:
        segments = path.split("/")
        for segment in segments:
            if segment in {"", ".", ".."} or any(ord(character) < 32 or character == "\x7f" for character in segment):
                raise BadRequest("an object's path must not have empty segments, '.', '..' or control characters")
        try:
            encoded = [_encode(segment) for segment in segments]
        except UnicodeEncodeError:
            raise BadRequest("an object's path must be valid Unicode") from None
        key = "/".join(encoded)
        if len(key) > _MAX_PATH_BYTES or max(map(len, encoded)) > _MAX_SEGMENT_BYTES:
            raise BadRequest(
                f"an object's path has at most {_MAX_PATH_BYTES} bytes, {_MAX_SEGMENT_BYTES} between two slashes"
            )
        return f"{self._folder}/{key}"


def _encode(segment: str) -> str:
    encoded = quote(segment, safe=" !$&'()+,;=@")
    return f"%2E{encoded[1:]}" if encoded.startswith(".") else encoded


def _check_type(content_type: str) -> None:
    if not content_type.isascii() or not content_type.isprintable() or not content_type.strip():
        raise BadRequest("a content type consists of printable ASCII characters")
    if len(content_type) > _MAX_TYPE_BYTES:
        raise BadRequest(f"a content type has at most {_MAX_TYPE_BYTES} characters")


class _Source:
    """The sender's stream: what goes wrong in it is not the store's error, and reaches the caller as it is."""

    def __init__(self, content: bytes | AsyncIterator[bytes]) -> None:
        self._content = content
        self._fault: BaseException | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self._content, bytes):
            yield self._content
            return
        try:
            async for chunk in self._content:
                yield chunk
        except BaseException as error:
            self._fault = error
            raise

    @contextlib.contextmanager
    def own_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception:
            if self._fault is not None:
                raise self._fault from None
            raise


async def _joined(head: bytes, rest: AsyncIterator[bytes], tail: bytes) -> AsyncIterator[bytes]:
    yield head
    async for chunk in rest:
        yield chunk
    if tail:
        yield tail


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    # The library's messages hold addresses and debug output: they stay in the chained exception.
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable(f"the object store cannot be used: {os.strerror(error.errno or 0)}") from error
    except BaseError as error:
        raise Unavailable(f"the object store cannot be used ({type(error).__name__})") from error


@contextlib.contextmanager
def _conflict_if_exists() -> Iterator[None]:
    try:
        yield
    except AlreadyExistsError:
        raise Conflict("there is an object at this path already") from None
