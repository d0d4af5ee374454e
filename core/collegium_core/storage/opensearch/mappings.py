"""The two kinds of index: settings and mappings, explicit to the last field.

``dynamic: strict``: a field that is not here is our own mistake and is refused. What clients send is never a field's
name: the raw statement is one string that OpenSearch keeps and does not look into, so it returns byte for byte and no
statement is refused for its depth, its numbers or the length of its keys.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from collegium_core.storage.opensearch.placement import DocumentClass

__all__ = ["SCHEMA", "DocumentSource", "StatementSource", "meta", "properties", "settings"]

SCHEMA: Final = 1
"""Rises with every change of the fields below; kept in ``_meta`` of each index. Changes only ever add fields."""

_KEPT: Final = {"type": "keyword", "index": False, "doc_values": False}
_FILTERED: Final = {"type": "keyword", "doc_values": False}

_FIELDS: Final[dict[DocumentClass, dict[str, dict[str, Any]]]] = {
    DocumentClass.STATEMENTS: {
        "tenant": _FILTERED,
        "id": _KEPT,
        "stored": {"type": "long"},
        "position": {"type": "long"},
        "missing": {"type": "byte", "index": False, "doc_values": False},
        "version": _KEPT,
        "authority": _KEPT,
        "raw": _KEPT,
        "verb": _FILTERED,
        "agents": _FILTERED,
        "related_agents": _FILTERED,
        "activities": _FILTERED,
        "related_activities": _FILTERED,
        "registration": _FILTERED,
        "ref": _FILTERED,
        "voids": {"type": "boolean"},
        "voided": {"type": "boolean"},
    },
    DocumentClass.DOCUMENTS: {
        "tenant": _FILTERED,
        "resource": _FILTERED,
        "owner_digest": _FILTERED,
        "order": {"type": "keyword"},
        "updated": {"type": "long"},
        "owner": _KEPT,
        "id": _KEPT,
        "content_type": _KEPT,
        "etag": _KEPT,
        "content": {"type": "binary"},
    },
}


class StatementSource(msgspec.Struct, omit_defaults=True, gc=False):
    """A statement in its index, field by field; the sort fields are always written."""

    tenant: str
    id: str
    stored: int
    position: int
    missing: int
    version: str
    authority: str
    raw: str
    verb: str
    voids: bool
    voided: bool
    agents: tuple[str, ...] = ()
    related_agents: tuple[str, ...] = ()
    activities: tuple[str, ...] = ()
    related_activities: tuple[str, ...] = ()
    registration: str | None = None
    ref: str | None = None


class DocumentSource(msgspec.Struct, gc=False):
    """A document in its index, field by field.

    :param owner_digest: what ``owner`` is found by: a client's text may be longer than a keyword can be.
    :param order: a digest of the whole key, unique in the tenant; the sort field.
    :param content: Base64.
    """

    tenant: str
    resource: str
    owner: str
    owner_digest: str
    order: str
    id: str
    updated: int
    content_type: str
    etag: str
    content: str


def properties(kind: DocumentClass) -> dict[str, dict[str, Any]]:
    """Return the fields of an index of class *kind*."""
    return _FIELDS[kind]


def settings(kind: DocumentClass, *, shards: int) -> dict[str, Any]:
    """Return the settings of an index of class *kind*.

    Explicit where a cluster's defaults could break a promise: a write is on disk before it is answered
    (``translog.durability``), and every copy of a shard shows it once refreshed (``replication.type``: with segment
    replication, copies follow later). Statements are kept newest first (``sort``), so that a page of the newest stops
    reading when it is full instead of looking at all there are; it costs nothing measurable in writing.
    """
    newest_first = {"sort.field": ["stored", "position"], "sort.order": ["desc", "desc"]}
    return {
        "number_of_shards": shards,
        "auto_expand_replicas": "0-1",
        "refresh_interval": "1s",
        "translog.durability": "request",
        "replication.type": "DOCUMENT",
        **(newest_first if kind is DocumentClass.STATEMENTS else {}),
    }


def meta(kind: DocumentClass, *, tenant: str = "", owner: str = "") -> dict[str, Any]:
    """Return what an index says of itself: class, schema, its one tenant if any, and the uid of the owning object."""
    return {"schema": SCHEMA, "class": str(kind), "tenant": tenant, "owner": owner}
