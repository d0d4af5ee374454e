"""The mappings and the structs that are written through them."""

from __future__ import annotations

import msgspec
import pytest

from collegium_core.storage.opensearch import mappings
from collegium_core.storage.opensearch.placement import DocumentClass

SOURCES = {
    DocumentClass.STATEMENTS: mappings.StatementSource,
    DocumentClass.DOCUMENTS: mappings.DocumentSource,
}


@pytest.mark.parametrize("kind", list(DocumentClass))
def test_every_field_that_is_written_is_mapped_and_no_other(kind: DocumentClass) -> None:
    """A field missing in a strict mapping would refuse every document."""
    written = {field.encode_name for field in msgspec.structs.fields(SOURCES[kind])}

    assert written == set(mappings.properties(kind))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(DocumentClass.STATEMENTS, {"stored", "position", "tenant"}), (DocumentClass.DOCUMENTS, {"order", "tenant"})],
)
def test_sort_fields_and_tenant_are_always_written(kind: DocumentClass, fields: set[str]) -> None:
    """A document without its sort field gets lost at a page's border; these have no default that could be left out."""
    required = {field.name for field in msgspec.structs.fields(SOURCES[kind]) if field.required}

    assert fields <= required


def test_what_clients_send_is_kept_and_not_looked_into() -> None:
    """The raw statement and the authority are in no index and no column."""
    properties = mappings.properties(DocumentClass.STATEMENTS)

    for field in ("raw", "authority"):
        assert {"type": "keyword", "index": False, "doc_values": False} == properties[field]


def test_durability_does_not_depend_on_the_clusters_defaults() -> None:
    """A write is on disk before it is answered and on every copy once refreshed."""
    settings = mappings.settings(DocumentClass.STATEMENTS, shards=1)

    assert ("request", "DOCUMENT") == (settings["translog.durability"], settings["replication.type"])
