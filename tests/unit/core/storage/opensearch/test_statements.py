"""The statement store's decisions, against canned answers: what is repeated, what is rejected, what is given up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from collegium_core.errors import Unavailable
from collegium_core.lrs.keys import FilterKeys
from collegium_core.lrs.query import StatementQuery
from collegium_core.lrs.record import StoredStatement
from collegium_core.storage.opensearch import builder
from collegium_core.storage.opensearch.catalog import Catalog
from collegium_core.storage.opensearch.client import Answer, Refused
from collegium_core.storage.opensearch.documents import OpenSearchDocuments
from collegium_core.storage.opensearch.placement import DocumentClass
from collegium_core.storage.opensearch.statements import OpenSearchStatements
from collegium_core.storage.ports import DocumentKey, IndexedStatement, Rejection
from collegium_core.tenancy.record import Placement

BUSY = (429, "rejected_execution_exception")


def item(name: str) -> IndexedStatement:
    return IndexedStatement(
        statement=StoredStatement(id=name, raw=b'{"a":1}', stored=1, position=1, authority=b"{}"),
        keys=FilterKeys(verb="v"),
    )


class FakeClient:
    """Answers bulks by a script per statement id: the outcomes of its first, second, … arrival; then 201.

    An outcome is a status, the type of an error, and its reason if that matters.
    """

    def __init__(self, script: Mapping[str, list[tuple[Any, ...]]] | None = None, *, largest: int = 10**9) -> None:
        self.script = {name: list(outcomes) for name, outcomes in (script or {}).items()}
        self.largest = largest
        self.calls: list[tuple[str, str, dict[str, str]]] = []
        self.bulks: list[list[str]] = []
        self.timeouts: list[float | None] = []
        self.index = (
            b'{"c-pool-statements":{"aliases":{"c-pool-statements-writes":{"is_write_index":true}},'
            b'"mappings":{"_meta":{"schema":1,"class":"statements","tenant":""}}}}'
        )

    async def call(self, method: str, path: str, **arguments: Any) -> Answer:
        """Answer as an index that holds nothing would, bulks by the script."""
        self.calls.append((method, path, arguments.get("params", {})))
        self.timeouts.append(arguments.get("timeout"))
        action = path.rpartition("/")[2]
        body = arguments.get("body") or b""
        answers = {
            "_refresh": b'{"_shards":{"failed":0}}',
            "_search": b'{"hits":{"hits":[]}}',
            "_count": b'{"count":0}',
            "_mget": b'{"docs":[]}',
            "_delete_by_query": b'{"deleted":0}',
            "c-pool-statements": self.index,
        }
        return Answer(200, self._bulk(body) if action == "_bulk" else answers[action])

    def _bulk(self, body: bytes) -> bytes:
        if len(body) > self.largest:
            raise Refused(413, "", "too large")
        names = [msgspec.json.decode(line)["create"]["_id"].partition(":")[2] for line in body.split(b"\n")[:-1:2]]
        self.bulks.append(names)
        items = []
        for name in names:
            status, *error = self.script[name].pop(0) if self.script.get(name) else (201,)
            kind, reason = (*error, "why")[:2] if error else ("", "")
            items.append(
                {"create": {"status": status} | ({"error": {"type": kind, "reason": reason}} if error else {})}
            )
        return msgspec.json.encode({"items": items})


def store_with(client: FakeClient, backoff: tuple[float, ...] = (0.0, 0.0)) -> OpenSearchStatements:
    catalog = Catalog(client)
    target = catalog.target("t-a", Placement.POOLED, DocumentClass.STATEMENTS)
    return OpenSearchStatements(client, catalog, target, backoff=backoff)


async def test_only_what_was_not_taken_is_sent_again() -> None:
    """A busy cluster's items are repeated, the others are not."""
    client = FakeClient({"b": [BUSY], "c": [BUSY, (503, "unavailable_shards_exception")]})

    assert [] == await store_with(client).write([item(name) for name in "abcd"])

    assert [["a", "b", "c", "d"], ["b", "c"], ["c"]] == client.bulks


@pytest.mark.parametrize(
    "outcome",
    [
        BUSY,
        (503, "x"),
        (500, "x"),
        (403, "cluster_block_exception"),
        (401, "x"),
        (404, "x"),
        (404, "index_not_found_exception"),
        (400, "index_closed_exception"),
        (400, "validation_exception"),
        (400, "illegal_state_exception"),
        (400, "illegal_argument_exception"),
        (400, "strict_dynamic_mapping_exception"),
        (400, "of a later version"),
        (400, ""),
    ],
)
async def test_what_is_not_the_statements_fault_is_never_a_rejection(outcome: tuple[int, str]) -> None:
    """A closed index, a full disk, a lost shard or a credential must not send good statements to the dead letters."""
    client = FakeClient({"a": [outcome] * 9})

    with pytest.raises(Unavailable) as raised:
        await store_with(client).write([item("a"), item("b")])

    assert ("retry-after", "5") in raised.value.headers
    assert [["a", "b"], ["a"], ["a"]] == client.bulks


async def test_a_field_that_the_index_lacks_is_our_fault() -> None:
    """The index is brought up to date and the statement sent again, not rejected."""
    client = FakeClient({"a": [(400, "strict_dynamic_mapping_exception")]})

    assert [] == await store_with(client).write([item("a")])

    assert [["a"], ["a"]] == client.bulks
    assert ("GET", "/c-pool-statements", {"filter_path": "*.mappings._meta,*.aliases"}) in client.calls


async def test_a_poison_statement_is_rejected_alone() -> None:
    """Its reason is the store's; the others are stored."""
    immense = 'Document contains at least one immense term in field="verb"'
    client = FakeClient(
        {
            "b": [(400, "mapper_parsing_exception")],
            "c": [BUSY, (400, "illegal_argument_exception", immense)],
            "d": [(413, "too_large")],
        }
    )

    assert [
        Rejection(id="b", reason="mapper_parsing_exception: why"),
        Rejection(id="d", reason="too_large: why"),
        Rejection(id="c", reason=f"illegal_argument_exception: {immense}"),
    ] == await store_with(client).write([item(name) for name in "abcde"])

    assert [["a", "b", "c", "d", "e"], ["c"]] == client.bulks


async def test_a_statement_that_is_no_text_is_rejected_alone() -> None:
    """It cannot be sent at all; the others are."""
    bad = IndexedStatement(
        statement=StoredStatement(id="b", raw=b'{"a":"\xff"}', stored=1, position=1, authority=b"{}"),
        keys=FilterKeys(verb="v"),
    )
    half = IndexedStatement(statement=item("c").statement, keys=FilterKeys(verb="\ud800"))
    client = FakeClient()

    rejections = await store_with(client).write([item("a"), bad, half, item("d")])

    assert ["b", "c"] == [rejection.id for rejection in rejections]
    assert [["a", "d"]] == client.bulks


async def test_writes_go_by_the_alias_alone() -> None:
    """A cluster that makes indices by itself makes none where an alias is required."""
    client = FakeClient()

    await store_with(client).write([item("a")])

    ((method, path, params),) = client.calls
    assert ("POST", "/c-pool-statements-writes/_bulk", "true") == (method, path, params["require_alias"])


@pytest.mark.parametrize(
    "index",
    [
        pytest.param(b'{"c-pool-statements":{"mappings":{"_meta":{"class":"documents"}}}}', id="not ours"),
        pytest.param(b'{"c-pool-statements":{"mappings":[]}}', id="no answer of OpenSearch"),
        pytest.param(b"<html>", id="a page"),
    ],
)
async def test_an_index_that_cannot_be_used_keeps_statements_waiting(index: bytes) -> None:
    """Whatever stands in its place, a write fails with ``Unavailable``: acknowledged statements are not set aside."""
    client = FakeClient({"a": [(404, "index_not_found_exception")]})
    client.index = index

    with pytest.raises(Unavailable):
        await store_with(client).write([item("a")])


@pytest.mark.parametrize(
    "refusal",
    [
        Refused(400, "illegal_argument_exception", "no write index is defined for alias"),
        Refused(404, "", "no such page"),
        Refused(405, "", ""),
    ],
)
async def test_a_request_refused_for_no_statement_is_not_taken_apart(
    refusal: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy's or the index's fault: no statement by statement, no rejection."""
    client = FakeClient()
    sent: list[bytes] = []

    def refuse(body: bytes) -> bytes:
        sent.append(body)
        raise refusal

    monkeypatch.setattr(client, "_bulk", refuse)

    with pytest.raises(Unavailable):
        await store_with(client).write([item(name) for name in "abcd"])

    assert 3 == len(sent)
    assert 1 == len(set(sent))


async def test_an_answer_for_fewer_statements_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of them it is for cannot be told."""
    client = FakeClient()
    monkeypatch.setattr(client, "_bulk", lambda _: b'{"items":[{"create":{"status":201}}]}')

    with pytest.raises(Unavailable):
        await store_with(client).write([item("a"), item("b")])


async def test_the_look_up_before_an_append_is_given_up_soon() -> None:
    """Clients wait for it; other look-ups have the time of any request."""
    client = FakeClient()

    await store_with(client).existing(["a"])
    await store_with(client).get(["a"])

    assert [2.0, None] == client.timeouts


async def test_a_request_refused_as_a_whole_is_halved() -> None:
    """Too large together they pass one by one; too large alone is rejected."""
    target = Catalog(FakeClient()).target("t-a", Placement.POOLED, DocumentClass.STATEMENTS)
    line = len(builder.statement_line(target, item("a")))
    large = IndexedStatement(
        statement=StoredStatement(id="L", raw=b'{"a":"' + b"x" * 5_000 + b'"}', stored=1, position=1, authority=b"{}"),
        keys=FilterKeys(verb="v"),
    )
    client = FakeClient(largest=2 * line)

    rejections = await store_with(client).write([item("a"), item("b"), large, item("c"), item("d")])

    assert ["L"] == [rejection.id for rejection in rejections]
    assert ["a", "b", "c", "d"] == [name for bulk in client.bulks for name in bulk]


async def test_a_statement_that_vanished_is_neither_stored_nor_rejected() -> None:
    """Taken by the bulk, gone for the comparison (a drop meanwhile): the write is to be repeated."""
    client = FakeClient({"a": [(409, "version_conflict_engine_exception")]})

    with pytest.raises(Unavailable):
        await store_with(client).write([item("a")])


async def test_every_request_for_data_is_routed_by_the_tenant() -> None:
    """Reads, writes, look-ups, counts and drops, of both classes; refresh and state are of the index as a whole."""
    client = FakeClient()
    store = store_with(client)
    catalog = Catalog(client)
    documents = OpenSearchDocuments(client, catalog, catalog.target("t-a", Placement.POOLED, DocumentClass.STATEMENTS))

    await store.write([item("a")])
    await store.get(["a"])
    await store.existing(["a"])
    await store.find(StatementQuery(), through=1, after=None, limit=5)
    await store.count()
    await store.drop()
    await documents.get(DocumentKey(resource="state", owner="o", id="i"))
    await documents.ids("state", "o")
    assert not await documents.delete(DocumentKey(resource="state", owner="o", id="i"), expected=None)

    whole = {"_refresh", "c-pool-statements"}
    data = [(path, params) for _, path, params in client.calls if path.rpartition("/")[2] not in whole]
    assert 9 == len(data)
    assert {"t-a"} == {params["routing"] for _, params in data}


async def test_nothing_to_do_asks_nothing() -> None:
    """Empty input costs no request."""
    client = FakeClient()
    store = store_with(client)

    assert [] == await store.write([])
    assert {} == await store.get([])
    assert frozenset() == await store.existing([])
    assert [] == await store.find(StatementQuery(), through=1, after=None, limit=0)
    assert [] == client.calls


async def test_look_ups_of_many_ids_are_sent_in_parts() -> None:
    """A thousand at a time, each id once."""
    client = FakeClient()

    await store_with(client).get([str(number % 1_500) for number in range(3_000)])

    assert 2 == len(client.calls)
