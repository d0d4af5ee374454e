"""Made-up statements: reproducible, valid, varied, quick."""

from __future__ import annotations

import hashlib
import itertools
import uuid
from collections import Counter
from typing import Any

import msgspec
import pytest

from collegium_core.lrs.validation import receive
from collegium_workers.transfer.generator import generate


def take(seed: int, count: int) -> list[bytes]:
    return list(itertools.islice(generate(seed), count))


def decoded(seed: int, count: int) -> list[dict[str, Any]]:
    return [msgspec.json.decode(statement) for statement in take(seed, count)]


def test_the_same_seed_gives_the_same_bytes() -> None:
    """So that sending a demo twice adds nothing, on whatever machine."""
    assert take(7, 500) == take(7, 500)


def test_bytes_of_a_seed_are_what_they_have_always_been() -> None:
    """Another digest means that `collegium demo` adds to a platform that had one: then say so in the changelog."""
    digest = hashlib.sha256(b"\n".join(take(1, 1000))).hexdigest()
    assert "eaef27c9e539d22a16306b6613139917b39a525c0f542cd9beb374608b85b2a1" == digest


def test_how_many_are_taken_changes_nothing() -> None:
    """The first hundred are the same whether a hundred or a thousand follow."""
    assert take(3, 100) == take(3, 1000)[:100]


def test_another_seed_gives_other_statements() -> None:
    """No id of one stands in the other."""
    ids = {statement["id"] for statement in decoded(1, 300)}
    assert not ids & {statement["id"] for statement in decoded(2, 300)}


@pytest.mark.parametrize("version", ["1.0.3", "2.0.0"])
@pytest.mark.parametrize("seed", [1, 2, 99])
def test_every_statement_is_accepted(seed: int, version: str) -> None:
    """Validation takes all of them in both versions, and keeps their ids."""
    statements = take(seed, 3000)
    batch = receive(b"[" + b",".join(statements) + b"]", version=version, max_statements=5000)
    assert [msgspec.json.decode(statement)["id"] for statement in statements] == [each.id for each in batch.statements]


def test_ids_are_unique_and_of_version_4() -> None:
    """As clients make them."""
    ids = [uuid.UUID(statement["id"]) for statement in decoded(1, 5000)]
    assert 5000 == len(set(ids))
    assert {4} == {each.version for each in ids}


def test_timestamps_never_go_back() -> None:
    """The stream is in order of time, so that replaying it looks like a day on a platform."""
    times = [statement["timestamp"] for statement in decoded(1, 5000)]
    assert sorted(times) == times


def test_life_is_varied() -> None:
    """Several languages, courses, kinds of actors and verbs, and many people at a time."""
    statements = decoded(1, 5000)
    languages = Counter(statement["context"]["language"] for statement in statements)
    kinds = Counter(next(iter(statement["actor"].keys() - {"objectType", "name"})) for statement in statements)
    verbs = Counter(statement["verb"]["id"].rpartition("/")[2] for statement in statements)
    assert {"en", "fr", "de", "ja", "ar"} == set(languages)
    assert {"account", "mbox", "mbox_sha1sum", "openid"} == set(kinds)
    assert {"played", "paused", "seeked", "answered", "passed", "failed", "progressed", "commented"} <= set(verbs)
    assert len({msgspec.json.encode(statement["actor"]) for statement in statements[:200]}) > 20


def test_progress_of_a_person_in_a_course_never_falls() -> None:
    """What rollups add up makes sense."""
    reached: dict[str, int] = {}
    for statement in decoded(1, 20_000):
        progress = (
            statement.get("result", {})
            .get("extensions", {})
            .get("https://w3id.org/xapi/cmi5/result/extensions/progress")
        )
        if progress is not None:
            registration = statement["context"]["registration"]
            assert reached.get(registration, 0) < progress <= 100
            reached[registration] = progress
    assert reached


def test_references_point_at_earlier_statements() -> None:
    """An instructor answers what was said."""
    seen: set[str] = set()
    references = 0
    for statement in decoded(1, 10_000):
        if statement["object"].get("objectType") == "StatementRef":
            references += 1
            assert statement["object"]["id"] in seen
        seen.add(statement["id"])
    assert references
