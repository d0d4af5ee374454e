"""Filter keys as the index holds them, and list queries as SQL.

A filter key becomes a *term*: 61 bits of a keyed hash and 3 bits for the kind. Terms instead of texts make the index a
third of the size; the key is a secret of the file, so nobody can look for two texts with one term. Direct and related
keys of one text are neighbours in the tree, so a statement touches fewer pages.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from collegium_core.lrs.keys import FilterKeys
from collegium_core.lrs.query import Place, StatementQuery
from collegium_core.storage.sqlite.files import Connection

__all__ = ["COLUMNS", "find_sql", "terms_of", "wanted_terms"]

_VERB: Final = 0
_AGENT: Final = 1
_RELATED_AGENT: Final = 2
_ACTIVITY: Final = 3
_RELATED_ACTIVITY: Final = 4
_REGISTRATION: Final = 5
_KIND_MASK: Final = 7

_MAX: Final = 2**63 - 1
_PROBE_DEPTH: Final = 64

COLUMNS: Final = "s.id, s.raw, s.stored, s.stored + s.tie, a.json, s.missing, s.version"

# The only thing ever put into these is ASC or DESC, and the constant below them.
_PAGE_OF_ALL: Final = (
    f"SELECT {COLUMNS} FROM statement s JOIN authority a ON a.number = s.authority"  # noqa: S608 - constants and placeholders
    " WHERE (s.stored, s.tie) > (?, ?) AND (s.stored, s.tie) < (?, ?)"
    " ORDER BY s.stored {order}, s.tie {order} LIMIT ?"
)
# CROSS JOIN: SQLite keeps the order of the tables, which is the order of the page.
_PAGE_OF_TERM: Final = (
    f"SELECT {COLUMNS} FROM term t CROSS JOIN statement s ON s.seq = t.seq"  # noqa: S608 - constants and placeholders
    " JOIN authority a ON a.number = s.authority"
    " WHERE t.term = ? AND (t.stored, t.tie) > (?, ?) AND (t.stored, t.tie) < (?, ?){others}"
    " ORDER BY t.stored {order}, t.tie {order} LIMIT ?"
)
_ALSO_TERM: Final = (
    " AND EXISTS (SELECT 1 FROM term o WHERE o.term = ? AND o.stored = t.stored AND o.tie = t.tie AND o.seq = t.seq)"
)
_PROBE: Final = (
    "SELECT stored FROM term"  # noqa: S608 - constants and placeholders
    " WHERE term = ? AND (stored, tie) > (?, ?) AND (stored, tie) < (?, ?)"
    f" ORDER BY stored {{order}}, tie {{order}} LIMIT 1 OFFSET {_PROBE_DEPTH}"
)


@lru_cache(maxsize=16_384)
def _term(salt: bytes, kind: int, text: str) -> int:
    # surrogatepass: no text is refused here.
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=salt).digest()
    return int.from_bytes(digest, "big", signed=True) & ~_KIND_MASK | kind


def terms_of(salt: bytes, keys: FilterKeys) -> list[int]:
    """Return the terms under which a statement with *keys* is found."""
    terms = [_term(salt, _VERB, keys.verb)]
    terms += [_term(salt, _AGENT, agent) for agent in keys.agents]
    terms += [_term(salt, _RELATED_AGENT, agent) for agent in keys.related_agents]
    terms += [_term(salt, _ACTIVITY, activity) for activity in keys.activities]
    terms += [_term(salt, _RELATED_ACTIVITY, activity) for activity in keys.related_activities]
    if keys.registration is not None:
        terms.append(_term(salt, _REGISTRATION, keys.registration))
    return terms


def wanted_terms(salt: bytes, query: StatementQuery) -> list[int]:
    """Return the terms that a statement must all have to match *query*."""
    wanted = []
    if query.registration is not None:
        wanted.append(_term(salt, _REGISTRATION, query.registration))
    if query.agent is not None:
        wanted.append(_term(salt, _RELATED_AGENT if query.related_agents else _AGENT, query.agent))
    if query.activity is not None:
        wanted.append(_term(salt, _RELATED_ACTIVITY if query.related_activities else _ACTIVITY, query.activity))
    if query.verb is not None:
        wanted.append(_term(salt, _VERB, query.verb))
    return wanted


def find_sql(
    connection: Connection, query: StatementQuery, *, through: int, after: Place | None, limit: int
) -> tuple[str, list[int]]:
    """Return the SQL of one page and its parameters.

    The page walks one term's rows from *after* on; every further term is a point look-up per row. The walked term is
    the one that is rarest there, so that two frequent filters with few common statements cost as little as they can.
    """
    order = "ASC" if query.ascending else "DESC"
    bounds = _bounds(query, through=through, after=after)
    terms = wanted_terms(connection.salt, query)
    if not terms:
        return _PAGE_OF_ALL.format(order=order), [*bounds, limit]
    if len(terms) > 1:
        terms.sort(key=lambda term: _reach(connection, term, bounds, order))
    sql = _PAGE_OF_TERM.format(order=order, others=_ALSO_TERM * (len(terms) - 1))
    return sql, [terms[0], *bounds, *terms[1:], limit]


def _bounds(query: StatementQuery, *, through: int, after: Place | None) -> list[int]:
    """Return the open interval of (stored, tie) that the page lies in: lower pair, upper pair."""
    lower = (-_MAX, 0) if query.since is None else (query.since, _MAX)
    upper = (through if query.until is None else min(through, query.until), _MAX)
    if after is not None:
        place = (after.stored, after.position - after.stored)
        if query.ascending:
            lower = max(lower, place)
        else:
            upper = min(upper, place)
    return [*lower, *upper]


def _reach(connection: Connection, term: int, bounds: list[int], order: str) -> int:
    """Return how far a walk along *term* gets with a few rows, negated: the rarer the term, the smaller."""
    row = connection.execute(_PROBE.format(order=order), [term, *bounds]).fetchone()
    if row is None:
        return -_MAX
    return -abs(int(row[0]) - (bounds[0] if order == "ASC" else bounds[2]))
