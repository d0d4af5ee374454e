"""The indexer: from the log into the tenant's store."""

from __future__ import annotations

import structlog

from collegium_core.lrs.keys import derive_keys
from collegium_core.lrs.record import StoredStatement
from collegium_core.storage.ports import IndexedStatement
from collegium_core.streams import Backlog, DeadLetter
from collegium_core.telemetry import metrics
from collegium_core.tenancy.scope import TenantScope
from collegium_workers.runner import Role

__all__ = ["INDEX", "index"]

_log = structlog.get_logger(__name__)


async def index(scope: TenantScope, statements: list[StoredStatement]) -> list[DeadLetter]:
    """Write *statements* into the tenant's store, durably and searchably; return those that no store takes.

    :raises Unavailable: the store is away.
    """
    dead: list[DeadLetter] = []
    writable: list[IndexedStatement] = []
    for statement in statements:
        try:
            keys = derive_keys(statement.raw, statement.authority)
        except Exception as error:  # noqa: BLE001 - see the next line
            # One statement that trips our own code must not hold up its tenant for ever; it is kept for us to look at.
            _log.exception("keys_not_derived", slug=scope.slug, statement=statement.id)
            dead.append(_letter(statement, f"keys could not be derived: {type(error).__name__}"))
        else:
            writable.append(IndexedStatement(statement, keys))
    if writable:
        by_id = {statement.id: statement for statement in statements}
        for rejection in await scope.store.write(writable):
            _log.error("statement_rejected", slug=scope.slug, statement=rejection.id, reason=rejection.reason)
            dead.append(_letter(by_id[rejection.id], rejection.reason))
    return dead


def _letter(statement: StoredStatement, reason: str) -> DeadLetter:
    return DeadLetter(
        id=statement.id,
        position=statement.position,
        reason=reason,
        raw=statement.raw,
        authority=statement.authority,
        version=statement.version,
        missing=statement.missing,
    )


def _handled(scope: TenantScope, indexed: int, dead: list[DeadLetter]) -> None:
    tenant = scope.record.display
    metrics.statements_indexed_total.labels(tenant).inc(indexed)
    if dead:
        metrics.index_dead_letters_total.labels(tenant).inc(len(dead))


def _waiting(scope: TenantScope, backlog: Backlog) -> None:
    tenant = scope.record.display
    lag = 0.0 if backlog.oldest is None else max(0, backlog.now - backlog.oldest) / 1_000_000
    metrics.index_lag_seconds.labels(tenant).set(lag)
    metrics.stream_backlog.labels(tenant, "index").set(backlog.statements)


INDEX = Role(consumer="index", handle=index, set_aside=_letter, handled=_handled, waiting=_waiting)
"""The role of ``collegium worker --role index``."""
