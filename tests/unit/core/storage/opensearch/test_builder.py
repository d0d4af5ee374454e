"""The bodies of requests: every one holds the tenant, and no value of a client becomes more than a value."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from collegium_core.lrs.keys import FilterKeys
from collegium_core.lrs.query import Place, StatementQuery
from collegium_core.lrs.record import StoredStatement
from collegium_core.storage.opensearch import builder
from collegium_core.storage.opensearch.placement import DocumentClass, locate
from collegium_core.storage.opensearch.reader import Version
from collegium_core.storage.ports import Document, DocumentKey, IndexedStatement
from collegium_core.tenancy.record import Placement

DEDICATED = locate("t-a", Placement.DEDICATED, DocumentClass.STATEMENTS)
POOLED = locate("t-a", Placement.POOLED, DocumentClass.STATEMENTS)
OWN = {"term": {"tenant": "t-a"}}

texts = st.text(st.characters(exclude_categories=["Cs"]))
instants = st.integers(0, 2**53)
queries = st.builds(
    StatementQuery,
    agent=st.none() | texts,
    related_agents=st.booleans(),
    verb=st.none() | texts,
    activity=st.none() | texts,
    related_activities=st.booleans(),
    registration=st.none() | texts,
    since=st.none() | instants,
    until=st.none() | instants,
    ascending=st.booleans(),
)
places = st.builds(Place, stored=instants, position=instants)


def decoded(body: bytes) -> dict:
    return msgspec.json.decode(body)


@given(query=queries, through=instants, after=st.none() | places, target=st.sampled_from([DEDICATED, POOLED]))
def test_every_list_is_bounded_by_tenant_and_watermark(query, through, after, target) -> None:
    """Whatever is asked, in both placements the tenant's term comes first and nothing beyond *through* is found."""
    body = decoded(builder.find_statements(target, query, through=through, after=after, limit=7))

    ((kind, clauses),) = body["query"]["bool"].items()
    assert "filter" == kind
    assert OWN == clauses[0]
    assert through >= clauses[1]["range"]["stored"]["lte"]
    order = "asc" if query.ascending else "desc"
    assert [{"stored": order}, {"position": order}] == body["sort"]
    assert body["track_total_hits"] is False
    assert 7 == body["size"]


def test_filters_name_the_field_that_the_query_means() -> None:
    """``related_*`` changes the field, not the value."""
    query = StatementQuery(agent="A", verb="V", activity="C", registration="R", since=3, until=9)
    related = StatementQuery(agent="A", related_agents=True, activity="C", related_activities=True)

    plain = decoded(builder.find_statements(POOLED, query, through=20, after=None, limit=1))["query"]["bool"]["filter"]
    wide = decoded(builder.find_statements(POOLED, related, through=20, after=None, limit=1))["query"]["bool"]["filter"]

    terms = [{"verb": "V"}, {"registration": "R"}, {"agents": "A"}, {"activities": "C"}]
    assert [OWN, {"range": {"stored": {"lte": 9, "gt": 3}}}, *({"term": term} for term in terms)] == plain
    assert [{"term": {"related_agents": "A"}}, {"term": {"related_activities": "C"}}] == wide[2:]


def test_a_further_page_begins_at_its_place_in_both_directions() -> None:
    """The range excludes what lies before the place, so that whole segments are skipped; ties stay within."""
    place = Place(stored=10, position=4)

    newest = decoded(builder.find_statements(POOLED, StatementQuery(since=2), through=20, after=place, limit=1))
    oldest = decoded(
        builder.find_statements(POOLED, StatementQuery(since=2, ascending=True), through=20, after=place, limit=1)
    )

    assert [10, 4] == newest["search_after"] == oldest["search_after"]
    assert {"lte": 10, "gt": 2} == newest["query"]["bool"]["filter"][1]["range"]["stored"]
    assert {"lte": 20, "gt": 9} == oldest["query"]["bool"]["filter"][1]["range"]["stored"]


def test_counting_and_erasing_reach_the_tenant_alone() -> None:
    """The query is the tenant's term."""
    assert {"query": {"bool": {"filter": [OWN]}}} == decoded(builder.count(POOLED))
    assert {"query": {"bool": {"filter": [OWN]}}} == decoded(builder.erasure(POOLED))
    assert {"bool": {"filter": [OWN]}} == decoded(builder.first_stored(POOLED))["query"]


@given(owner=texts, since=st.none() | instants, after=st.none() | texts)
def test_a_list_of_documents_reaches_the_tenant_alone(owner: str, since: int | None, after: str | None) -> None:
    """The tenant's term comes first, the owner is found by digest."""
    body = decoded(builder.find_document_ids(POOLED, "state", owner, since=since, after=after))

    assert OWN == body["query"]["bool"]["filter"][0]
    (digest,) = body["query"]["bool"]["filter"][2]["term"].values()
    assert 64 == len(digest)


@given(names=st.lists(texts))
def test_look_ups_are_within_the_tenants_ids(names: list[str]) -> None:
    """Each ``_id`` begins with the slug, in both placements."""
    for target in (DEDICATED, POOLED):
        assert {"ids": [f"t-a:{name}" for name in names]} == decoded(builder.lookup(target, names))


def test_every_request_is_routed_by_the_tenant() -> None:
    """Routing cannot be left out or overridden by accident."""
    assert {"routing": "t-a", "refresh": "true"} == builder.routed(POOLED, refresh="true")
    assert {"routing": "t-a"} == builder.routed(DEDICATED) == builder.routed(DEDICATED, routing="t-b")


@given(raw=texts, key=texts)
def test_a_statement_is_two_lines_whatever_is_in_it(raw: str, key: str) -> None:
    """Line ends and quotes of a client stay within a value, and raw and authority are strings with its very text."""
    item = IndexedStatement(
        statement=StoredStatement(id="i", raw=raw.encode(), stored=1, position=2, authority=raw.encode()),
        keys=FilterKeys(verb=key, agents=(key,)),
    )

    lines = builder.statement_line(POOLED, item).split(b"\n")

    assert 3 == len(lines)
    assert b"" == lines[2]
    assert {"create": {"_id": "t-a:i"}} == decoded(lines[0])
    source = decoded(lines[1])
    assert ("t-a", raw, raw, key, [key]) == tuple(
        source[field] for field in ("tenant", "raw", "authority", "verb", "agents")
    )
    assert (1, 2) == (source["stored"], source["position"])


@given(owner=texts, name=texts, content=st.binary())
def test_a_document_is_two_lines_whatever_is_in_it(owner: str, name: str, content: bytes) -> None:
    """Its id is a digest, its owner and id are kept, the operation holds the expectation."""
    key = DocumentKey(resource="state", owner=owner, id=name)
    document = Document(key=key, content=content, content_type="text/plain", etag="e", updated=5)

    plain = builder.document_line(POOLED, document, version=None).split(b"\n")
    created = builder.document_line(POOLED, document, version=None, create=True).split(b"\n")
    versioned = builder.document_line(POOLED, document, version=Version(sequence=7, term=2)).split(b"\n")
    deletion = builder.document_deletion(POOLED, key, version=Version(sequence=7, term=2)).split(b"\n")

    digest = f"t-a:{builder.digest_key(key)}"
    assert [3, 3, 3, 2] == [len(lines) for lines in (plain, created, versioned, deletion)]
    assert {"index": {"_id": digest}} == decoded(plain[0])
    assert {"create": {"_id": digest}} == decoded(created[0])
    assert {"index": {"_id": digest, "if_seq_no": 7, "if_primary_term": 2}} == decoded(versioned[0])
    assert {"delete": {"_id": digest, "if_seq_no": 7, "if_primary_term": 2}} == decoded(deletion[0])
    assert (owner, name) == (decoded(plain[1])["owner"], decoded(plain[1])["id"])


def test_the_borders_of_a_keys_parts_count() -> None:
    """Keys that join to the same text have different digests."""
    one = DocumentKey(resource="state", owner="a", id="bc")
    other = DocumentKey(resource="state", owner="ab", id="c")

    assert builder.digest_key(one) != builder.digest_key(other)
