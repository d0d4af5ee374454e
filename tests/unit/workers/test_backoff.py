"""Pauses between tries."""

from __future__ import annotations

from collegium_workers.backoff import Backoff


def test_steps_double_up_to_the_maximum() -> None:
    """Each pause is at most twice the one before, none is beyond the maximum."""
    backoff = Backoff(0.1, 1.0, draw=lambda: 1.0)
    assert [0.1, 0.2, 0.4, 0.8, 1.0, 1.0] == [round(backoff.next(), 6) for _ in range(6)]


def test_jitter_takes_at_most_half_of_a_step() -> None:
    """The least pause is half a step, so that nobody comes back at once."""
    backoff = Backoff(0.1, 1.0, draw=lambda: 0.0)
    assert [0.05, 0.1, 0.2] == [round(backoff.next(), 6) for _ in range(3)]


def test_reset_begins_again() -> None:
    """After a good run the next failure is treated as the first."""
    backoff = Backoff(0.1, 1.0, draw=lambda: 1.0)
    for _ in range(4):
        backoff.next()
    backoff.reset()
    assert 0.1 == backoff.next()
