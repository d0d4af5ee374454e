"""The way in while the store is away or hangs: writes do not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import cast

import pytest

from collegium_core.errors import Unavailable
from collegium_core.lrs.record import Missing
from collegium_core.storage.ports import StatementStore
from collegium_core.streams import Appended, PendingBatch, RedisClock, TenantLog
from collegium_core.tenancy import intake
from collegium_core.tenancy.intake import Incoming, Intake, Known


class Log:
    """Takes everything, and notes whether a look-up came before."""

    def __init__(self) -> None:
        self.clock = RedisClock()
        self.clock.heard(1)
        self.looked_up: list[bool] = []

    async def append(self, batches: Sequence[PendingBatch], *, looked_up_at: int | None, limit: int) -> list[Appended]:
        """Take *batches*."""
        assert 1000 == limit
        self.looked_up += [looked_up_at is not None] * len(batches)
        return [Appended(number) for number in range(len(batches))]


class Store:
    """Answers as *mood* says."""

    def __init__(self) -> None:
        self.mood = "well"
        self.asked = 0

    async def existing(self, ids: Collection[str]) -> frozenset[str]:
        """Know the id ``known`` alone."""
        self.asked += 1
        if self.mood == "hangs":
            await asyncio.sleep(60)
        if self.mood == "odd":
            raise ZeroDivisionError
        if self.mood == "away":
            raise Unavailable("away")
        return frozenset({"known"}) & frozenset(ids)


class Statement:
    """The least that the log takes."""

    def __init__(self, statement_id: str) -> None:
        self.id = statement_id
        self.raw = b"{}"
        self.missing = Missing.NOTHING


async def bring(way_in: Intake, statement_id: str) -> object:
    """Append one statement and return the outcome."""
    batch = PendingBatch([Statement(statement_id)], b"{}", "1.0.0")
    return (await way_in.append(lambda: Incoming(batch, [statement_id]), size=2))[1]


@pytest.mark.parametrize("mood", ["hangs", "away"])
async def test_writes_do_not_wait_for_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch, mood: str) -> None:
    """It is asked once in a while and given up soon; everything is appended; when it answers it is asked again."""
    monkeypatch.setattr(intake, "_LOOK_UP_SECONDS", 0.05)
    monkeypatch.setattr(intake, "_AWAY_SECONDS", 0.5)
    log, store = Log(), Store()
    way_in = Intake(cast("TenantLog", log), cast("StatementStore", store), limit=1000)
    assert Known(frozenset({"known"})) == await bring(way_in, "known")
    store.mood = mood
    async with asyncio.timeout(5):
        for number in range(200):
            assert isinstance(await bring(way_in, str(number)), Appended)
    assert [False] * 200 == log.looked_up
    assert 2 <= store.asked < 20
    store.mood = "well"
    await asyncio.sleep(0.6)
    assert Known(frozenset({"known"})) == await bring(way_in, "known")
    await bring(way_in, "new")
    assert log.looked_up[-1]
    await way_in.close()


async def test_a_fault_of_ours_is_told_to_whoever_waits() -> None:
    """Not a cancellation, which a server answers without a problem document; and the next request goes as ever."""
    log, store = Log(), Store()
    way_in = Intake(cast("TenantLog", log), cast("StatementStore", store), limit=1000)
    store.mood = "odd"
    outcomes = await asyncio.gather(*(bring(way_in, each) for each in "abc"), return_exceptions=True)
    assert [ZeroDivisionError] * 3 == [type(each) for each in outcomes]
    store.mood = "well"
    assert isinstance(await bring(way_in, "d"), Appended)
    await way_in.close()
