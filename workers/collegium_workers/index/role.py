"""The indexer: from the log into the tenant's store."""

from __future__ import annotations

import structlog

from collegium_core.lrs.keys import derive_keys
from collegium_core.lrs.record import StoredStatement
from collegium_core.storage.ports import IndexedStatement
from collegium_core.streams import Acknowledged, DeadLetter, Work
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


def _handled(scope: TenantScope, work: Work, acknowledged: Acknowledged, dead: list[DeadLetter]) -> None:
    tenant = scope.record.display
    # What is left now is younger than what was handled; its age is at most this.
    lag = (work.now - work.statements[0].position) / 1_000_000 if acknowledged.left else 0.0
    metrics.statements_indexed_total.labels(tenant).inc(len(work.statements) - len(dead))
    metrics.index_lag_seconds.labels(tenant).set(lag)
    metrics.stream_backlog.labels(tenant, "index").set(acknowledged.left)
    if dead:
        metrics.index_dead_letters_total.labels(tenant).inc(len(dead))


INDEX = Role(consumer="index", handle=index, handled=_handled)
"""The role of ``collegium worker --role index``."""
