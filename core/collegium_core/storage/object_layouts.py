"""Where objects lie: in a folder or in an S3 bucket, and how each keeps what is not content.

S3 keeps an object's content type beside it; a folder cannot, so there the type follows the content in the same file, in
a trailer of fixed length: one rename makes both visible.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, unquote

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from collegium_core.errors import Unavailable
from collegium_core.files import check_writable

__all__ = ["Layout", "open_bucket", "open_folder"]

_TIMEOUTS: Final = {"connect_timeout": "5s", "timeout": "60s"}
_RETRIES: Final = {"max_retries": 3}
_TRAILER_MARK: Final = b"\ncollegium-object/1 "
_TRAILER_BYTES: Final = 512
_S3_OPTIONS: Final = frozenset(
    {"access_key_id", "allow_http", "endpoint", "region", "secret_access_key", "session_token"}
)


class Layout(Protocol):
    """What differs between a folder and S3."""

    trailer_bytes: int

    @property
    def store(self) -> LocalStore | S3Store:
        """Return obstore's handle."""

    def tail(self, content_type: str) -> bytes:
        """Return what follows the content."""

    def attributes(self, content_type: str) -> dict[str, str] | None:
        """Return what the store keeps beside the content."""

    async def content_type(self, key: str, result: obstore.GetResult) -> str:
        """Return the content type of the object that *result* opened."""

    async def settle(self, key: str) -> None:
        """Make the object at *key* survive a power cut."""

    async def remove(self, folder: str, keys: Sequence[str]) -> None:
        """Delete *keys* and whatever else is left of *folder*."""

    async def check(self) -> None:
        """Raise ``OSError`` or obstore's error when nothing can be stored."""


class _Folder:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.store: LocalStore | S3Store = LocalStore(root, mkdir=True)
        self.trailer_bytes = _TRAILER_BYTES

    def tail(self, content_type: str) -> bytes:
        return (_TRAILER_MARK + content_type.encode()).ljust(_TRAILER_BYTES)

    def attributes(self, content_type: str) -> dict[str, str] | None:  # noqa: ARG002 - the protocol's
        return None

    async def content_type(self, key: str, result: obstore.GetResult) -> str:
        size = result.meta["size"]
        if size < _TRAILER_BYTES:
            raise Unavailable("the object is damaged: its end is missing")
        tail = bytes(await obstore.get_range_async(self.store, key, start=size - _TRAILER_BYTES, end=size))
        if not tail.startswith(_TRAILER_MARK):
            raise Unavailable("the object is damaged: its end is missing")
        return tail[len(_TRAILER_MARK) :].decode().rstrip()

    async def settle(self, key: str) -> None:
        await asyncio.to_thread(_sync, self.root, self.root / key)

    async def remove(self, folder: str, keys: Sequence[str]) -> None:  # noqa: ARG002 - the protocol's
        await asyncio.to_thread(shutil.rmtree, self.root / folder, ignore_errors=False, onerror=_unless_missing)

    async def check(self) -> None:
        await asyncio.to_thread(check_writable, self.root)


class _Bucket:
    def __init__(self, store: S3Store) -> None:
        self.store: LocalStore | S3Store = store
        self.trailer_bytes = 0

    def tail(self, content_type: str) -> bytes:  # noqa: ARG002 - the protocol's
        return b""

    def attributes(self, content_type: str) -> dict[str, str] | None:
        return {"Content-Type": content_type}

    async def content_type(self, key: str, result: obstore.GetResult) -> str:  # noqa: ARG002 - the protocol's
        return str(result.attributes.get("Content-Type", "application/octet-stream"))

    async def settle(self, key: str) -> None:
        """S3 answers when the object is durable."""

    async def remove(self, folder: str, keys: Sequence[str]) -> None:  # noqa: ARG002 - the protocol's
        if keys:
            await obstore.delete_async(self.store, list(keys))

    async def check(self) -> None:
        async for _ in obstore.list(self.store, prefix="t/", chunk_size=1):
            return


def open_folder(root: Path) -> Layout:
    """Return the layout of the folder *root*, which is made if need be.

    :raises OSError: it cannot be made.
    """
    return _Folder(root)


def open_bucket(bucket: str, path: str, query: str) -> Layout:
    """Return the layout of the S3 bucket *bucket*; *path* and *query* are those of its URL.

    :raises ValueError: an option is unknown or not usable; the message names no secret.
    """
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        raise ValueError("the query of the object store's URL is not a list of name=value") from None
    unknown = sorted(given.keys() - _S3_OPTIONS)
    if unknown:
        known = ", ".join(sorted(_S3_OPTIONS))
        raise ValueError(f"the object store's URL has the unknown options {', '.join(unknown)}; known: {known}")
    client: dict[str, Any] = dict(_TIMEOUTS)
    allow_http = given.pop("allow_http", os.environ.get("AWS_ALLOW_HTTP", "false")).lower()
    if allow_http not in {"true", "false"}:
        raise ValueError("allow_http in the object store's URL must be true or false")
    client["allow_http"] = allow_http == "true"
    try:
        store = S3Store(
            bucket,
            prefix=unquote(path).strip("/") or None,
            client_options=client,  # type: ignore[arg-type]
            retry_config=_RETRIES,  # type: ignore[arg-type]
            virtual_hosted_style_request=False,
            copy_if_not_exists="multipart",
            **given,  # type: ignore[arg-type]
        )
    except BaseError:
        raise ValueError("the object store's URL or the AWS_… environment is not usable") from None
    return _Bucket(store)


def _sync(root: Path, file: Path) -> None:
    # The content, then the folders that name it, up to the root.
    for path in (file, *file.parents):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if path == root:
            return


def _unless_missing(_function: object, _path: str, error: tuple[Any, BaseException, Any]) -> None:
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]
