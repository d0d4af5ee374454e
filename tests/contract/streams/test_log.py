"""The log's promises, on every supported server."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collegium_core.errors import Unavailable
from collegium_core.lrs.record import Missing
from collegium_core.streams import (
    Appended,
    Connection,
    DeadLetter,
    Full,
    PendingBatch,
    RedisClock,
    Ring,
    StaleLookup,
    Taken,
    TenantLog,
    Work,
    tenant_key,
)
from collegium_core.streams.connection import partition_of

AUTHORITY = b'{"mbox":"mailto:a@example.org"}'


async def append(log: TenantLog, batch: list[Any], *, limit: int = 1_000_000, looked_up_at: int | None = None) -> Any:
    [outcome] = await log.append([PendingBatch(batch, AUTHORITY, "1.0.0")], looked_up_at=looked_up_at, limit=limit)
    return outcome


async def take_of(ring: Ring, slug: str, **bounds: int) -> Work:
    """Return work of one tenant; other tests' leftovers on a shared server are given back."""
    async with asyncio.timeout(10):
        while True:
            work = await ring.take(statements=bounds.get("statements", 1000), size=bounds.get("size", 1 << 22))
            if work is None:
                await ring.wait()
            elif work.lease.slug == slug:
                return work
            else:
                await ring.release(work.lease, pause_seconds=60)


async def test_stored_is_consecutive_within_a_batch_and_monotone_across(log: TenantLog, statements: Any) -> None:
    """Each statement of a batch has its own microsecond; a later batch begins after the earlier one ended."""
    first = await append(log, statements(600))
    second = await append(log, statements(3))
    assert isinstance(first, Appended)
    assert isinstance(second, Appended)
    assert second.first >= first.first + 600


async def test_batches_of_one_append_stand_for_themselves(
    log: TenantLog, ring: Ring, slug: str, statements: Any
) -> None:
    """Batches appended together are each stored or refused; an id in two of them is stored by the first."""
    known = statements(1)
    await append(log, known)
    twice = statements(1)
    batches = [statements(2), [*statements(1), *known], twice, twice, statements(9), statements(3)]
    pending = [
        PendingBatch(batch, b'{"mbox":"mailto:%d@example.org"}' % (n // 2), "1.0.0") for n, batch in enumerate(batches)
    ]
    outcomes = await log.append(pending, looked_up_at=None, limit=10)
    first = outcomes[0].first
    expected = [Appended(first), Taken({1: outcomes[1].positions[1]}), Appended(first + 2), Taken({0: first + 2})]
    assert [*expected, Full(4), Appended(first + 3)] == outcomes
    work = await take_of(ring, slug)
    stored = [*known, *batches[0], *twice, *batches[5]]
    assert [s.id for s in stored] == [s.id for s in work.statements]
    authorities = [AUTHORITY, *([b'{"mbox":"mailto:0@example.org"}'] * 2), b'{"mbox":"mailto:1@example.org"}']
    assert [*authorities, *([b'{"mbox":"mailto:2@example.org"}'] * 3)] == [s.authority for s in work.statements]


async def test_statements_come_back_as_they_were_sent(log: TenantLog, ring: Ring, slug: str, statements: Any) -> None:
    """A worker reads the same ids, bytes, authority and marks in the order of the batch, across entry boundaries."""
    batch = statements(300, missing=Missing.TIMESTAMP | Missing.VERSION) + statements(300, size=5000)
    appended = await append(log, batch)
    work = await take_of(ring, slug, statements=10_000)
    assert [(s.id, s.raw, s.missing) for s in batch] == [(s.id, s.raw, s.missing) for s in work.statements]
    assert {AUTHORITY} == {s.authority for s in work.statements}
    assert [appended.first + i for i in range(600)] == [s.stored for s in work.statements]


async def test_taken_ids_store_nothing_and_name_their_places(log: TenantLog, statements: Any) -> None:
    """One claimed id refuses the whole batch and says which and where."""
    known = statements(2)
    first = await append(log, known)
    outcome = await append(log, [*statements(2), known[1]])
    assert Taken({2: first.first + 1}) == outcome
    assert (await log.backlog()).statements == 2


async def test_more_than_a_thousand_statements_in_a_batch(
    log: TenantLog, ring: Ring, slug: str, statements: Any
) -> None:
    """A batch larger than what Lua passes at once is stored whole, and refused whole when sent again."""
    batch = statements(5000)
    assert isinstance(await append(log, batch), Appended)
    again = await append(log, batch)
    assert isinstance(again, Taken)
    seen: list[str] = []
    while len(seen) < 5000:
        work = await take_of(ring, slug, statements=1000)
        seen += [s.id for s in work.statements]
        await ring.acknowledge(work)
    assert [s.id for s in batch] == seen


async def test_twenty_writers_of_one_id(log: TenantLog, statements: Any) -> None:
    """Of twenty concurrent appends of one id exactly one is stored."""
    statement = statements(1)
    outcomes = await asyncio.gather(*(append(log, statement) for _ in range(20)))
    assert Counter({Taken: 19, Appended: 1}) == Counter(type(outcome) for outcome in outcomes)


async def test_a_look_up_older_than_five_minutes_is_refused(log: TenantLog, statements: Any) -> None:
    """Between claim and store there is no gap: an append based on an old look-up changes nothing."""
    await append(log, statements(1))
    now = log.clock.now()
    assert isinstance(await append(log, statements(1), looked_up_at=now - 301_000_000), StaleLookup)
    assert isinstance(await append(log, statements(1), looked_up_at=now - 290_000_000), Appended)
    assert (await log.backlog()).statements == 2


async def test_the_backlog_limit_refuses_and_recovers(log: TenantLog, ring: Ring, slug: str, statements: Any) -> None:
    """A full backlog takes nothing of a batch; after indexing it takes writes again."""
    await append(log, statements(8), limit=10)
    assert Full(8) == await append(log, statements(3), limit=10)
    assert isinstance(await append(log, statements(2), limit=10), Appended)
    await ring.acknowledge(await take_of(ring, slug))
    assert isinstance(await append(log, statements(3), limit=10), Appended)


async def test_locate_finds_in_the_log_then_says_indexed(
    log: TenantLog, ring: Ring, slug: str, statements: Any
) -> None:
    """An accepted statement is found by id at once; once indexed its claim remains and points at the store."""
    batch = statements(700)
    first = await append(log, batch)
    in_log, indexed = await log.locate([batch[0].id, batch[699].id, statements(1)[0].id])
    assert {batch[0].id: batch[0].raw, batch[699].id: batch[699].raw} == {i: s.raw for i, s in in_log.items()}
    assert indexed == {}
    await ring.acknowledge(await take_of(ring, slug, statements=10_000))
    assert ({}, {batch[699].id: first.first + 699}) == await log.locate([batch[699].id])


async def test_the_watermark_stands_before_the_oldest_waiting_statement(
    log: TenantLog, ring: Ring, slug: str, statements: Any
) -> None:
    """It moves with acknowledgements only, to just before what is not yet in the store."""
    idle = await log.watermark()
    first = await append(log, statements(256))
    second = await append(log, statements(10))
    assert idle < first.first
    assert first.first - 1 == await log.watermark()
    work = await take_of(ring, slug, statements=1)
    assert len(work.statements) == 256
    assert first.first - 1 == await log.watermark()
    acknowledged = await ring.acknowledge(work)
    assert acknowledged is not None
    assert second.first - 1 == acknowledged.watermark == await log.watermark()


async def test_an_idle_watermark_is_the_clock_and_binds_later_statements(log: TenantLog, statements: Any) -> None:
    """With nothing waiting it follows the clock; whatever is stored later is stored after it."""
    before = await log.watermark()
    await asyncio.sleep(0.4)
    later = await log.watermark()
    assert later > before
    assert (await append(log, statements(1))).first > later


async def test_a_lost_lease_acknowledges_nothing(
    connection: Connection, log: TenantLog, slug: str, statements: Any
) -> None:
    """A worker that was stopped beyond its lease cannot move the watermark or trim the log."""
    await append(log, statements(3))
    slow = Ring(connection, "index", owner="slow", lease_seconds=0.2)
    quick = Ring(connection, "index", owner="quick", lease_seconds=5)
    stale = await take_of(slow, slug)
    await asyncio.sleep(0.3)
    work = await take_of(quick, slug)
    before = await log.watermark()
    assert not await slow.beat(stale.lease)
    assert await slow.acknowledge(stale) is None
    assert (await log.backlog()).statements == 3
    assert before == await log.watermark()
    assert await quick.acknowledge(work) is not None
    assert (await log.backlog()).statements == 0


async def test_a_beat_holds_the_lease(connection: Connection, log: TenantLog, slug: str, statements: Any) -> None:
    """While the holder beats, nobody else gets the tenant."""
    await append(log, statements(1))
    holder = Ring(connection, "index", owner="holder", lease_seconds=0.4)
    other = Ring(connection, "index", owner="other", lease_seconds=5)
    work = await take_of(holder, slug)
    for _ in range(5):
        await asyncio.sleep(0.2)
        assert await holder.beat(work.lease)
        other._sweep_at = 0.0
        taken = await other.take(statements=10, size=1 << 20)
        assert taken is None or taken.lease.slug != slug
    assert await holder.acknowledge(work) is not None


async def test_what_is_left_is_taken_at_once_by_a_waiting_worker(
    log: TenantLog, ring: Ring, slug: str, statements: Any
) -> None:
    """A worker that found nothing while the tenant was leased does not wait for the sweep to take what is left."""
    await append(log, statements(300))
    work = await take_of(ring, slug, statements=1)
    while (other := await ring.take(statements=1, size=1)) is not None:
        await ring.release(other.lease, pause_seconds=60)
    waiting = asyncio.create_task(ring.wait())
    await asyncio.sleep(0)
    started = time.monotonic()
    await ring.acknowledge(work)
    await waiting
    assert (await take_of(ring, slug)).statements
    assert time.monotonic() - started < 0.5


def neighbour(slug: str, *, same_partition: bool) -> str:
    """Return another slug, of the same partition or of another one."""
    others = (f"{slug}-{number}" for number in range(10_000))
    return next(other for other in others if (partition_of(other) == partition_of(slug)) is same_partition)


async def test_a_ring_of_one_tenant_takes_no_other(
    connection: Connection, log: TenantLog, slug: str, statements: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds its tenant behind those that have waited longer, leaves them alone, and asks one partition only."""
    others = [TenantLog(connection, neighbour(slug, same_partition=same), RedisClock()) for same in (True, False)]
    asked: set[int] = set()
    call = connection.call

    def listening(function: str, partition: int, *rest: Any) -> Any:
        asked.add(partition)
        return call(function, partition, *rest)

    ring = Ring(connection, "index", owner="own", lease_seconds=5, tenant=slug)
    try:
        for other in others:
            await append(other, statements(2))
        monkeypatch.setattr(connection, "call", listening)
        assert await ring.take(statements=10, size=1 << 20) is None
        monkeypatch.undo()
        await append(log, statements(3))
        monkeypatch.setattr(connection, "call", listening)
        ring._sweep_at = 0.0
        work = await ring.take(statements=10, size=1 << 20)
        assert work is not None
        assert (slug, 3) == (work.lease.slug, len(work.statements))
        ring._sweep_at = 0.0
        assert await ring.take(statements=10, size=1 << 20) is None
        assert await ring.acknowledge(work) is not None
        assert await ring.take(statements=10, size=1 << 20) is None
        assert {partition_of(slug)} == asked
        monkeypatch.undo()
        assert [2, 2] == [(await other.backlog()).statements for other in others]
    finally:
        monkeypatch.undo()
        for other in others:
            await other.drop()


async def test_a_ring_of_one_tenant_hears_its_wake_up(
    connection: Connection, log: TenantLog, slug: str, statements: Any
) -> None:
    """A statement is taken as soon as it is there, without waiting for the sweep."""
    ring = Ring(connection, "index", owner="own", lease_seconds=5, tenant=slug)
    ring.start()
    try:
        assert await ring.take(statements=1, size=1) is None
        await ring.wait()  # the subscription has begun, or a sweep is due
        assert await ring.take(statements=1, size=1) is None
        waiting = asyncio.create_task(ring.wait())
        await asyncio.sleep(0)
        started = time.monotonic()
        await append(log, statements(1))
        await waiting
        assert time.monotonic() - started < 0.5
        work = await ring.take(statements=1, size=1)
        assert work is not None
        assert await ring.acknowledge(work) is not None
    finally:
        await ring.close()


async def test_what_comes_during_a_lease_is_taken_next(log: TenantLog, ring: Ring, slug: str, statements: Any) -> None:
    """An append to a leased tenant is not forgotten when the lease ends."""
    await append(log, statements(1))
    work = await take_of(ring, slug)
    later = statements(1)
    await append(log, later)
    acknowledged = await ring.acknowledge(work)
    assert acknowledged is not None
    assert acknowledged.left == 1
    assert [later[0].id] == [s.id for s in (await take_of(ring, slug)).statements]


async def test_a_released_tenant_rests(connection: Connection, log: TenantLog, slug: str, statements: Any) -> None:
    """A tenant given back after a failure is left alone for the pause, then taken again whole."""
    await append(log, statements(2))
    ring = Ring(connection, "index", owner="test", lease_seconds=5)
    work = await take_of(ring, slug)
    await ring.release(work.lease, pause_seconds=0.5)
    assert await ring.acknowledge(work) is None
    ring._sweep_at = 0.0
    early = await ring.take(statements=10, size=1 << 20)
    assert early is None or early.lease.slug != slug
    await asyncio.sleep(0.6)
    assert len((await take_of(ring, slug)).statements) == 2


async def test_dead_letters_are_kept_with_their_reason(log: TenantLog, ring: Ring, slug: str, statements: Any) -> None:
    """What no store takes leaves the log together with the acknowledgement, and is kept byte for byte."""
    batch = statements(3)
    first = await append(log, batch)
    work = await take_of(ring, slug)
    letters = [
        DeadLetter(s.id, s.position, "refused", s.raw, s.authority, s.version, s.missing)
        for s in reversed(work.statements[1:])
    ]
    await ring.acknowledge(work, letters)
    assert [
        (batch[1].id, first.first + 1, "refused", batch[1].raw),
        (batch[2].id, first.first + 2, "refused", batch[2].raw),
    ] == [(d.id, d.position, d.reason, d.raw) async for d in log.dead_letters(batch=1)]
    assert (await log.backlog()).dead == 2
    assert await log.drop_dead_letter(first.first + 1)
    assert [batch[2].id] == [d.id async for d in log.dead_letters()]


async def test_claims_expire_only_after_indexing(
    connection: Connection, log: TenantLog, ring: Ring, slug: str, statements: Any
) -> None:
    """A claim has no end while its statement waits, and lives fifteen minutes more once it is indexed."""
    await append(log, statements(1))
    [bucket] = await connection.execute("SMEMBERS", tenant_key(slug, "buckets"))
    key = tenant_key(slug, f"claims:{bucket.decode()}")
    assert await connection.execute("PTTL", key) == -1
    await ring.acknowledge(await take_of(ring, slug))
    assert 890_000 < await connection.execute("PTTL", key) <= 900_000
    await append(log, statements(1))
    buckets = await connection.execute("SMEMBERS", tenant_key(slug, "buckets"))
    newest = max(int(b) for b in buckets)
    assert await connection.execute("PTTL", tenant_key(slug, f"claims:{newest}")) == -1


async def test_two_tenants_do_not_meet(
    connection: Connection, log: TenantLog, ring: Ring, slug: str, statements: Any
) -> None:
    """The same ids in another tenant's log are nobody's business: not taken, not located, not dropped."""
    other = TenantLog(connection, f"{slug}-other", RedisClock())
    batch = statements(2)
    try:
        await append(log, batch)
        assert await other.locate([s.id for s in batch]) == ({}, {})
        assert isinstance(await append(other, batch), Appended)
        await other.drop()
        assert (await log.backlog()).statements == 2
        assert len((await log.locate([s.id for s in batch]))[0]) == 2
    finally:
        await other.drop()


async def test_lost_functions_are_loaded_again(connection: Connection, log: TenantLog, statements: Any) -> None:
    """A server that forgot the library gets it again on the next call."""
    await append(log, statements(1))
    for address in await connection._primaries():
        await connection._pipe_to(address).call("FUNCTION", "FLUSH")
    assert isinstance(await append(log, statements(1)), Appended)


async def test_an_unreachable_server_is_unavailable_at_once() -> None:
    """Nobody listens there: a clear refusal within a moment, not a hang."""
    connection = Connection("redis://127.0.0.1:1")
    log = TenantLog(connection, "t-nobody", RedisClock())
    async with asyncio.timeout(3):
        with pytest.raises(Unavailable, match="no connection to Redis"):
            await log.watermark()
    await connection.close()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.integers(1, 40), min_size=1, max_size=12), bound=st.integers(1, 60))
async def test_any_mix_of_batches_is_read_once_in_order(
    connection: Connection, batches: list[int], bound: int, statements: Any
) -> None:
    """Whatever the batches and the reader's bound: every statement exactly once, in order of `stored`."""
    slug = f"t-mix-{statements(1)[0].id[:13]}"
    log = TenantLog(connection, slug, RedisClock())
    ring = Ring(connection, "index", owner="mix", lease_seconds=5)
    try:
        sent: list[str] = []
        for size in batches:
            batch = statements(size)
            await append(log, batch)
            sent += [s.id for s in batch]
        seen: list[Any] = []
        while (await log.backlog()).statements:
            work = await take_of(ring, slug, statements=bound)
            seen += work.statements
            await ring.acknowledge(work)
        assert sent == [s.id for s in seen]
        assert sorted({s.stored for s in seen}) == [s.stored for s in seen]
    finally:
        await log.drop()


async def test_a_busy_neighbour_keeps_no_expired_lease_hidden(
    connection: Connection, log: TenantLog, ring: Ring, slug: str, statements: Any
) -> None:
    """A tenant whose worker died is taken soon, however often other tenants ring."""
    await append(log, statements(1))
    dying = Ring(connection, "index", owner="dying", lease_seconds=1)
    await take_of(dying, slug)
    neighbour = TenantLog(connection, f"{slug}-busy", RedisClock())

    async def be_busy() -> None:
        while True:
            await append(neighbour, statements(1))
            await asyncio.sleep(0.05)

    busy = asyncio.create_task(be_busy())
    try:
        async with asyncio.timeout(6):
            while True:
                work = await ring.take(statements=10, size=1 << 20)
                if work is None:
                    await ring.wait()
                elif work.lease.slug == slug:
                    break
                else:
                    await ring.acknowledge(work)
    finally:
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
        await neighbour.drop()


async def test_a_silent_peer_is_given_up_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and says nothing: each call fails after the connect timeout, none hangs."""
    monkeypatch.setattr("collegium_core.streams.pipe._CONNECT_SECONDS", 0.3)
    monkeypatch.setattr("collegium_core.streams.pipe._RETRY_SECONDS", 0.0)
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    connection = Connection(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        for _ in range(3):
            async with asyncio.timeout(2):
                with pytest.raises(Unavailable, match="no connection to Redis"):
                    await TenantLog(connection, "t-silent", RedisClock()).watermark()
    finally:
        await connection.close()
        for writer in held:
            writer.close()
        server.close()
        await server.wait_closed()
