"""Two tenants in one pooled index: what keeps them apart, and that each wall of it carries weight."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from collegium_core.lrs.keys import FilterKeys
from collegium_core.lrs.query import StatementQuery
from collegium_core.lrs.record import StoredStatement
from collegium_core.storage.opensearch import OpenSearchBackend, builder, reader
from collegium_core.storage.opensearch.placement import Target
from collegium_core.storage.ports import ANY, DocumentKey, IndexedStatement
from collegium_core.tenancy.record import Placement

NOON = 1_790_000_000_000_000
IDS = [f"00000000-0000-4000-8000-{number:012d}" for number in range(5)]
KEY = DocumentKey(resource="state", owner="https://example.org/a", id="bookmark")


def statement(number: int, marker: str) -> IndexedStatement:
    raw = f'{{"actor":{{"mbox":"mailto:a@example.org"}},"verb":{{"id":"v:1"}},"object":{{"id":"{marker}"}}}}'.encode()
    return IndexedStatement(
        statement=StoredStatement(
            id=IDS[number], raw=raw, stored=NOON + number, position=NOON + number, authority=b'{"name":"x"}'
        ),
        keys=FilterKeys(verb="v:1", activities=(marker,)),
    )


@pytest.fixture
async def pool(opensearch_url: str) -> AsyncIterator[OpenSearchBackend]:
    """One shard, so that routing alone keeps nobody apart."""
    backend = OpenSearchBackend(opensearch_url, prefix="iso" + secrets.token_hex(4), pool_shards=1)
    yield backend
    catalog = backend._catalog
    for store in (backend.statements("t-a", Placement.POOLED), backend.documents("t-a", Placement.POOLED)):
        await backend._client.call("DELETE", store._target.path(), accept={404})
    for kind in ("statements", "documents"):
        await backend._client.call("DELETE", f"/_index_template/{catalog._prefix}-{kind}", accept={404})
    await backend.close()


@pytest.fixture
async def both(pool: OpenSearchBackend) -> OpenSearchBackend:
    """Tenant ``t-a`` has two statements and a document; ``t-b`` has five under the same ids, and a document."""
    await pool.statements("t-a", Placement.POOLED).write([statement(number, "a:1") for number in range(2)])
    await pool.statements("t-b", Placement.POOLED).write([statement(number, "b:1") for number in range(5)])
    await pool.documents("t-a", Placement.POOLED).put(KEY, b"a", "text/plain", expected=ANY)
    await pool.documents("t-b", Placement.POOLED).put(KEY, b"b", "text/plain", expected=ANY)
    return pool


async def everything(backend: OpenSearchBackend, slug: str) -> str:
    """Return all that *slug* can get to know, as one text."""
    statements = backend.statements(slug, Placement.POOLED)
    documents = backend.documents(slug, Placement.POOLED)
    listed = await statements.find(StatementQuery(), through=NOON * 2, after=None, limit=100)
    found = await statements.get(IDS)
    return repr(
        (
            [item.raw for item in listed],
            sorted(item.raw for item in found.values()),
            sorted(await statements.existing(IDS)),
            await statements.count(),
            await documents.get(KEY),
            await documents.ids("state", "https://example.org/a"),
        )
    )


def without_tenant_filter(target: Target, *filters: Any) -> dict[str, Any]:
    return {"bool": {"filter": list(filters)}}


def without_check(*_: Any) -> None:
    """Let everything pass."""


async def test_tenants_with_the_same_ids_in_one_pool_see_only_their_own(both: OpenSearchBackend) -> None:
    """Lists, look-ups, counts and documents of one tenant hold nothing of the other, ids shared or not."""
    seen = await everything(both, "t-a")

    assert "b:1" not in seen
    assert 2 == await both.statements("t-a", Placement.POOLED).count()
    assert frozenset(IDS[:2]) == await both.statements("t-a", Placement.POOLED).existing(IDS)
    assert 5 == await both.statements("t-b", Placement.POOLED).count()


async def test_answers_do_not_depend_on_what_another_tenant_does(pool: OpenSearchBackend) -> None:
    """What a tenant can see is the same before and after another tenant wrote and deleted under the same ids."""
    await pool.statements("t-a", Placement.POOLED).write([statement(0, "a:1")])
    document = await pool.documents("t-a", Placement.POOLED).put(KEY, b"a", "text/plain", expected=None)
    before = await everything(pool, "t-a")

    assert [] == await pool.statements("t-b", Placement.POOLED).write([statement(number, "b:1") for number in range(5)])
    await pool.documents("t-b", Placement.POOLED).put(KEY, b"b", "text/plain", expected=None)
    assert before == await everything(pool, "t-a")

    await pool.statements("t-b", Placement.POOLED).drop()
    assert await pool.documents("t-b", Placement.POOLED).delete(KEY, expected=ANY)
    assert before == await everything(pool, "t-a")
    assert document == await pool.documents("t-a", Placement.POOLED).get(KEY)


async def test_without_the_tenant_filter_the_reader_withholds_the_answer(
    both: OpenSearchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader is a second wall: it stops what a broken query lets in."""
    monkeypatch.setattr(builder, "_within", without_tenant_filter)

    with pytest.raises(reader.ForeignDocument):
        await both.statements("t-a", Placement.POOLED).find(StatementQuery(), through=NOON * 2, after=None, limit=100)
    with pytest.raises(reader.ForeignDocument):
        await both.documents("t-a", Placement.POOLED).ids("state", "https://example.org/a")


async def test_without_filter_and_reader_a_foreign_statement_shows(
    both: OpenSearchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both walls carry weight: with neither, a list and a count show the other tenant's statements."""
    monkeypatch.setattr(builder, "_within", without_tenant_filter)
    monkeypatch.setattr(reader, "_check", without_check)

    statements = both.statements("t-a", Placement.POOLED)

    listed = await statements.find(StatementQuery(), through=NOON * 2, after=None, limit=100)
    assert any(b"b:1" in item.raw for item in listed)
    assert 7 == await statements.count()


async def test_without_the_filter_a_drop_would_take_the_other_tenant_along(
    both: OpenSearchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The filter is what a drop is bounded by; with it the other tenant keeps everything."""
    await both.statements("t-a", Placement.POOLED).drop()
    assert 0 == await both.statements("t-a", Placement.POOLED).count()
    assert 5 == await both.statements("t-b", Placement.POOLED).count()

    monkeypatch.setattr(builder, "_within", without_tenant_filter)
    await both.statements("t-a", Placement.POOLED).drop()
    monkeypatch.undo()
    assert 0 == await both.statements("t-b", Placement.POOLED).count()


async def test_gets_are_kept_apart_by_the_id_and_checked_by_the_reader(
    both: OpenSearchBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A get has no filter: its ``_id`` names the tenant. Made for another one, the reader withholds the answer."""
    monkeypatch.setattr(Target, "document_id", lambda _self, name: f"t-b:{name}")
    statements = both.statements("t-a", Placement.POOLED)
    documents = both.documents("t-a", Placement.POOLED)

    with pytest.raises(reader.ForeignDocument):
        await statements.get(IDS)
    with pytest.raises(reader.ForeignDocument):
        await documents.get(KEY)

    monkeypatch.setattr(reader, "_check", without_check)
    assert any(b"b:1" in item.raw for item in (await statements.get(IDS)).values())
    document = await documents.get(KEY)
    assert document is not None
    assert b"b" == document.content
