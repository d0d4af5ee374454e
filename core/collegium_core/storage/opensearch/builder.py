"""Every request body that reaches OpenSearch, and the one place where a tenant's name is put into it.

Pure functions from questions to bytes. Each query passes :func:`_within`, each ``_id`` is made by
:meth:`Target.document_id`, each request carries :func:`routed`; a client's text is only ever a value, encoded as JSON.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from collegium_core.lrs.query import Place, StatementQuery
from collegium_core.storage.opensearch.mappings import DocumentSource, StatementSource
from collegium_core.storage.opensearch.placement import Target
from collegium_core.storage.opensearch.reader import Version
from collegium_core.storage.ports import Document, DocumentKey, IndexedStatement

__all__ = [
    "PAGE",
    "count",
    "digest_key",
    "document_deletion",
    "document_line",
    "erasure",
    "find_document_ids",
    "find_statements",
    "first_stored",
    "lookup",
    "routed",
    "statement_line",
]

_JSON: Final = msgspec.json.Encoder()

PAGE: Final = 1_000
"""How many hits one search returns at most."""


def routed(target: Target, **params: str) -> dict[str, str]:
    """Return the URL parameters of a request on *target*: *params* and the tenant's routing."""
    return {**params, "routing": target.slug}


def lookup(target: Target, names: Iterable[str]) -> bytes:
    """Return the body of an ``_mget`` of the documents called *names*."""
    return _JSON.encode({"ids": [target.document_id(name) for name in names]})


def find_statements(target: Target, query: StatementQuery, *, through: int, after: Place | None, limit: int) -> bytes:
    """Return the body of a ``_search`` for one page of statements; parameters as in ``StatementStore.find``."""
    order = "asc" if query.ascending else "desc"
    bounds: dict[str, int] = {"lte": through if query.until is None else min(through, query.until)}
    if query.since is not None:
        bounds["gt"] = query.since
    if after is not None:
        # search_after alone finds the place; the bound lets whole segments be skipped.
        if query.ascending:
            bounds["gt"] = max(bounds.get("gt", after.stored - 1), after.stored - 1)
        else:
            bounds["lte"] = min(bounds["lte"], after.stored)
    body: dict[str, Any] = {
        "size": limit,
        "track_total_hits": False,
        "query": _within(target, {"range": {"stored": bounds}}, *_terms(query)),
        "sort": [{"stored": order}, {"position": order}],
    }
    if after is not None:
        body["search_after"] = [after.stored, after.position]
    return _JSON.encode(body)


def first_stored(target: Target) -> bytes:
    """Return the body of a ``_search`` for the earliest ``stored`` of all the tenant has."""
    first = {"first": {"min": {"field": "stored"}}}
    return _JSON.encode({"size": 0, "track_total_hits": False, "query": _within(target), "aggs": first})


def find_document_ids(target: Target, resource: str, owner: str, *, since: int | None, after: str | None) -> bytes:
    """Return the body of a ``_search`` for one page of documents of *resource* and *owner*, in order of ``order``."""
    filters: list[dict[str, Any]] = [{"term": {"resource": resource}}, {"term": {"owner_digest": _digest(owner)}}]
    if since is not None:
        filters.append({"range": {"updated": {"gt": since}}})
    body: dict[str, Any] = {
        "size": PAGE,
        "track_total_hits": False,
        "_source": ["tenant", "resource", "owner", "id"],
        "query": _within(target, *filters),
        "sort": [{"order": "asc"}],
    }
    if after is not None:
        body["search_after"] = [after]
    return _JSON.encode(body)


def count(target: Target) -> bytes:
    """Return the body of a ``_count`` of all the tenant has."""
    return _JSON.encode({"query": _within(target)})


def erasure(target: Target) -> bytes:
    """Return the body of a ``_delete_by_query`` of all the tenant has."""
    return _JSON.encode({"query": _within(target)})


def statement_line(target: Target, item: IndexedStatement) -> bytes:
    """Return the two lines of a ``_bulk`` that store *item* unless its id is taken."""
    statement, keys = item.statement, item.keys
    source = StatementSource(
        tenant=target.slug,
        id=statement.id,
        stored=statement.stored,
        position=statement.position,
        missing=int(statement.missing),
        version=statement.version,
        authority=statement.authority.decode(),
        raw=statement.raw.decode(),
        verb=keys.verb,
        voids=keys.voids,
        voided=False,
        agents=keys.agents,
        related_agents=keys.related_agents,
        activities=keys.activities,
        related_activities=keys.related_activities,
        registration=keys.registration,
        ref=keys.ref,
    )
    return _line("create", {"_id": target.document_id(statement.id)}) + _JSON.encode(source) + b"\n"


def document_line(target: Target, document: Document, *, version: Version | None, create: bool = False) -> bytes:
    """Return the two lines of a ``_bulk`` that store *document*.

    :param version: what must stand there, else the write is refused.
    :param create: nothing may stand there.
    """
    key = document.key
    order = digest_key(key)
    source = DocumentSource(
        tenant=target.slug,
        resource=key.resource,
        owner=key.owner,
        owner_digest=_digest(key.owner),
        order=order,
        id=key.id,
        updated=document.updated,
        content_type=document.content_type,
        etag=document.etag,
        content=base64.b64encode(document.content).decode(),
    )
    action = _line("create" if create else "index", _versioned(target.document_id(order), version))
    return action + _JSON.encode(source) + b"\n"


def document_deletion(target: Target, key: DocumentKey, *, version: Version | None) -> bytes:
    """Return the line of a ``_bulk`` that deletes the document under *key*, if it still has *version*."""
    return _line("delete", _versioned(target.document_id(digest_key(key)), version))


def digest_key(key: DocumentKey) -> str:
    """Return *key* as 64 hexadecimal digits: clients' ids may be longer than an ``_id`` or a keyword can be."""
    return _digest(key.resource, key.owner, key.id)


def _within(target: Target, *filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the query for *filters* among the tenant's own documents; the only maker of queries."""
    return {"bool": {"filter": [{"term": {"tenant": target.slug}}, *filters]}}


def _terms(query: StatementQuery) -> list[dict[str, Any]]:
    wanted = {
        "verb": query.verb,
        "registration": query.registration,
        "related_agents" if query.related_agents else "agents": query.agent,
        "related_activities" if query.related_activities else "activities": query.activity,
    }
    return [{"term": {field: value}} for field, value in wanted.items() if value is not None]


def _line(action: str, arguments: Mapping[str, Any]) -> bytes:
    return _JSON.encode({action: arguments}) + b"\n"


def _versioned(document_id: str, version: Version | None) -> dict[str, Any]:
    if version is None:
        return {"_id": document_id}
    return {"_id": document_id, "if_seq_no": version.sequence, "if_primary_term": version.term}


def _digest(*texts: str) -> str:
    # Lengths first: ("a", "bc") and ("ab", "c") must differ.
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()
