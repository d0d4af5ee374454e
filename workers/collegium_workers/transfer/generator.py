"""Lifelike statements out of a seed: people watch videos, take quizzes, talk, and get on in their courses.

The same seed gives the same bytes for ever, and the first *n* statements do not depend on how many are taken. Each
carries an id and a timestamp, so that sending them again adds nothing. Several dozen people are at work at any moment,
so neighbours in the stream are of different people and courses, as a real platform sees them.
"""

from __future__ import annotations

import datetime as dt
import heapq
import random
from collections.abc import Iterator
from typing import Final

from collegium_workers.transfer.scenes import Event, World, build_world, visit

__all__ = ["generate"]

# Far enough in the past that tens of millions of statements fit before today.
_BEGIN: Final = dt.datetime(2024, 9, 2, 6, 0, tzinfo=dt.UTC)
_AT_WORK: Final = 48
_PAUSE_SECONDS: Final = 40.0


def generate(seed: int) -> Iterator[bytes]:
    """Yield statements without end, each as one line of JSON in UTF-8 without its line end, ordered by timestamp."""
    draw = random.Random(seed)  # noqa: S311 - reproducible on purpose, protects nothing
    world = build_world(draw)
    # (milliseconds since _BEGIN, a number that settles ties, the person's remaining events, the event due then)
    due: list[tuple[int, int, Iterator[Event], Event]] = []
    number = 0
    for _ in range(_AT_WORK):
        _admit(due, draw, world, now=0, number=number)
        number += 1
    clock = _Clock()
    while True:
        now, order, events, event = due[0]
        yield f'{{"id":"{event.id}","timestamp":"{clock.format(now)}",{event.body}}}'.encode()
        following = next(events, None)
        if following is None:
            heapq.heappop(due)
            _admit(due, draw, world, now=now, number=number)
            number += 1
        else:
            heapq.heapreplace(due, (now + following.after_milliseconds, order, events, following))


def _admit(
    due: list[tuple[int, int, Iterator[Event], Event]], draw: random.Random, world: World, *, now: int, number: int
) -> None:
    """Let one more person begin a visit, a little after *now*."""
    events = visit(draw, world)
    first = next(events)
    start = now + int(draw.expovariate(1 / _PAUSE_SECONDS) * 1000)
    heapq.heappush(due, (start + first.after_milliseconds, number, events, first))


class _Clock:
    """Formats milliseconds since :data:`_BEGIN`; remembers the text of the minute, which rarely changes."""

    def __init__(self) -> None:
        self._minute = -1
        self._text = ""

    def format(self, milliseconds: int) -> str:
        minute, rest = divmod(milliseconds, 60_000)
        if minute != self._minute:
            self._minute = minute
            self._text = (_BEGIN + dt.timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M")
        seconds, thousandths = divmod(rest, 1000)
        return f"{self._text}:{seconds:02d}.{thousandths:03d}Z"
