"""Counting answered requests: the same labels for the hot path and for everything else."""

from __future__ import annotations

import time
from typing import Final

from collegium_core.telemetry import metrics

__all__ = ["count_request"]

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


def count_request(route: str, method: str, status: int, started: float) -> None:
    """Count one answer.

    :param route: a route's template or name, one of a bounded number.
    :param started: ``time.perf_counter()`` when the request came.
    """
    known = method if method in _METHODS else "other"  # anybody can send any word
    metrics.http_requests_total.labels(route, known, str(status)).inc()
    metrics.http_request_seconds.observe(time.perf_counter() - started)
