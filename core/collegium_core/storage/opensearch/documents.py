"""The document store on OpenSearch: compare-and-set by sequence number, realtime reads."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Final

from collegium_core.errors import PayloadTooLarge, PreconditionFailed, Unavailable
from collegium_core.storage.opensearch import builder, reader
from collegium_core.storage.opensearch.catalog import Catalog
from collegium_core.storage.opensearch.client import Client, Refused
from collegium_core.storage.opensearch.placement import Target
from collegium_core.storage.ports import Document, DocumentKey, Expectation

__all__ = ["OpenSearchDocuments"]

# How often a write is repeated that met another between its reading and its writing.
_ATTEMPTS: Final = 8
_ITEM_REPLY: Final = "items.*.status,items.*.error.type,items.*.error.reason"
_SEARCH_PARAMS: Final = {"allow_partial_search_results": "false", "cancel_after_time_interval": "30s"}


def _now() -> int:
    return time.time_ns() // 1_000


class OpenSearchDocuments:
    """One tenant's documents; implements :class:`collegium_core.storage.ports.DocumentStore`.

    :param target: the tenant's part of an index.
    :param clock: microseconds since 1970.
    """

    def __init__(self, client: Client, catalog: Catalog, target: Target, *, clock: Callable[[], int] = _now) -> None:
        self._client = client
        self._catalog = catalog
        self._target = target
        self._clock = clock

    async def prepare(self) -> None:
        """Make the index if it is not there."""
        await self._catalog.prepare(self._target)

    async def get(self, key: DocumentKey) -> Document | None:
        """Return the document, realtime."""
        found = await self._read(key)
        return None if found is None else found[0]

    async def put(self, key: DocumentKey, content: bytes, content_type: str, *, expected: Expectation) -> Document:
        """Store *content* under *key* if *expected* holds.

        :raises PreconditionFailed: it does not.
        :raises Unavailable: also when the connection broke before the answer; the write may have happened then.
        """
        document = Document(
            key=key,
            content=content,
            content_type=content_type,
            etag=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
            updated=self._clock(),
        )
        for _ in range(_ATTEMPTS):
            version = await self._expect(key, expected) if isinstance(expected, str) else None
            line = builder.document_line(self._target, document, version=version, create=expected is None)
            outcome = await self._send(line)
            if outcome.status < 300:
                return document
            if outcome.status != 409:
                raise _failure(outcome)
            if expected is None:
                raise PreconditionFailed("a document stands there already")
        raise Unavailable("the document is being written by too many at a time")

    async def delete(self, key: DocumentKey, *, expected: Expectation) -> bool:
        """Delete if *expected* holds; return whether something was there.

        :raises PreconditionFailed: it does not.
        """
        if expected is None:
            if await self._read(key) is not None:
                raise PreconditionFailed("a document stands there")
            return False
        for _ in range(_ATTEMPTS):
            version = await self._expect(key, expected) if isinstance(expected, str) else None
            outcome = await self._send_once(
                self._target.path("_bulk"), builder.document_deletion(self._target, key, version=version)
            )
            if outcome.status < 300:
                return True
            if outcome.status == 404:
                return False
            if outcome.status != 409:
                raise _failure(outcome)
        raise Unavailable("the document is being written by too many at a time")

    async def ids(self, resource: str, owner: str, *, since: int | None = None) -> list[str]:
        """Return the ids, sorted, of documents updated after *since*; refreshes first, so all writes are seen."""
        if not await self._catalog.refresh(self._target):
            return []
        found: list[str] = []
        after: str | None = None
        while True:
            body = builder.find_document_ids(self._target, resource, owner, since=since, after=after)
            params = builder.routed(self._target, preference=self._target.slug, **_SEARCH_PARAMS)
            answer = await self._client.call(
                "POST", self._target.path("_search"), params=params, body=body, accept={404}
            )
            if answer.status == 404:
                return []
            page, after = reader.read_document_ids(answer.body, self._target)
            found += page
            if len(page) < builder.PAGE:
                return sorted(found)

    async def drop(self) -> None:
        """Delete the tenant's index, or its documents in the pooled one."""
        await self._catalog.remove(self._target)

    async def _read(self, key: DocumentKey) -> tuple[Document, reader.Version] | None:
        answer = await self._client.call(
            "POST",
            self._target.path("_mget"),
            params=builder.routed(self._target),
            body=builder.lookup(self._target, [builder.digest_key(key)]),
        )
        return reader.read_document(answer.body, self._target)

    async def _expect(self, key: DocumentKey, etag: str) -> reader.Version:
        found = await self._read(key)
        if found is None or found[0].etag != etag:
            raise PreconditionFailed("the document is not the expected one any more")
        return found[1]

    async def _send(self, line: bytes) -> reader.Outcome:
        """Write one document, making the index if it is not there."""
        path = f"/{self._target.alias}/_bulk"
        outcome = await self._send_once(path, line, require_alias="true")
        if not outcome.needs_index:
            return outcome
        await self._catalog.prepare(self._target)
        return await self._send_once(path, line, require_alias="true")

    async def _send_once(self, path: str, line: bytes, **options: str) -> reader.Outcome:
        """Send a bulk of one item: unlike a URL it may hold a client's ids."""
        params = builder.routed(self._target, timeout="20s", filter_path=_ITEM_REPLY, **options)
        try:
            answer = await self._client.call("POST", path, params=params, body=line)
        except Refused as refusal:
            return reader.Outcome(status=refusal.status, kind=refusal.kind, reason=refusal.reason)
        (outcome,) = reader.read_outcomes(answer.body)
        return outcome


def _failure(outcome: reader.Outcome) -> Exception:
    if outcome.status == 413:
        return PayloadTooLarge("the document is larger than the search store takes")
    if outcome.is_final:
        return Refused(outcome.status, outcome.kind, outcome.reason)
    return Unavailable(f"the search store answers {outcome.status} {outcome.kind}".rstrip())
