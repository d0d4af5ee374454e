"""What OpenSearch answers, decoded into the types it has, and checked: no document of another tenant passes.

The builder's filter and the ``_id`` keep other tenants' documents out; this is the second wall. It stands in the way of
gets as well, for which a filtered alias would not filter. A foreign document is a fault of ours, never of the caller:
the answer is withheld as a whole and the log tells.
"""

from __future__ import annotations

import base64
from typing import Any, Final, Generic, TypeVar

import msgspec
import structlog

from collegium_core.errors import Problem, Unavailable
from collegium_core.lrs.record import Missing, StoredStatement
from collegium_core.storage.opensearch.placement import Target
from collegium_core.storage.ports import Document, DocumentKey

__all__ = [
    "ForeignDocument",
    "IndexMeta",
    "IndexState",
    "Outcome",
    "Version",
    "read_count",
    "read_document",
    "read_document_ids",
    "read_erasure",
    "read_existing",
    "read_first_stored",
    "read_index",
    "read_outcomes",
    "read_refresh",
    "read_statements",
    "read_statements_by_id",
]

_log = structlog.get_logger()
_REASON_LENGTH: Final = 500
_NO_INDEX: Final = "index_not_found_exception"
_NO_FIELD: Final = "strict_dynamic_mapping_exception"
# What OpenSearch 3 says of a document that it will never take. All else that it refuses with 400 is of the index, and
# passes: closed, no room for its shards, an alias or a pipeline that is wrong, as many documents as a shard can hold.
_UNREADABLE: Final = "mapper_parsing_exception"
_IMMENSE: Final = ("illegal_argument_exception", "Document contains at least one immense term")
_Source = TypeVar("_Source")


class ForeignDocument(Problem):
    """500: an answer held a document that is not the tenant's. It was withheld."""


class Version(msgspec.Struct, frozen=True, gc=False):
    """Which write of a document one has seen, for compare-and-set."""

    sequence: int
    term: int


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of one item of a bulk: an HTTP status, and an error's type and sentence if it is one."""

    status: int
    kind: str = ""
    reason: str = ""

    @property
    def is_final(self) -> bool:
        """Whether it is the document that is refused, for what it holds or for its size: repeating cannot help."""
        if self.status == 413:
            return True
        kind, beginning = _IMMENSE
        return self.status == 400 and (
            self.kind == _UNREADABLE or (self.kind == kind and self.reason.startswith(beginning))
        )

    @property
    def needs_index(self) -> bool:
        """Whether there is no index to write to, or one that an older version made and that lacks a field."""
        return self.kind in {_NO_INDEX, _NO_FIELD}


class IndexMeta(msgspec.Struct, rename={"kind": "class"}):
    """What an index says of itself; see :func:`.mappings.meta`."""

    schema: int = 0
    kind: str = ""
    tenant: str = ""
    owner: str = ""


class IndexState(msgspec.Struct, frozen=True):
    """An index that is there: what it says of itself, and the names it goes by beside its own."""

    meta: IndexMeta
    aliases: frozenset[str]


class _Cause(msgspec.Struct):
    type: str = ""
    reason: str | None = ""


class _Statement(msgspec.Struct, gc=False):
    # The keys are not read: decoding them would cost as much again.
    tenant: str
    id: str
    stored: int
    position: int
    missing: int
    version: str
    authority: str
    raw: str


class _Name(msgspec.Struct, gc=False):
    tenant: str
    resource: str
    owner: str
    id: str


class _Document(_Name):
    updated: int
    content_type: str
    etag: str
    content: str


class _Hit(msgspec.Struct, Generic[_Source], rename={"id": "_id", "source": "_source"}):
    id: str
    source: _Source
    sort: tuple[msgspec.Raw, ...] = ()


class _Hits(msgspec.Struct, Generic[_Source]):
    hits: list[_Hit[_Source]]


class _Search(msgspec.Struct, Generic[_Source]):
    hits: _Hits[_Source]


class _Got(
    msgspec.Struct,
    Generic[_Source],
    rename={"id": "_id", "source": "_source", "sequence": "_seq_no", "term": "_primary_term"},
):
    id: str
    found: bool = False
    source: _Source | None = None
    sequence: int = -1
    term: int = 0
    error: _Cause | None = None


class _Gets(msgspec.Struct, Generic[_Source]):
    docs: list[_Got[_Source]]


class _Item(msgspec.Struct, gc=False):
    status: int
    error: _Cause | None = None


class _Minimum(msgspec.Struct):
    value: float | None = None


class _Aggregations(msgspec.Struct):
    first: _Minimum


class _Aggregated(msgspec.Struct):
    aggregations: _Aggregations


class _Bulk(msgspec.Struct):
    items: list[dict[str, _Item]]


class _Count(msgspec.Struct):
    count: int


class _Shards(msgspec.Struct):
    failed: int


class _Refresh(msgspec.Struct):
    shards: _Shards = msgspec.field(name="_shards")


class _Erasure(msgspec.Struct):
    deleted: int
    version_conflicts: int = 0


class _Mappings(msgspec.Struct):
    meta: IndexMeta = msgspec.field(name="_meta", default_factory=IndexMeta)


class _Index(msgspec.Struct):
    mappings: _Mappings = msgspec.field(default_factory=_Mappings)
    aliases: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


_STATEMENTS: Final = msgspec.json.Decoder(_Search[_Statement])
_NAMES: Final = msgspec.json.Decoder(_Search[_Name])
_STATEMENT_GETS: Final = msgspec.json.Decoder(_Gets[_Statement])
_DOCUMENT_GETS: Final = msgspec.json.Decoder(_Gets[_Document])
_PRESENCE: Final = msgspec.json.Decoder(_Gets[Any])
_AGGREGATED: Final = msgspec.json.Decoder(_Aggregated)
_BULK: Final = msgspec.json.Decoder(_Bulk)
_COUNT: Final = msgspec.json.Decoder(_Count)
_REFRESH: Final = msgspec.json.Decoder(_Refresh)
_ERASURE: Final = msgspec.json.Decoder(_Erasure)
_INDICES: Final = msgspec.json.Decoder(dict[str, _Index])


def read_statements(body: bytes, target: Target) -> list[StoredStatement]:
    """Return the statements of a ``_search``, in its order.

    :raises ForeignDocument: one of them is not the tenant's.
    """
    hits = _STATEMENTS.decode(body).hits.hits
    for hit in hits:
        _check(target, hit.id, hit.source.tenant)
    return [_stored(hit.source) for hit in hits]


def read_first_stored(body: bytes) -> int | None:
    """Return the earliest ``stored`` of a ``_search`` that asked for it, microseconds; none where there is none."""
    value = _AGGREGATED.decode(body).aggregations.first.value
    # OpenSearch answers with a double, exact below 2^53 microseconds: until the year 2255.
    return None if value is None else int(value)


def read_statements_by_id(body: bytes, target: Target) -> dict[str, StoredStatement]:
    """Return the statements that an ``_mget`` found, by id.

    :raises ForeignDocument: one of them is not the tenant's.
    :raises Unavailable: for one of them there was no telling.
    """
    statements = {}
    for got in _found(_STATEMENT_GETS.decode(body)):
        if got.source is not None:
            _check(target, got.id, got.source.tenant)
            statements[got.source.id] = _stored(got.source)
    return statements


def read_existing(body: bytes, target: Target) -> frozenset[str]:
    """Return the names of the documents that an ``_mget`` without sources found.

    :raises ForeignDocument: one of them is not the tenant's, by its ``_id``.
    :raises Unavailable: for one of them there was no telling.
    """
    start = len(target.document_id(""))
    found = _found(_PRESENCE.decode(body))
    for got in found:
        _check(target, got.id)
    return frozenset(got.id[start:] for got in found)


def read_document(body: bytes, target: Target) -> tuple[Document, Version] | None:
    """Return the one document that an ``_mget`` found, and which write of it that was.

    :raises ForeignDocument: it is not the tenant's.
    :raises Unavailable: there was no telling.
    """
    for got in _found(_DOCUMENT_GETS.decode(body)):
        source = got.source
        if source is not None:
            _check(target, got.id, source.tenant)
            document = Document(
                key=DocumentKey(resource=source.resource, owner=source.owner, id=source.id),
                content=base64.b64decode(source.content),
                content_type=source.content_type,
                etag=source.etag,
                updated=source.updated,
            )
            return document, Version(sequence=got.sequence, term=got.term)
    return None


def read_document_ids(body: bytes, target: Target) -> tuple[list[str], str | None]:
    """Return the ids of the documents of a ``_search``, and the ``order`` of the last.

    :raises ForeignDocument: one of them is not the tenant's.
    """
    hits = _NAMES.decode(body).hits.hits
    for hit in hits:
        _check(target, hit.id, hit.source.tenant)
    last = msgspec.json.decode(hits[-1].sort[0], type=str) if hits else None
    return [hit.source.id for hit in hits], last


def read_outcomes(body: bytes) -> list[Outcome]:
    """Return what became of each item of a ``_bulk``, in its order."""
    outcomes = []
    for item in _BULK.decode(body).items:
        (result,) = item.values()
        cause = result.error
        if cause is None:
            outcomes.append(Outcome(status=result.status))
        else:
            reason = (cause.reason or "")[:_REASON_LENGTH]
            outcomes.append(Outcome(status=result.status, kind=cause.type, reason=reason))
    return outcomes


def read_count(body: bytes) -> int:
    """Return the number of a ``_count``."""
    return _COUNT.decode(body).count


def read_refresh(body: bytes) -> None:
    """Check that a ``_refresh`` reached every copy.

    :raises Unavailable: it did not, so a search may miss what was written.
    """
    if _REFRESH.decode(body).shards.failed:
        raise Unavailable("a copy of the index could not be refreshed")


def read_erasure(body: bytes) -> int:
    """Return how many documents a ``_delete_by_query`` deleted or found changing meanwhile."""
    erasure = _ERASURE.decode(body)
    return erasure.deleted + erasure.version_conflicts


def read_index(body: bytes, index: str) -> IndexState:
    """Return what *index* says of itself; nothing but defaults where it says nothing of ours."""
    found = _INDICES.decode(body).get(index, _Index())
    return IndexState(meta=found.mappings.meta, aliases=frozenset(found.aliases))


def _check(target: Target, document_id: str, tenant: str | None = None) -> None:
    """Let pass what is the tenant's, by its ``_id`` and, where the answer holds it, by its field."""
    if tenant not in {None, target.slug} or not document_id.startswith(target.document_id("")):
        _log.error("foreign_document_withheld", tenant=target.slug, index=target.index)
        raise ForeignDocument("the store answered with something that is not this tenant's; it was withheld")


def _found(answer: _Gets[_Source]) -> list[_Got[_Source]]:
    found = []
    for got in answer.docs:
        if got.error is not None:
            # An index that is not there yet holds nothing. Any other error must not read as "not stored".
            if got.error.type != _NO_INDEX:
                raise Unavailable("the search store cannot look up documents at present")
        elif got.found:
            found.append(got)
    return found


def _stored(source: _Statement) -> StoredStatement:
    return StoredStatement(
        id=source.id,
        raw=source.raw.encode(),
        stored=source.stored,
        position=source.position,
        authority=source.authority.encode(),
        missing=Missing(source.missing),
        version=source.version,
    )
