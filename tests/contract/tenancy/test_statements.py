"""Log and store of a tenant together, on real Valkey and SQLite; the worker's role runs by hand, step by step."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collegium_core.errors import BadRequest, Conflict, Unavailable
from collegium_core.lrs.query import StatementQuery
from collegium_core.lrs.validation import Received, receive
from collegium_core.settings import load
from collegium_core.streams import PendingBatch, Ring
from collegium_core.tenancy.names import parse_name
from collegium_core.tenancy.platform import Platform
from collegium_core.tenancy.record import TenantRecord
from collegium_core.tenancy.scope import TenantScope
from collegium_workers.index.role import INDEX, index
from collegium_workers.runner import Runner

AUTHORITY = b'{"mbox":"mailto:lrs@example.org"}'


def made(statement_id: str, verb: str = "began") -> Received:
    body = (
        f'{{"id":"{statement_id}","actor":{{"mbox":"mailto:a@example.org"}},'
        f'"verb":{{"id":"http://example.org/{verb}"}},"object":{{"id":"http://example.org/o"}}}}'
    )
    return receive(body.encode(), version="1.0.3", max_statements=1).statements[0]


async def accept(scope: TenantScope, *batch: Received) -> int:
    accepted = await scope.statements.accept(lambda: batch, size=1, authority=AUTHORITY, version="1.0.0")
    return accepted.added


@pytest.fixture
async def platform(valkey_url: str, tmp_path: Path) -> AsyncIterator[Platform]:
    platform = await Platform.open(
        load({"COLLEGIUM_REDIS_URL": valkey_url, "COLLEGIUM_DATA_DIR": str(tmp_path)}, cwd=tmp_path)
    )
    yield platform
    await platform.close()


@pytest.fixture
async def scope(platform: Platform) -> AsyncIterator[TenantScope]:
    names = parse_name(f"together-{uuid.uuid4().hex[:10]}")
    record = TenantRecord(names.slug, names.display, names.canonical)
    await platform.registry.put(record)
    scope = platform.scope(record)
    yield scope
    await scope.erase()
    await platform.registry.remove(record.slug)


async def index_all(platform: Platform, scope: TenantScope) -> None:
    """Do what the worker does, for this tenant."""
    ring: Ring = platform.ring("index", owner="test")
    async with asyncio.timeout(20):
        while (await scope.log.backlog()).statements:
            work = await ring.take(statements=1000, size=1 << 22)
            if work is None:
                await ring.wait()
            elif work.lease.slug != scope.slug:
                await ring.release(work.lease, pause_seconds=60)
            else:
                await ring.acknowledge(work, await index(scope, work.statements))


async def test_concurrent_requests_stand_for_themselves(platform: Platform, scope: TenantScope) -> None:
    """Requests that go together are each accepted, known, in conflict or bad on their own account."""
    old, new, other = (str(uuid.uuid4()) for _ in range(3))
    await accept(scope, made(old))
    await index_all(platform, scope)

    def bad() -> Any:
        raise BadRequest("no statement")

    outcomes = await asyncio.gather(
        accept(scope, made(old)),
        accept(scope, made(old, "ended")),
        accept(scope, made(new), made(old)),
        scope.statements.accept(bad, size=1, authority=AUTHORITY, version="1.0.0"),
        accept(scope, made(other)),
        return_exceptions=True,
    )
    assert [0, Conflict, 1, BadRequest, 1] == [o if isinstance(o, int) else type(o) for o in outcomes]
    assert {old, new, other} == set(await scope.statements.get([old, new, other]))


async def test_a_request_that_goes_away_takes_nobody_with_it(scope: TenantScope) -> None:
    """A cancelled request leaves the others of its group alone."""
    ids = [str(uuid.uuid4()) for _ in range(20)]
    tasks = [asyncio.create_task(accept(scope, made(i))) for i in ids]
    await asyncio.sleep(0)
    tasks[3].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert 19 <= sum(d == 1 for d in done)


async def test_what_only_the_store_knows_is_told_apart_when_indexed(platform: Platform, scope: TenantScope) -> None:
    """An id accepted without the look-up: the same content is dropped, other content becomes a dead letter."""
    same, different = str(uuid.uuid4()), str(uuid.uuid4())
    await accept(scope, made(same), made(different))
    await index_all(platform, scope)
    for bucket in await platform._connection.execute("SMEMBERS", f"{_prefix(scope)}buckets"):
        await platform._connection.execute("DEL", f"{_prefix(scope)}claims:{bucket.decode()}")
    batch = [made(same), made(different, "ended")]
    await scope.log.append([PendingBatch(batch, AUTHORITY, "1.0.0")], looked_up_at=None, limit=100)
    await index_all(platform, scope)
    page = await scope.statements.page(StatementQuery(), after=None, limit=10)
    assert {same, different} == {s.id for s in page.statements}
    assert b"http://example.org/began" in (await scope.statements.get([different]))[different].raw
    letters = [letter async for letter in scope.log.dead_letters()]
    assert [(different, "conflict")] == [(letter.id, letter.reason) for letter in letters]
    with pytest.raises(Conflict):
        await accept(scope, made(different, "ended"))


async def test_a_dead_letter_can_be_replayed(platform: Platform, scope: TenantScope) -> None:
    """A statement that was set aside is accepted again as it was, with what the client left out."""
    body = b'{"actor":{"mbox":"mailto:a@example.org"},"verb":{"id":"http://e.org/v"},"object":{"id":"http://e.org/o"}}'
    statement = receive(body, version="2.0.0", max_statements=1).statements[0]
    await scope.statements.accept(lambda: [statement], size=1, authority=AUTHORITY, version="2.0.0")
    ring = platform.ring("index", owner="test")
    work = await ring.take(statements=10, size=1 << 20)
    while work is None or work.lease.slug != scope.slug:
        if work is not None:
            await ring.release(work.lease, pause_seconds=60)
        await ring.wait()
        work = await ring.take(statements=10, size=1 << 20)
    from collegium_workers.index.role import _letter  # noqa: PLC0415 - how the role sets a statement aside

    await ring.acknowledge(work, [_letter(work.statements[0], "refused")])
    assert {} == await scope.statements.get([statement.id])
    [letter] = [letter async for letter in scope.log.dead_letters()]
    accepted = await scope.statements.accept(
        lambda: [letter], size=1, authority=letter.authority, version=letter.version, ids_chosen=True
    )
    assert 1 == accepted.added
    await index_all(platform, scope)
    again = (await scope.statements.get([statement.id]))[statement.id]
    assert (body, "2.0.0", AUTHORITY, statement.missing) == (again.raw, again.version, again.authority, again.missing)


async def test_the_backlog_limit_is_a_503_with_a_time(valkey_url: str, tmp_path: Path) -> None:
    """Beyond the limit a batch is refused whole, and says when to come back."""
    env = {"COLLEGIUM_REDIS_URL": valkey_url, "COLLEGIUM_DATA_DIR": str(tmp_path), "COLLEGIUM_BACKLOG_LIMIT": "5"}
    platform = await Platform.open(load(env, cwd=tmp_path))
    names = parse_name(f"full-{uuid.uuid4().hex[:10]}")
    scope = platform.scope(TenantRecord(names.slug, names.display, names.canonical))
    try:
        await accept(scope, *(made(str(uuid.uuid4())) for _ in range(4)))
        with pytest.raises(Unavailable, match="wait to be indexed") as refused:
            await accept(scope, *(made(str(uuid.uuid4())) for _ in range(2)))
        assert ("retry-after", "10") in refused.value.headers
        assert 4 == (await scope.log.backlog()).statements
    finally:
        await scope.erase()
        await platform.close()


async def test_records_are_followed_by_every_process(valkey_url: str, tmp_path: Path) -> None:
    """A changed, removed or new record is seen by another process at once; a closed tenant's work goes on."""
    env = {"COLLEGIUM_REDIS_URL": valkey_url, "COLLEGIUM_DATA_DIR": str(tmp_path)}
    writer, reader = [await Platform.open(load(env, cwd=tmp_path)) for _ in range(2)]
    names = parse_name(f"followed-{uuid.uuid4().hex[:10]}")
    record = TenantRecord(names.slug, names.display, names.canonical)
    try:
        await asyncio.sleep(0.2)
        assert await reader.registry.get(names.slug) is None
        assert await writer.registry.put(record)
        assert not await writer.registry.put(record)
        await asyncio.sleep(0.3)
        assert record == await reader.registry.get(names.slug)
        assert record in await reader.registry.list()
        await writer.registry.remove(names.slug)
        await asyncio.sleep(0.3)
        assert await reader.registry.get(names.slug) is None
        assert record == await reader.registry.known(names.slug)
    finally:
        await writer.scope(record).erase()
        await writer.close()
        await reader.close()


def _prefix(scope: TenantScope) -> str:
    from collegium_core.streams.connection import tenant_key  # noqa: PLC0415 - only this test names keys

    return tenant_key(scope.slug, "")


async def test_a_poison_statement_stops_nobody(platform: Platform, scope: TenantScope) -> None:
    """A statement on which the worker's own code fails every time ends as a dead letter; all others are indexed."""
    poison, *others = [str(uuid.uuid4()) for _ in range(4)]

    async def handle(scope: TenantScope, statements: Any) -> Any:
        if any(statement.id == poison for statement in statements):
            raise ArithmeticError("our fault")
        return await index(scope, statements)

    await accept(scope, *(made(i) for i in (others[0], poison, others[1])))
    role = msgspec.structs.replace(INDEX, handle=handle)
    stop = asyncio.Event()
    running = asyncio.create_task(Runner(platform, role, owner="test").run(stop))
    try:
        async with asyncio.timeout(30):
            while (await scope.log.backlog()).statements:
                await asyncio.sleep(0.1)
        await accept(scope, made(others[2]))
        async with asyncio.timeout(10):
            while (await scope.log.backlog()).statements:
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await running
    page = await scope.statements.page(StatementQuery(), after=None, limit=10)
    assert set(others) == {s.id for s in page.statements}
    letters = [letter async for letter in scope.log.dead_letters()]
    assert [(poison, "the index failed: ArithmeticError")] == [(letter.id, letter.reason) for letter in letters]
