"""The work queue: once, one at a time, again after a failure, and sooner when something happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from collegium_operator.queue import WorkQueue, backoff


async def run(
    queue: WorkQueue[str], handle: Callable[[str], Awaitable[float | None]], seconds: float, workers: int = 2
) -> list[str]:
    """Work for so many seconds and return the failures."""
    failures: list[str] = []
    tasks = [
        asyncio.create_task(queue.work(handle, lambda key, error: failures.append(f"{key}: {error}")))
        for _ in range(workers)
    ]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    queue.close()
    return failures


async def test_a_key_is_in_the_queue_once() -> None:
    """However often it is added before it is looked at, a key is looked at once; order is that of arrival."""
    queue: WorkQueue[str] = WorkQueue()
    seen: list[str] = []

    async def handle(key: str) -> None:
        seen.append(key)

    for key in ("b", "a", "b", "b", "a"):
        queue.add(key)
    assert 2 == len(queue)
    await run(queue, handle, 0.05, workers=1)
    assert ["b", "a"] == seen


async def test_a_key_is_never_worked_on_twice_at_once() -> None:
    """What is added while its key is worked on is looked at once more afterwards; other keys go on meanwhile."""
    queue: WorkQueue[str] = WorkQueue()
    running: set[str] = set()
    done: list[str] = []

    async def handle(key: str) -> None:
        assert key not in running
        running.add(key)
        if key == "slow" and "slow" not in done:
            queue.add("slow")
            queue.add("slow")
        await asyncio.sleep(0.05 if key == "slow" else 0)
        running.discard(key)
        done.append(key)

    for key in ("slow", "other"):
        queue.add(key)
    await run(queue, handle, 0.2, workers=3)
    assert ["other", "slow", "slow"] == done


async def test_a_failure_comes_again() -> None:
    """A key whose handler failed is told, stops nobody, and is looked at again until it succeeds."""
    queue: WorkQueue[str] = WorkQueue()
    seen: list[str] = []

    async def handle(key: str) -> None:
        seen.append(key)
        if key == "bad" and seen.count("bad") == 1:
            raise ValueError("no")

    queue.add("bad")
    queue.add("good")
    assert ["bad: no"] == await run(queue, handle, 0.7, workers=1)
    assert ["bad", "good", "bad"] == seen


async def test_an_event_does_not_wait_for_the_backoff() -> None:
    """A key that waits after a failure is looked at as soon as it is added, and only once."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 60)
    assert 0 == len(queue)
    queue.add("a")
    seen: list[str] = []

    async def handle(key: str) -> float | None:
        seen.append(key)
        return 60.0

    await run(queue, handle, 0.05)
    assert ["a"] == seen


async def test_again_after_a_while() -> None:
    """The seconds that a handler returns are waited for."""
    queue: WorkQueue[str] = WorkQueue()
    seen: list[str] = []

    async def handle(key: str) -> float | None:
        seen.append(key)
        return 0.05 if len(seen) < 3 else None

    queue.add("a")
    await run(queue, handle, 0.4)
    assert ["a"] * 3 == seen


async def test_the_oldest_tells_how_long_it_waits() -> None:
    """An empty queue has no oldest key; else its age is that of the first one."""
    queue: WorkQueue[str] = WorkQueue()
    assert 0 == queue.oldest_seconds()
    queue.add("a")
    await asyncio.sleep(0.02)
    queue.add("b")
    assert queue.oldest_seconds() >= 0.02


@pytest.mark.parametrize(("failures", "longest"), [(1, 0.5), (2, 1.0), (5, 8.0), (8, 60.0), (10_000, 60.0)])
def test_backoff(failures: int, longest: float) -> None:
    """It doubles up to a minute, less up to a fifth."""
    assert longest == backoff(failures, lambda: 0.0)
    assert longest * 0.8 == pytest.approx(backoff(failures, lambda: 1.0))
