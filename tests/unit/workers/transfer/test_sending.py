"""Batches on their way, and refused ones taken apart."""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec
import pytest

from collegium_workers.transfer.client import Answer, Client, PlatformAwayError
from collegium_workers.transfer.lines import Line
from collegium_workers.transfer.sending import Outcome, Sender, send


class Platform:
    """Refuses every batch that holds one of the *bad* statements, as the real one does: all of it or nothing."""

    def __init__(self, *bad: int, most: int = 10_000) -> None:
        self.bad = set(bad)
        self.most = most
        self.stored: list[int] = []
        self.requests = 0
        self.under_way = 0
        self.highest = 0
        self.error: Exception | None = None

    async def post_statements(self, body: bytes) -> Answer:
        """Answer like the platform."""
        self.under_way += 1
        self.highest = max(self.highest, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        self.requests += 1
        if self.error:
            raise self.error
        numbers = [each["n"] for each in msgspec.json.decode(body)]
        if len(numbers) > self.most:
            return Answer(413, b'{"detail":"too many"}', {})
        if wrong := self.bad & set(numbers):
            return Answer(400, msgspec.json.encode({"detail": f"wrong: {min(wrong)}"}), {})
        self.stored += numbers
        return Answer(200, b"[]", {})


def client(platform: Platform) -> Client:
    return cast("Client", platform)


def lines(*numbers: int) -> list[Line]:
    return [Line(number, b'{"n":%d}' % number) for number in numbers]


async def test_a_good_batch_is_one_request() -> None:
    """Nothing is taken apart that need not be."""
    platform = Platform()
    outcome = await send(client(platform), lines(1, 2, 3))
    assert (3, [], 1) == (outcome.accepted, outcome.faults, platform.requests)


async def test_bad_lines_are_found_and_the_others_stored_in_order() -> None:
    """Each with its line number and the platform's reason."""
    platform = Platform(3, 64)
    outcome = await send(client(platform), lines(*range(1, 101)))
    assert [n for n in range(1, 101) if n not in {3, 64}] == platform.stored
    assert 98 == outcome.accepted
    assert [(3, "refused with 400: wrong: 3"), (64, "refused with 400: wrong: 64")] == [
        (fault.number, fault.detail) for fault in outcome.faults
    ]
    assert platform.requests < 35


async def test_a_batch_that_is_too_large_is_halved() -> None:
    """Another platform may have a smaller limit."""
    platform = Platform(most=10)
    assert 100 == (await send(client(platform), lines(*range(100)))).accepted


async def test_nothing_to_send_is_no_request() -> None:
    """A batch of faulty lines alone."""
    platform = Platform()
    assert Outcome() == await send(client(platform), [])
    assert 0 == platform.requests


async def test_only_so_many_batches_are_under_way() -> None:
    """The sender waits for a free place."""
    platform = Platform()
    ended: list[int] = []
    sender = Sender(client(platform), 3, lambda number, _: ended.append(number))
    for number in range(20):
        await sender.submit(number, lines(number))
    await sender.finish()
    assert 3 == platform.highest
    assert list(range(20)) == sorted(ended)


async def test_a_platform_that_is_away_ends_the_sending() -> None:
    """The error reaches whoever submits next or finishes."""
    platform = Platform()
    platform.error = PlatformAwayError("gone")
    sender = Sender(client(platform), 1, lambda *_: None)
    await sender.submit(0, lines(0))
    with pytest.raises(PlatformAwayError):
        await sender.submit(1, lines(1))
    with pytest.raises(PlatformAwayError):
        await sender.finish()


async def test_cancel_leaves_nothing_behind() -> None:
    """No task outlives the command."""
    platform = Platform()
    sender = Sender(client(platform), 5, lambda *_: None)
    for number in range(3):
        await sender.submit(number, lines(number))
    await sender.cancel()
    assert not sender._tasks
