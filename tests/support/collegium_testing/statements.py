"""Statements for tests of the stores: any number, reproducible, with keys made by hand.

The keys are stated, not derived: a store must find a statement under the keys it is given, whatever they are.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Sequence

import msgspec

from collegium_core.lrs.keys import FilterKeys
from collegium_core.lrs.query import Place, StatementQuery
from collegium_core.lrs.record import Missing, StoredStatement
from collegium_core.storage.ports import IndexedStatement

__all__ = ["AUTHORITY", "START", "Model", "indexed", "place_of", "raw_statement", "statement_id", "statements"]

START = 1_780_000_000_000_000
"""Microseconds: the ``stored`` from which tests count."""

AUTHORITY = b'{"objectType":"Agent","account":{"homePage":"http://example.org","name":"store-tests"}}'

_VERBS = tuple(f"http://adlnet.gov/expapi/verbs/{word}" for word in ("answered", "completed", "launched", "passed"))


def statement_id(number: int) -> str:
    """Return the id of test statement *number*: the same for every tenant and run, in no order."""
    return str(uuid.UUID(int=random.Random(number).getrandbits(128), version=4))


def raw_statement(number: int, *, size: int = 0, verb: str = _VERBS[0]) -> bytes:
    """Return the JSON of test statement *number*, padded by an extension to at least *size* bytes."""
    raw = msgspec.json.encode(
        {
            "id": statement_id(number),
            "actor": {"account": {"homePage": "http://example.org", "name": f"user-{number}"}},
            "verb": {"id": verb, "display": {"en-US": verb.rpartition("/")[2]}},
            "object": {"id": f"http://example.org/activity/{number}"},
            "timestamp": "2026-05-28T20:26:40.000Z",
        }
    )
    if len(raw) < size:
        padding = "x" * (size - len(raw))
        raw = raw[:-1] + f',"result":{{"extensions":{{"http://example.org/p":"{padding}"}}}}}}'.encode()
    return raw


def indexed(
    number: int,
    *,
    stored: int | None = None,
    position: int | None = None,
    keys: FilterKeys | None = None,
    raw: bytes | None = None,
    authority: bytes = AUTHORITY,
    missing: Missing = Missing.NOTHING,
    version: str = "1.0.0",
) -> IndexedStatement:
    """Return test statement *number*, stored *number* microseconds after :data:`START` unless told."""
    moment = START + number if stored is None else stored
    return IndexedStatement(
        StoredStatement(
            id=statement_id(number),
            raw=raw_statement(number) if raw is None else raw,
            stored=moment,
            position=moment if position is None else position,
            authority=authority,
            missing=missing,
            version=version,
        ),
        FilterKeys(verb=_VERBS[0]) if keys is None else keys,
    )


def statements(count: int, *, seed: int = 1, first: int = 0, size: int = 0) -> list[IndexedStatement]:
    """Return *count* statements of a small school: few people, teams, activities and verbs, so that filters overlap.

    Every statement has about ten keys, as statements of a learning platform have.
    """
    source = random.Random(seed)
    made = []
    for number in range(first, first + count):
        verb = source.choice(_VERBS)
        agents = {f"account|http://example.org|user-{source.randrange(12)}"}
        if source.random() < 0.2:
            agents.add(f"mbox|mailto:peer-{source.randrange(4)}@example.org")
        related_agents = agents | {
            f"mbox|mailto:team-{source.randrange(3)}@example.org",
            "account|http://example.org|lms",
        }
        activities = {f"http://example.org/activity/{source.randrange(10)}"} if source.random() < 0.9 else set()
        related_activities = activities | {
            f"http://example.org/course/{source.randrange(3)}",
            "http://example.org/recipe",
        }
        keys = FilterKeys(
            verb=verb,
            agents=tuple(sorted(agents)),
            related_agents=tuple(sorted(related_agents)),
            activities=tuple(sorted(activities)),
            related_activities=tuple(sorted(related_activities)),
            registration=str(uuid.UUID(int=source.randrange(8))) if source.random() < 0.6 else None,
            ref=statement_id(number - 1) if source.random() < 0.05 else None,
        )
        made.append(indexed(number, keys=keys, raw=raw_statement(number, size=size, verb=verb)))
    return made


def place_of(statement: StoredStatement) -> Place:
    """Return the place after which the next page begins when *statement* was the last of this one."""
    return Place(statement.stored, statement.position)


class Model:
    """What a store should answer, by looking at every statement: the yardstick, slow and plain."""

    def __init__(self, items: Iterable[IndexedStatement]) -> None:
        self._items = sorted(items, key=lambda item: (item.statement.stored, item.statement.position))

    def find(self, query: StatementQuery, *, through: int, after: Place | None, limit: int) -> list[StoredStatement]:
        """Return what ``StatementStore.find`` should."""
        ordered: Sequence[IndexedStatement] = self._items if query.ascending else self._items[::-1]
        found = [item.statement for item in ordered if _matches(item, query) and item.statement.stored <= through]
        if after is not None:
            key = (after.stored, after.position)
            found = [
                one
                for one in found
                if ((one.stored, one.position) > key if query.ascending else (one.stored, one.position) < key)
            ]
        return found[:limit]


def _matches(item: IndexedStatement, query: StatementQuery) -> bool:
    keys = item.keys
    stored = item.statement.stored
    return (
        (query.agent is None or query.agent in (keys.related_agents if query.related_agents else keys.agents))
        and (query.verb is None or query.verb == keys.verb)
        and (
            query.activity is None
            or query.activity in (keys.related_activities if query.related_activities else keys.activities)
        )
        and (query.registration is None or query.registration == keys.registration)
        and (query.since is None or stored > query.since)
        and (query.until is None or stored <= query.until)
    )
