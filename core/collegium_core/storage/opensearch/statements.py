"""The statement store on OpenSearch: bulk writes that may be repeated, keyset pages, realtime look-ups."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import msgspec
import structlog

from collegium_core.errors import Problem, Unavailable
from collegium_core.lrs.compare import equivalent
from collegium_core.lrs.query import Place, StatementQuery
from collegium_core.lrs.record import StoredStatement
from collegium_core.storage.opensearch import builder, reader
from collegium_core.storage.opensearch.catalog import Catalog
from collegium_core.storage.opensearch.client import Client, Refused
from collegium_core.storage.opensearch.placement import Target
from collegium_core.storage.ports import IndexedStatement, Rejection

__all__ = ["OpenSearchStatements"]

_log = structlog.get_logger()
_LOOKUP_AT_ONCE: Final = 1_000
# A client waits for this look-up before its statements are taken: a store that hangs must not hold them up.
_EXISTING_SECONDS: Final = 2.0
# Some hosted clusters take no request above 10 MB.
_BULK_BYTES: Final = 4 * 1024 * 1024
_BACKOFF_SECONDS: Final = (0.1, 0.3, 1.0, 2.0)
# An index keeps the newest first, so a page of the oldest has to look at everything in its range: it is read in spans
# of time, each much longer than the last, until the page is full. Microseconds, and the factor.
_FIRST_SPAN: Final = 10_000_000
_SPAN_GROWTH: Final = 60
_ITEM_REPLY: Final = "items.*.status,items.*.error.type,items.*.error.reason"
# Seconds after which the cluster stops a search that nobody waits for any more.
_SEARCH_PARAMS: Final = {"allow_partial_search_results": "false", "cancel_after_time_interval": "30s"}


class OpenSearchStatements:
    """One tenant's statements; implements :class:`collegium_core.storage.ports.StatementStore`.

    :param target: the tenant's part of an index.
    :param backoff: seconds to wait before each repetition of what a busy cluster did not take.
    """

    def __init__(
        self, client: Client, catalog: Catalog, target: Target, *, backoff: Sequence[float] = _BACKOFF_SECONDS
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._target = target
        self._backoff = tuple(backoff)

    async def prepare(self) -> None:
        """Make the index if it is not there."""
        await self._catalog.prepare(self._target)

    async def existing(self, ids: Collection[str]) -> frozenset[str]:
        """Return those of *ids* that are stored; realtime.

        :raises Unavailable: also when the store has not answered within two seconds.
        """
        found: frozenset[str] = frozenset()
        for part in _parts(list(ids)):
            params = builder.routed(self._target, _source="false", filter_path="docs._id,docs.found,docs.error.type")
            answer = await self._lookup(part, params, timeout=_EXISTING_SECONDS)
            found |= reader.read_existing(answer, self._target)
        return found

    async def get(self, statement_ids: Sequence[str]) -> dict[str, StoredStatement]:
        """Return the stored statements among *statement_ids* by id; realtime."""
        found: dict[str, StoredStatement] = {}
        for part in _parts(list(dict.fromkeys(statement_ids))):
            found |= reader.read_statements_by_id(await self._lookup(part, builder.routed(self._target)), self._target)
        return found

    async def write(self, statements: Sequence[IndexedStatement]) -> list[Rejection]:
        """Store *statements*; see the port. Searchable on return: each bulk refreshes the shards it wrote to.

        :raises Unavailable: whatever is wrong with the store, the index or the way there: these statements were
            acknowledged, and are rejected for nothing but what they hold themselves.
        """
        try:
            return await self._write_all(statements)
        except Unavailable:
            raise
        except (Problem, Refused, msgspec.MsgspecError) as error:
            # An index that is not ours, a mapping that stands in the way, an answer that is none.
            _log.error("statements_not_written", index=self._target.index, error=type(error).__name__)
            raise Unavailable("the search store cannot take statements at present", retry_after_seconds=30) from error

    async def _write_all(self, statements: Sequence[IndexedStatement]) -> list[Rejection]:
        rejections: list[Rejection] = []
        taken: list[StoredStatement] = []
        chunk: dict[int, bytes] = {}
        size = 0
        for number, item in enumerate(statements):
            try:
                line = builder.statement_line(self._target, item)
            except (UnicodeDecodeError, UnicodeEncodeError) as error:
                rejections.append(Rejection(id=item.statement.id, reason=f"not text: {error.reason}"))
                continue
            if chunk and size + len(line) > _BULK_BYTES:
                await self._write(statements, chunk, rejections, taken)
                chunk, size = {}, 0
            chunk[number] = line
            size += len(line)
        if chunk:
            await self._write(statements, chunk, rejections, taken)
        if taken:
            rejections += await self._compare(taken)
            # Who wrote these may have died before its refresh, and a bulk that stores nothing refreshes nothing.
            await self._catalog.refresh(self._target)
        return rejections

    async def find(
        self, query: StatementQuery, *, through: int, after: Place | None, limit: int
    ) -> list[StoredStatement]:
        """Return one page in order of (stored, position); see the port."""
        top = through if query.until is None else min(through, query.until)
        lower: int | None = None
        if query.ascending:
            lower = await self._beginning(query, after)
            if lower is None:
                return []
        span = _FIRST_SPAN
        found: list[StoredStatement] = []
        while len(found) < limit:
            size = min(limit - len(found), builder.PAGE)
            edge = top if lower is None else min(top, lower + span)
            page = await self._page(query, through=edge, after=after, limit=size)
            found += page
            if len(page) == size:
                after = Place(stored=page[-1].stored, position=page[-1].position)
            elif edge == top:
                break
            else:
                query, after, lower = msgspec.structs.replace(query, since=edge), None, edge
                span *= _SPAN_GROWTH
        return found

    async def count(self) -> int:
        """Return how many statements are searchable."""
        answer = await self._client.call(
            "POST",
            self._target.path("_count"),
            params=builder.routed(self._target, preference=self._target.slug),
            body=builder.count(self._target),
            accept={404},
        )
        return 0 if answer.status == 404 else reader.read_count(answer.body)

    async def drop(self) -> None:
        """Delete the tenant's index, or its statements in the pooled one."""
        await self._catalog.remove(self._target)

    async def _page(
        self, query: StatementQuery, *, through: int, after: Place | None, limit: int
    ) -> list[StoredStatement]:
        body = builder.find_statements(self._target, query, through=through, after=after, limit=limit)
        # One tenant's searches go to the same copies, so that pages fit together.
        params = builder.routed(self._target, preference=self._target.slug, **_SEARCH_PARAMS)
        answer = await self._client.call("POST", self._target.path("_search"), params=params, body=body, accept={404})
        return [] if answer.status == 404 else reader.read_statements(answer.body, self._target)

    async def _beginning(self, query: StatementQuery, after: Place | None) -> int | None:
        """Return an instant before which a list of the oldest holds nothing, microseconds; none where all is empty."""
        if after is not None:
            return max(after.stored, query.since or 0)
        if query.since is not None:
            return query.since
        params = builder.routed(self._target, preference=self._target.slug, **_SEARCH_PARAMS)
        body = builder.first_stored(self._target)
        answer = await self._client.call("POST", self._target.path("_search"), params=params, body=body, accept={404})
        return None if answer.status == 404 else reader.read_first_stored(answer.body)

    async def _lookup(
        self,
        names: Sequence[str],
        params: dict[str, str],
        timeout: float | None = None,  # noqa: ASYNC109 - the transport stops the request itself
    ) -> bytes:
        body = builder.lookup(self._target, names)
        answer = await self._client.call("POST", self._target.path("_mget"), params=params, body=body, timeout=timeout)
        return answer.body

    async def _write(
        self,
        statements: Sequence[IndexedStatement],
        chunk: dict[int, bytes],
        rejections: list[Rejection],
        taken: list[StoredStatement],
    ) -> None:
        """Store *chunk* (lines by number in *statements*), adding to *rejections* and to *taken*, whose ids exist."""
        pending = chunk
        for pause in (*self._backoff, None):
            outcomes = await self._bulk(pending)
            if len(outcomes) != len(pending):
                raise Unavailable("the search store answers for other statements than it was sent")
            again: dict[int, bytes] = {}
            last: reader.Outcome | None = None
            for (number, line), outcome in zip(pending.items(), outcomes, strict=True):
                statement = statements[number].statement
                if outcome.status == 409:
                    taken.append(statement)
                elif outcome.is_final:
                    rejections.append(Rejection(id=statement.id, reason=f"{outcome.kind}: {outcome.reason}"))
                elif outcome.status >= 300:
                    again[number], last = line, outcome
            if last is None:
                return
            if pause is None:
                # Not the reason: it may quote a statement.
                _log.error("statements_not_taken", index=self._target.index, status=last.status, kind=last.kind)
                break
            if any(outcome.needs_index for outcome in outcomes):
                await self._catalog.prepare(self._target)
            else:
                await asyncio.sleep(pause)
            pending = again
        raise Unavailable("the search store does not take statements at present", retry_after_seconds=5)

    async def _bulk(self, lines: dict[int, bytes]) -> list[reader.Outcome]:
        params = builder.routed(
            self._target, refresh="true", require_alias="true", timeout="20s", filter_path=_ITEM_REPLY
        )
        path = f"/{self._target.alias}/_bulk"
        try:
            answer = await self._client.call("POST", path, params=params, body=b"".join(lines.values()))
        except Refused as refusal:
            outcome = reader.Outcome(status=refusal.status, kind=refusal.kind, reason=refusal.reason)
            if len(lines) == 1 or not outcome.is_final:
                return [outcome] * len(lines)
            # The request as a whole is too large, or one statement in it. Halving finds which.
            numbers = list(lines)
            middle = len(numbers) // 2
            first = await self._bulk({number: lines[number] for number in numbers[:middle]})
            return first + await self._bulk({number: lines[number] for number in numbers[middle:]})
        return reader.read_outcomes(answer.body)

    async def _compare(self, taken: Sequence[StoredStatement]) -> list[Rejection]:
        present = await self.get([statement.id for statement in taken])
        rejections = []
        for statement in taken:
            other = present.get(statement.id)
            if other is None:
                raise Unavailable("a statement vanished while it was compared")
            if other.position != statement.position and not equivalent(other.raw, statement.raw):
                rejections.append(Rejection(id=statement.id, reason="conflict"))
        return rejections


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _LOOKUP_AT_ONCE):
        yield ids[start : start + _LOOKUP_AT_ONCE]
