"""Time and identifiers as the machine gives them."""

from __future__ import annotations

import time
import uuid

from collegium_core.clock import SYSTEM_CLOCK
from collegium_core.ids import new_id


def test_the_system_clock_is_the_machines() -> None:
    """Wall time in microseconds since 1970, and seconds that never go back."""
    assert abs(SYSTEM_CLOCK.wall_microseconds() - time.time() * 1_000_000) < 5_000_000
    assert SYSTEM_CLOCK.monotonic() <= SYSTEM_CLOCK.monotonic()


def test_ids_are_version_7_in_lower_case_and_in_order() -> None:
    """A new id is a UUID version 7; later ones sort after earlier ones."""
    ids = [new_id() for _ in range(1000)]
    assert {7} == {uuid.UUID(text).version for text in ids}
    assert ids == sorted(set(ids))
    assert [str(uuid.UUID(text)) for text in ids] == ids
