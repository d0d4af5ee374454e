"""The operator's metrics as its parts use them; they are declared in :mod:`collegium_core.telemetry.metrics`."""

from __future__ import annotations

from collections.abc import Iterable

from collegium_core.manifests.status import Condition, ConditionStatus
from collegium_core.telemetry.metrics import (
    operator_queue_depth,
    operator_reconcile_seconds,
    operator_reconciliations_total,
    operator_resource_condition,
)
from collegium_operator.queue import Key

__all__ = ["forget_conditions", "reconciled", "show_conditions", "show_depth"]


def reconciled(kind: str, result: str, seconds: float) -> None:
    """Count one reconciliation of *kind* that ended with *result* (``ok``, ``failed``) after *seconds*."""
    operator_reconciliations_total.labels(kind, result).inc()
    operator_reconcile_seconds.observe(seconds)


def show_depth(depth: int) -> None:
    """Show how many objects wait."""
    operator_queue_depth.set(depth)


def show_conditions(key: Key, conditions: Iterable[Condition]) -> None:
    """Show the conditions of the object *key*: 1 for the status that each has, 0 for the others."""
    for condition in conditions:
        for status in ConditionStatus:
            gauge = operator_resource_condition.labels(key.kind, key.namespace, key.name, condition.type, status.value)
            gauge.set(1 if status == condition.status else 0)


def forget_conditions(key: Key, types: Iterable[str]) -> None:
    """Remove the series of the object *key*, which is gone."""
    for type_ in types:
        for status in ConditionStatus:
            operator_resource_condition.remove(key.kind, key.namespace, key.name, type_, status.value)
