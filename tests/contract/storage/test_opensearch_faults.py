"""Faults of the index and of single statements: what waits, what is rejected, and what is never made by itself."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from collegium_core.errors import PreconditionFailed, Unavailable
from collegium_core.lrs.keys import FilterKeys, derive_keys
from collegium_core.lrs.query import StatementQuery
from collegium_core.lrs.record import StoredStatement
from collegium_core.storage.opensearch import OpenSearchBackend
from collegium_core.storage.opensearch.documents import OpenSearchDocuments
from collegium_core.storage.opensearch.statements import OpenSearchStatements
from collegium_core.storage.ports import ANY, DocumentKey, IndexedStatement
from collegium_core.tenancy.record import Placement

NOON = 1_790_000_000_000_000
AUTHORITY = b'{"objectType":"Agent","account":{"homePage":"http://example.org","name":"tests"}}'
KEY = DocumentKey(resource="state", owner="o", id="i")
LONG = "x" * 40_000  # longer than a term can be


class Cluster:
    """A backend with names of its own, its stores of one tenant, and the cluster's own settings."""

    def __init__(self, url: str, placement: Placement) -> None:
        self.prefix = "fau" + secrets.token_hex(4)
        self.backend = OpenSearchBackend(url, prefix=self.prefix, pool_shards=2)
        self.statements: OpenSearchStatements = self.backend.statements("t-a", placement)
        self.statements._backoff = (0.0, 0.0)
        self.documents: OpenSearchDocuments = self.backend.documents("t-a", placement)
        self._changed: set[str] = set()

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the answer to a request of someone else."""
        data = None if body is None else msgspec.json.encode(body)
        answer = await self.backend._client.call(method, path, body=data, accept={404})
        return msgspec.json.decode(answer.body)

    async def change(self, **settings: object) -> None:
        """Change settings of the cluster until the end of the test; ``__`` stands for a dot."""
        named = {name.replace("__", "."): value for name, value in settings.items()}
        self._changed |= named.keys()
        await self.ask("PUT", "/_cluster/settings", {"persistent": named})

    async def clear(self) -> None:
        """Delete indices and templates, as someone else would."""
        for index in await self.ask("GET", f"/{self.prefix}-*"):
            await self.ask("DELETE", f"/{index}")
        for kind in ("statements", "documents"):
            await self.ask("DELETE", f"/_index_template/{self.prefix}-{kind}")

    async def mappings(self) -> dict[str, Any]:
        """Return how each index of this test treats unknown fields, and of which class it says to be."""
        found = {name: each["mappings"] for name, each in (await self.ask("GET", f"/{self.prefix}-*")).items()}
        return {name: (each.get("dynamic"), each.get("_meta", {}).get("class")) for name, each in found.items()}

    async def listed(self) -> list[int]:
        """Return ``stored`` of all statements, from noon on."""
        query = StatementQuery(ascending=True)
        return [one.stored - NOON for one in await self.statements.find(query, through=NOON * 2, after=None, limit=99)]

    async def close(self) -> None:
        """Leave the cluster as it was."""
        if self._changed:
            await self.ask("PUT", "/_cluster/settings", {"persistent": dict.fromkeys(self._changed)})
        await self.clear()
        await self.backend.close()


@pytest.fixture(params=list(Placement))
async def cluster(opensearch_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    cluster = Cluster(opensearch_url, request.param)
    yield cluster
    await cluster.close()


def item(number: int, *, keys: FilterKeys | None = None, **members: object) -> IndexedStatement:
    """Return statement *number* under the keys that are derived from it, or under *keys*."""
    content: dict[str, object] = {
        "actor": {"account": {"homePage": "http://example.org", "name": "a"}},
        "verb": {"id": "http://example.org/did"},
        "object": {"id": "http://example.org/thing"},
    }
    raw = msgspec.json.encode(content | members)
    return IndexedStatement(
        statement=StoredStatement(
            id=f"00000000-0000-4000-8000-{number:012d}",
            raw=raw,
            stored=NOON + number,
            position=NOON + number,
            authority=AUTHORITY,
        ),
        keys=derive_keys(raw, AUTHORITY) if keys is None else keys,
    )


async def test_statements_wait_while_the_index_is_closed(cluster: Cluster) -> None:
    """Every call says ``Unavailable``, nothing is rejected; opened again, the index takes what waited."""
    await cluster.statements.write([item(1)])
    await cluster.documents.put(KEY, b"1", "text/plain", expected=ANY)
    for store in (cluster.statements, cluster.documents):
        await cluster.ask("POST", store._target.path("_close"))

    for call in (
        cluster.statements.write([item(2), item(3)]),
        cluster.statements.existing([item(1).statement.id]),
        cluster.statements.get([item(1).statement.id]),
        cluster.statements.count(),
        cluster.listed(),
        cluster.documents.get(KEY),
        cluster.documents.put(KEY, b"2", "text/plain", expected=ANY),
        cluster.documents.put(KEY, b"2", "text/plain", expected=None),
        cluster.documents.delete(KEY, expected=ANY),
        cluster.documents.ids("state", "o"),
    ):
        with pytest.raises(Unavailable):
            await call

    for store in (cluster.statements, cluster.documents):
        await cluster.ask("POST", store._target.path("_open"))
        await cluster.ask("GET", f"/_cluster/health/{store._target.index}?wait_for_status=yellow&timeout=10s")
    assert [] == await cluster.statements.write([item(2), item(3)])
    assert [1, 2, 3] == await cluster.listed()
    assert "1" == (await cluster.documents.get(KEY)).content.decode()


@pytest.mark.parametrize("block", ["read_only", "write", "read_only_allow_delete"])
async def test_statements_wait_while_the_index_is_blocked(cluster: Cluster, block: str) -> None:
    """By an administrator, or by the cluster for a full disk."""
    await cluster.statements.write([item(1)])
    path = cluster.statements._target.path("_settings")
    await cluster.ask("PUT", path, {f"index.blocks.{block}": True})

    with pytest.raises(Unavailable):
        await cluster.statements.write([item(2)])

    await cluster.ask("PUT", path, {f"index.blocks.{block}": None})
    assert [] == await cluster.statements.write([item(2)])


async def test_statements_wait_for_room_for_another_index(cluster: Cluster) -> None:
    """At the cluster's limit of shards nothing can be made; with a higher limit it goes on by itself."""
    for automatic in ("false", "true"):
        await cluster.change(cluster__max_shards_per_node=1, action__auto_create_index=automatic)
        with pytest.raises(Unavailable):
            await cluster.statements.write([item(1), item(2)])
        with pytest.raises(Unavailable):
            await cluster.documents.put(KEY, b"1", "text/plain", expected=None)
        assert {} == await cluster.mappings()

    await cluster.change(cluster__max_shards_per_node=1000)
    assert [] == await cluster.statements.write([item(1), item(2)])
    assert [1, 2] == await cluster.listed()


async def test_statements_wait_while_a_pipeline_is_missing(cluster: Cluster) -> None:
    """OpenSearch calls it an illegal argument of each item; it is the index's setting."""
    await cluster.statements.write([item(1)])
    path = cluster.statements._target.path("_settings")
    await cluster.ask("PUT", path, {"index.default_pipeline": "gone"})

    with pytest.raises(Unavailable):
        await cluster.statements.write([item(2)])

    await cluster.ask("PUT", path, {"index.default_pipeline": None})
    assert [] == await cluster.statements.write([item(2)])


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        pytest.param(
            item(2, context={"registration": LONG}),
            "illegal_argument_exception: Document contains at least one immense term",
            id="a derived key longer than a term",
        ),
        pytest.param(
            item(2, object={"objectType": "StatementRef", "id": LONG}),
            "illegal_argument_exception: Document contains at least one immense term",
            id="a reference longer than a term",
        ),
        pytest.param(
            msgspec.structs.replace(item(2), statement=msgspec.structs.replace(item(2).statement, position=2**63)),
            "mapper_parsing_exception: failed to parse field [position]",
            id="a field out of its range",
        ),
        pytest.param(
            msgspec.structs.replace(item(2), statement=msgspec.structs.replace(item(2).statement, raw=b'{"a":"\xff"}')),
            "not text: invalid start byte",
            id="bytes that are no text",
        ),
        pytest.param(item(2, keys=FilterKeys(verb="\ud800")), "not text: surrogates not allowed", id="half a pair"),
    ],
)
async def test_exactly_the_poison_is_rejected(cluster: Cluster, poison: IndexedStatement, reason: str) -> None:
    """The rest of the bulk is written, before it and after it; sent again, the same comes out."""
    others = [item(1), item(3), item(4, verb={"id": "http://example.org/saw"})]

    for _ in range(2):
        (rejection,) = await cluster.statements.write([others[0], poison, *others[1:]])

        assert poison.statement.id == rejection.id
        assert reason == rejection.reason[: len(reason)]
        assert [1, 3, 4] == await cluster.listed()
    assert frozenset() == await cluster.statements.existing([poison.statement.id])


async def test_texts_of_any_length_are_no_poison(cluster: Cluster) -> None:
    """Keys of them are short, whatever they are keys of, and find the statement."""
    one = item(
        1,
        actor={"account": {"homePage": "http://example.org/" + LONG, "name": LONG}},
        verb={"id": "http://example.org/" + LONG},
        object={"id": "http://example.org/" + LONG},
    )

    assert [] == await cluster.statements.write([one])

    query = StatementQuery(agent=one.keys.agents[0], verb=one.keys.verb, activity=one.keys.activities[0])
    assert [one.statement] == await cluster.statements.find(query, through=NOON * 2, after=None, limit=2)


@pytest.mark.parametrize("used", [False, True])
async def test_a_cluster_that_makes_indices_by_itself_makes_none_of_ours(cluster: Cluster, *, used: bool) -> None:
    """OpenSearch's default: a write to no index makes one, and a field of whatever is in it.

    So it is before the first write, and when someone deletes indices and templates of a platform that is running.
    """
    await cluster.change(action__auto_create_index="true")
    if used:
        await cluster.statements.write([item(9)])
        await cluster.documents.put(KEY, b"old", "text/plain", expected=ANY)
    await cluster.clear()

    assert not await cluster.documents.delete(KEY, expected=ANY)
    assert {} == await cluster.mappings()
    assert [] == await cluster.statements.write([item(1)])
    stored = await cluster.documents.put(KEY, b"new", "text/plain", expected=None)

    expected = {
        cluster.statements._target.index: ("strict", "statements"),
        cluster.documents._target.index: ("strict", "documents"),
    }
    assert expected == await cluster.mappings()
    assert [1] == await cluster.listed()
    assert stored == await cluster.documents.get(KEY)


async def test_many_first_writers_make_one_index(cluster: Cluster) -> None:
    """Each finds none and makes it; all are stored, and of the writers of one document one is the first."""
    await cluster.change(action__auto_create_index="true")

    async def create(content: bytes) -> int:
        try:
            await cluster.documents.put(KEY, content, "text/plain", expected=None)
        except PreconditionFailed:
            return 0
        return 1

    writes = asyncio.gather(*(cluster.statements.write([item(number)]) for number in range(6)))
    puts = asyncio.gather(*(create(b"%d" % number) for number in range(6)))

    assert [[]] * 6 == await writes
    assert 1 == sum(await puts)
    assert list(range(6)) == await cluster.listed()


async def test_an_index_without_our_alias_is_checked_and_taken_into_use(cluster: Cluster) -> None:
    """As of a restore without aliases; what is in it can be read, written and deleted."""
    await cluster.statements.write([item(1)])
    await cluster.documents.put(KEY, b"1", "text/plain", expected=None)
    for store in (cluster.statements, cluster.documents):
        await cluster.ask("DELETE", store._target.path(f"_alias/{store._target.alias}"))

    assert [] == await cluster.statements.write([item(2)])
    assert [1, 2] == await cluster.listed()
    assert await cluster.documents.delete(KEY, expected=ANY)
    await cluster.documents.put(KEY, b"2", "text/plain", expected=None)


async def test_an_index_that_is_not_ours_keeps_statements_waiting(cluster: Cluster) -> None:
    """Made by someone else under our name, it is left alone, and acknowledged statements are not set aside for it."""
    index = cluster.statements._target.index
    await cluster.ask("PUT", f"/{index}", {"mappings": {"properties": {"verb": {"type": "date"}}}})
    before = await cluster.ask("GET", f"/{index}")

    with pytest.raises(Unavailable):
        await cluster.statements.write([item(1)])

    assert before == await cluster.ask("GET", f"/{index}")
    await cluster.ask("DELETE", f"/{index}")
    assert [] == await cluster.statements.write([item(1)])
