"""Which indices there are, what they say of themselves, and who may delete them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from collegium_core.errors import Conflict
from collegium_core.lrs.keys import FilterKeys
from collegium_core.lrs.query import StatementQuery
from collegium_core.lrs.record import StoredStatement
from collegium_core.storage.opensearch import OpenSearchBackend
from collegium_core.storage.ports import ANY, DocumentKey, IndexedStatement
from collegium_core.tenancy.record import Placement

KEY = DocumentKey(resource="state", owner="o", id="i")
ITEM = IndexedStatement(
    statement=StoredStatement(id="s" * 36, raw=b'{"actor":1}', stored=5, position=5, authority=b"{}"),
    keys=FilterKeys(verb="v:1"),
)


class Cluster:
    """A backend with names of its own, and what the cluster says beside it."""

    def __init__(self, url: str) -> None:
        self.prefix = "idx" + secrets.token_hex(4)
        self.backend = OpenSearchBackend(url, prefix=self.prefix, pool_shards=2)

    async def ask(self, path: str) -> Any:
        """Return what stands at *path*."""
        return msgspec.json.decode((await self.backend._client.call("GET", path)).body)

    async def put(self, path: str, body: object) -> None:
        """Write *body* at *path*, as someone else would."""
        await self.backend._client.call("PUT", path, body=msgspec.json.encode(body))

    async def indices(self) -> list[str]:
        """Return the names of the indices of this test."""
        return sorted(await self.ask(f"/{self.prefix}-*"))

    async def close(self) -> None:
        """Leave nothing behind."""
        for index in await self.indices():
            await self.backend._client.call("DELETE", f"/{index}")
        for kind in ("statements", "documents"):
            await self.backend._client.call("DELETE", f"/_index_template/{self.prefix}-{kind}", accept={404})
        await self.backend.close()


@pytest.fixture
async def cluster(opensearch_url: str) -> AsyncIterator[Cluster]:
    cluster = Cluster(opensearch_url)
    yield cluster
    await cluster.close()


@pytest.mark.parametrize(("placement", "owner"), [(Placement.DEDICATED, "t-a"), (Placement.POOLED, "pool")])
async def test_the_first_write_makes_the_index(cluster: Cluster, placement: Placement, owner: str) -> None:
    """Nothing but a write is needed, though the cluster makes no index by itself; reading before it finds nothing."""
    statements = cluster.backend.statements("t-a", placement)
    documents = cluster.backend.documents("t-a", placement)

    assert [] == await statements.find(StatementQuery(), through=9, after=None, limit=10)
    assert {} == await statements.get([ITEM.statement.id])
    assert frozenset() == await statements.existing([ITEM.statement.id])
    assert 0 == await statements.count()
    assert await documents.get(KEY) is None
    assert [] == await documents.ids("state", "o")
    assert not await documents.delete(KEY, expected=ANY)
    await statements.drop()
    assert [] == await cluster.indices()

    assert [] == await statements.write([ITEM])
    await documents.put(KEY, b"x", "text/plain", expected=None)

    assert [f"{cluster.prefix}-{owner}-documents", f"{cluster.prefix}-{owner}-statements"] == await cluster.indices()
    assert [ITEM.statement] == await statements.find(StatementQuery(), through=9, after=None, limit=10)


async def test_a_dedicated_index_says_whose_it_is(cluster: Cluster) -> None:
    """``_meta`` holds class, schema and tenant, and whose it is; only an adoption by someone else changes that."""
    await cluster.backend.adopt("t-a", Placement.DEDICATED, "here/a/uid-1")
    await cluster.backend.adopt("t-a", Placement.DEDICATED, "")
    await cluster.backend.statements("t-a", Placement.DEDICATED).prepare()

    index = f"{cluster.prefix}-t-a-statements"
    described = (await cluster.ask(f"/{index}"))[index]
    meta = {"schema": 1, "class": "statements", "tenant": "t-a", "owner": "here/a/uid-1"}
    assert meta == described["mappings"]["_meta"]
    assert "strict" == described["mappings"]["dynamic"]
    assert {"type": "keyword", "index": False, "doc_values": False} == described["mappings"]["properties"]["raw"]
    assert "1" == described["settings"]["index"]["number_of_shards"]
    assert "0-1" == described["settings"]["index"]["auto_expand_replicas"]
    assert "request" == described["settings"]["index"]["translog"]["durability"]

    await cluster.backend.adopt("t-a", Placement.DEDICATED, "here/a/uid-2")
    for kind in ("statements", "documents"):
        index = f"{cluster.prefix}-t-a-{kind}"
        assert "here/a/uid-2" == (await cluster.ask(f"/{index}"))[index]["mappings"]["_meta"]["owner"]


async def test_a_pooled_index_is_nobodys(cluster: Cluster) -> None:
    """Adopting a tenant that lives in it makes it, and notes no owner."""
    await cluster.backend.adopt("t-a", Placement.POOLED, "here/a/uid-1")

    described = await cluster.ask(f"/{cluster.prefix}-pool-*")
    assert {"documents", "statements"} == {each["mappings"]["_meta"]["class"] for each in described.values()}
    assert {("", "")} == {
        (each["mappings"]["_meta"]["tenant"], each["mappings"]["_meta"]["owner"]) for each in described.values()
    }


async def test_preparing_again_changes_nothing(cluster: Cluster) -> None:
    """The index is the very same one afterwards."""
    statements = cluster.backend.statements("t-a", Placement.DEDICATED)
    index = f"{cluster.prefix}-t-a-statements"

    await statements.prepare()
    before = await cluster.ask(f"/{index}")
    await statements.prepare()

    assert before == await cluster.ask(f"/{index}")


async def test_an_index_of_an_older_schema_gets_the_new_fields(cluster: Cluster) -> None:
    """A write to an index that lacks a field upgrades it and goes on; the owner's uid stays."""
    index = f"{cluster.prefix}-t-a-statements"
    meta = {"schema": 0, "class": "statements", "tenant": "t-a", "owner": "uid-1"}
    old = {"dynamic": "strict", "_meta": meta, "properties": {"tenant": {"type": "keyword", "doc_values": False}}}
    await cluster.put(f"/{index}", {"mappings": old})
    statements = cluster.backend.statements("t-a", Placement.DEDICATED)

    assert [] == await statements.write([ITEM])

    assert [ITEM.statement] == await statements.find(StatementQuery(), through=9, after=None, limit=10)
    found = (await cluster.ask(f"/{index}"))[index]["mappings"]["_meta"]
    assert meta | {"schema": 1} == found


async def test_an_index_that_is_not_ours_is_left_alone(cluster: Cluster) -> None:
    """Neither is it taken into use nor deleted: it says another tenant's name."""
    index = f"{cluster.prefix}-t-a-statements"
    meta = {"schema": 1, "class": "statements", "tenant": "t-b", "owner": ""}
    await cluster.put(f"/{index}", {"mappings": {"_meta": meta}})
    statements = cluster.backend.statements("t-a", Placement.DEDICATED)

    with pytest.raises(Conflict):
        await statements.prepare()
    with pytest.raises(Conflict):
        await statements.drop()

    assert [index] == await cluster.indices()


async def test_dropping_a_dedicated_tenant_deletes_its_indices_alone(cluster: Cluster) -> None:
    """Statements and documents are dropped one class at a time; another tenant's indices stay."""
    for slug in ("t-a", "t-ab"):
        await cluster.backend.statements(slug, Placement.DEDICATED).write([ITEM])
        await cluster.backend.documents(slug, Placement.DEDICATED).put(KEY, b"x", "text/plain", expected=ANY)

    await cluster.backend.statements("t-a", Placement.DEDICATED).drop()
    assert f"{cluster.prefix}-t-a-documents" in await cluster.indices()
    await cluster.backend.documents("t-a", Placement.DEDICATED).drop()

    assert [f"{cluster.prefix}-t-ab-documents", f"{cluster.prefix}-t-ab-statements"] == await cluster.indices()


async def test_a_template_gives_our_names_our_shape(cluster: Cluster) -> None:
    """An index that someone else makes under our name (a restore, say) is strict and in use afterwards."""
    await cluster.backend.statements("t-a", Placement.DEDICATED).prepare()
    index = f"{cluster.prefix}-t-b-statements"

    await cluster.put(f"/{index}", {})
    statements = cluster.backend.statements("t-b", Placement.DEDICATED)
    await statements.prepare()

    assert [] == await statements.write([ITEM])
    described = (await cluster.ask(f"/{index}"))[index]["mappings"]
    assert "strict" == described["dynamic"]
    assert "t-b" == described["_meta"]["tenant"]
