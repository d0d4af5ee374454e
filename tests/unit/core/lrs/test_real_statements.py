"""Real statements of real learners, where they are at hand: ``COLLEGIUM_REAL_STATEMENTS`` names a JSON-lines .gz."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from collegium_core.lrs.compare import equivalent
from collegium_core.lrs.keys import derive_keys
from collegium_core.lrs.validation import receive

AUTHORITY = b'{"account":{"homePage":"http://example.org","name":"server"}}'
FILE = os.environ.get("COLLEGIUM_REAL_STATEMENTS", "")

pytestmark = pytest.mark.skipif(not FILE, reason="COLLEGIUM_REAL_STATEMENTS names no file of real statements")


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    with gzip.open(Path(FILE)) as file:
        return file.read().splitlines()


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
def test_all_are_accepted_as_they_are(lines: list[bytes], version: str) -> None:
    """Every one is accepted in both versions, alone or in batches, and kept byte for byte."""
    kept = []
    for start in range(0, len(lines), 500):
        body = b"[" + b",".join(lines[start : start + 500]) + b"]"
        kept += [statement.raw for statement in receive(body, version=version, max_statements=500).statements]
    assert lines == kept
    for line in lines[::10]:
        (alone,) = receive(line + b"\n", version=version, max_statements=1).statements
        assert line == alone.raw


def test_all_have_keys_and_are_like_themselves(lines: list[bytes]) -> None:
    """Every one is found by actor, verb and activity, and says what it says."""
    for line in lines[::10]:
        keys = derive_keys(line, AUTHORITY)
        assert keys.verb
        assert 1 == len(keys.agents) == len(keys.activities)
        assert 2 <= len(keys.related_activities)
        assert equivalent(line, line + b" ")
