"""Answers: decoded, and withheld when they hold anything of another tenant."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from collegium_core.errors import Unavailable
from collegium_core.lrs.record import Missing, StoredStatement
from collegium_core.storage.opensearch import reader
from collegium_core.storage.opensearch.placement import DocumentClass, locate
from collegium_core.storage.ports import Document, DocumentKey
from collegium_core.tenancy.record import Placement

TARGET = locate("t-a", Placement.POOLED, DocumentClass.STATEMENTS)


def statement_source(tenant: str = "t-a", name: str = "1") -> dict[str, Any]:
    return {
        "tenant": tenant,
        "id": name,
        "stored": 7,
        "position": 8,
        "missing": 5,
        "version": "2.0.0",
        "authority": '{"n":"\u00e9"}',
        "raw": '{"a":1e2,"b":"\\u00e9"}',
        "agents": ["x"],
        "voids": False,
    }


def document_source(tenant: str = "t-a") -> dict[str, Any]:
    return {
        "tenant": tenant,
        "resource": "state",
        "owner": "o",
        "id": "i",
        "updated": 3,
        "content_type": "text/plain",
        "etag": "e",
        "content": base64.b64encode(b"\x00x").decode(),
    }


def search(*hits: tuple[str, dict[str, Any]]) -> bytes:
    found = [{"_index": "c", "_id": name, "_score": None, "_source": source, "sort": ["o1"]} for name, source in hits]
    return msgspec.json.encode({"took": 1, "timed_out": False, "hits": {"max_score": None, "hits": found}})


def gets(*docs: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"docs": docs})


def test_a_statement_comes_back_as_it_went_in() -> None:
    """Raw and authority are the very bytes; the keys are not read."""
    expected = StoredStatement(
        id="1",
        raw=b'{"a":1e2,"b":"\\u00e9"}',
        stored=7,
        position=8,
        authority='{"n":"\u00e9"}'.encode(),
        missing=Missing.ID | Missing.VERSION,
        version="2.0.0",
    )
    got = {"_id": "t-a:1", "found": True, "_seq_no": 1, "_source": statement_source()}

    assert [expected] == reader.read_statements(search(("t-a:1", statement_source())), TARGET)
    assert {"1": expected} == reader.read_statements_by_id(gets(got, {"_id": "t-a:2", "found": False}), TARGET)
    assert frozenset({"1"}) == reader.read_existing(gets(got, {"_id": "t-a:2", "found": False}), TARGET)


@pytest.mark.parametrize(
    ("document_id", "tenant"),
    [("t-b:1", "t-b"), ("t-a:1", "t-b"), ("t-b:1", "t-a"), ("t-ab:1", "t-a"), ("1", "t-a"), ("t-a:1", "")],
)
def test_an_answer_with_anything_foreign_is_withheld_whole(document_id: str, tenant: str) -> None:
    """A foreign tenant in the ``_id`` or in the field is enough, beside any number of own documents."""
    own = ("t-a:0", statement_source(name="0"))
    got = {"_id": document_id, "found": True, "_source": statement_source(tenant)}

    with pytest.raises(reader.ForeignDocument):
        reader.read_statements(search(own, (document_id, statement_source(tenant))), TARGET)
    with pytest.raises(reader.ForeignDocument):
        reader.read_statements_by_id(gets(got), TARGET)
    with pytest.raises(reader.ForeignDocument):
        reader.read_document(gets(got | {"_source": document_source(tenant)}), TARGET)
    with pytest.raises(reader.ForeignDocument):
        reader.read_document_ids(search((document_id, document_source(tenant))), TARGET)


def test_a_foreign_id_among_those_looked_up_is_withheld() -> None:
    """A look-up without sources is judged by the ``_id`` alone."""
    with pytest.raises(reader.ForeignDocument):
        reader.read_existing(gets({"_id": "t-b:1", "found": True}), TARGET)


def test_an_error_of_a_look_up_never_reads_as_not_stored() -> None:
    """Only an index that is not there holds nothing; a shard that fails leaves the question open."""
    failing = {"_id": "t-a:1", "error": {"type": "no_shard_available_action_exception", "reason": "x"}}
    absent = {"_id": "t-a:1", "error": {"type": "index_not_found_exception", "reason": "x"}}

    for read in (reader.read_existing, reader.read_statements_by_id, reader.read_document):
        with pytest.raises(Unavailable):
            read(gets(failing), TARGET)
        assert not read(gets(absent), TARGET)


def test_a_document_comes_with_the_version_that_was_seen() -> None:
    """Sequence number and term are what a compare-and-set needs."""
    body = gets({"_id": "t-a:d", "found": True, "_seq_no": 4, "_primary_term": 2, "_source": document_source()})
    document = Document(
        key=DocumentKey(resource="state", owner="o", id="i"),
        content=b"\x00x",
        content_type="text/plain",
        etag="e",
        updated=3,
    )

    assert (document, reader.Version(sequence=4, term=2)) == reader.read_document(body, TARGET)


def test_ids_come_with_the_place_of_the_last() -> None:
    """The next page begins after it; an empty page has none."""
    assert (["i"], "o1") == reader.read_document_ids(search(("t-a:d", document_source())), TARGET)
    assert ([], None) == reader.read_document_ids(search(), TARGET)


def test_outcomes_stand_in_the_order_of_the_items() -> None:
    """Each operation's name, a status, and an error if it is one; a long sentence is cut."""
    body = msgspec.json.encode(
        {
            "errors": True,
            "items": [
                {"create": {"status": 201}},
                {"index": {"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "r"}}},
                {"delete": {"status": 500, "error": {"type": "t", "reason": "x" * 9_000}}},
                {"create": {"status": 400, "error": {"type": "t", "reason": None}}},
            ],
        }
    )

    assert [
        reader.Outcome(status=201),
        reader.Outcome(status=409, kind="version_conflict_engine_exception", reason="r"),
        reader.Outcome(status=500, kind="t", reason="x" * 500),
        reader.Outcome(status=400, kind="t", reason=""),
    ] == reader.read_outcomes(body)


def test_the_earliest_instant_is_exact() -> None:
    """OpenSearch writes it as a double; microseconds come back to the last digit, and an empty index has none."""
    body = b'{"aggregations":{"first":{"value":1.790000000000001E15}}}'

    assert 1_790_000_000_000_001 == reader.read_first_stored(body)
    assert reader.read_first_stored(b'{"aggregations":{"first":{"value":null}}}') is None


def test_a_refresh_that_missed_a_copy_is_no_refresh() -> None:
    """What was promised to be searchable may not be."""
    reader.read_refresh(b'{"_shards":{"failed":0}}')
    with pytest.raises(Unavailable):
        reader.read_refresh(b'{"_shards":{"failed":1}}')


def test_an_index_that_says_nothing_of_ours_is_nobodys() -> None:
    """Defaults, which fit no class."""
    ours = (
        b'{"i":{"aliases":{"w":{}},"mappings":{"_meta":{"schema":1,"class":"statements","tenant":"t-a","owner":"u"}}}}'
    )

    meta = reader.IndexMeta(schema=1, kind="statements", tenant="t-a", owner="u")
    nothing = reader.IndexState(meta=reader.IndexMeta(), aliases=frozenset())
    assert reader.IndexState(meta=meta, aliases=frozenset({"w"})) == reader.read_index(ours, "i")
    assert nothing == reader.read_index(b'{"i":{"aliases":{},"mappings":{}}}', "i")
    assert nothing == reader.read_index(b'{"i":{}}', "i")
    assert nothing == reader.read_index(b"{}", "i")
