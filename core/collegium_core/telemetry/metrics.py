"""Every metric, declared once. The reference page is generated from :data:`METRICS`.

A labelled metric is a :class:`Family`: ``statements_accepted_total.labels(name).inc(50)``. Its children are kept, so
that the hot path pays a dictionary look-up. The value of a ``tenant`` label is the tenant's name, for at most
``COLLEGIUM_TENANT_LABEL_LIMIT`` tenants of a process, and :data:`OTHER` for the rest.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Generic, Literal, Protocol, TypeVar

import msgspec
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from collegium_core.telemetry.tally import TallyCounter, TallyHistogram, TallySeries

__all__ = [
    "METRICS",
    "OTHER",
    "REGISTRY",
    "TENANTS",
    "Declaration",
    "Family",
    "TenantLabel",
    "auth_failures_total",
    "build_info",
    "greatest",
    "http_request_seconds",
    "http_requests_total",
    "index_dead_letters_total",
    "index_lag_seconds",
    "operator_queue_depth",
    "operator_reconcile_seconds",
    "operator_reconciliations_total",
    "operator_resource_condition",
    "statements_accepted_total",
    "statements_indexed_total",
    "stream_backlog",
]

OTHER: Final = "other"
REGISTRY: Final = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
# A "created" series beside each counter doubles the series and says what the process' start time says.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

M = TypeVar("M", Counter, Gauge, TallySeries)
SeriesT_co = TypeVar("SeriesT_co", covariant=True)
Merge = Literal["sum", "greatest"]


class Declaration(msgspec.Struct, frozen=True):
    """What the reference says of one metric. ``merge`` is how the values of several processes become one."""

    name: str
    kind: str
    labels: tuple[str, ...]
    merge: Merge
    help: str


_DECLARED: Final[list[Declaration]] = []


class TenantLabel:
    """Gives the value of the ``tenant`` label: the name for the first *limit* tenants seen, else :data:`OTHER`."""

    def __init__(self, limit: int) -> None:
        self._named: set[str] = set()
        self.limit = limit

    def __call__(self, name: str) -> str:
        """Return the label's value for the tenant *name*."""
        if name in self._named:
            return name
        if len(self._named) >= self.limit:
            return OTHER
        self._named.add(name)
        return name


TENANTS: Final = TenantLabel(100)
"""Shared by all metrics of the process; set ``TENANTS.limit`` at start, before the first tenant is counted."""


class _Labelled(Protocol[SeriesT_co]):
    """A metric that makes series."""

    def labels(self, *values: str) -> SeriesT_co:
        """Return the series of *values*."""

    def remove(self, *values: str) -> None:
        """Forget the series of *values*."""


class Family(Generic[M]):
    """A labelled metric and its children.

    Of a gauge, the child for :data:`OTHER` holds what was set last for any of those tenants.
    """

    __slots__ = ("_bounded", "_children", "metric")

    def __init__(self, metric: _Labelled[M], labels: Sequence[str]) -> None:
        self.metric: _Labelled[M] = metric
        self._bounded = labels[0] == "tenant"
        self._children: dict[tuple[str, ...], M] = {}

    def labels(self, *values: str) -> M:
        """Return the child for *values*, in the order of the declaration; a tenant is given by its display name."""
        child = self._children.get(values)
        return child if child is not None else self._make(values)

    def _make(self, values: tuple[str, ...]) -> M:
        key = (TENANTS(values[0]), *values[1:]) if self._bounded else values
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self.metric.labels(*key)
        return child

    def remove(self, *values: str) -> None:
        """Forget the child for *values*, so that what is gone is no longer reported; unknown values are ignored."""
        if self._children.pop(values, None) is not None:
            self.metric.remove(*values)


def _declare(kind: str, name: str, labels: Sequence[str], text: str, merge: Merge) -> None:
    _DECLARED.append(Declaration(f"collegium_{name}", kind, tuple(labels), merge, text))


def _counter(name: str, labels: Sequence[str], text: str) -> Family[Counter]:
    _declare("counter", name, labels, text, "sum")
    return Family(Counter(f"collegium_{name}", text, labels, registry=REGISTRY), labels)


def _gauge(name: str, labels: Sequence[str], text: str, merge: Merge) -> Family[Gauge]:
    _declare("gauge", name, labels, text, merge)
    return Family(Gauge(f"collegium_{name}", text, labels, registry=REGISTRY), labels)


def _tally(name: str, labels: Sequence[str], text: str) -> Family[TallySeries]:
    _declare("counter", name, labels, text, "sum")
    return Family(TallyCounter(f"collegium_{name}", text, labels, registry=REGISTRY), labels)


def _histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
    _declare("histogram", name, (), text, "sum")
    return Histogram(f"collegium_{name}", text, registry=REGISTRY, buckets=buckets)


_REQUEST_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_RECONCILE_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

http_requests_total: Final = _tally(
    "http_requests_total", ("route", "method", "code"), "Answered HTTP requests by route template."
)
_REQUEST_SECONDS: Final = "From a request's first byte to its answer's last, in seconds."
_declare("histogram", "http_request_seconds", (), _REQUEST_SECONDS, "sum")
http_request_seconds: Final = TallyHistogram(
    "collegium_http_request_seconds", _REQUEST_SECONDS, registry=REGISTRY, buckets=_REQUEST_BUCKETS
)
statements_accepted_total: Final = _tally(
    "statements_accepted_total", ("tenant",), "Statements appended to the tenant's log and acknowledged."
)
statements_indexed_total: Final = _counter(
    "statements_indexed_total", ("tenant",), "Statements written to the tenant's store."
)
index_lag_seconds: Final = _gauge(
    "index_lag_seconds", ("tenant",), "Age of the oldest accepted statement that no list shows yet.", "greatest"
)
stream_backlog: Final = _gauge(
    "stream_backlog",
    ("tenant", "consumer"),
    "Statements of the log that the consumer has not acknowledged.",
    "greatest",
)
index_dead_letters_total: Final = _counter(
    "index_dead_letters_total", ("tenant",), "Statements that the store refused and the index worker set aside."
)
auth_failures_total: Final = _counter(
    "auth_failures_total", ("tenant", "reason"), "Refused credentials: missing, malformed, wrong, or limited."
)
operator_reconciliations_total: Final = _counter(
    "operator_reconciliations_total", ("kind", "result"), "Finished reconciliations of the operator."
)
operator_reconcile_seconds: Final = _histogram(
    "operator_reconcile_seconds", "How long one reconciliation took, in seconds.", _RECONCILE_BUCKETS
)
_declare("gauge", "operator_queue_depth", (), "Objects that wait for reconciliation.", "sum")
operator_queue_depth: Final = Gauge(
    "collegium_operator_queue_depth", "Objects that wait for reconciliation.", registry=REGISTRY
)
operator_resource_condition: Final = _gauge(
    "operator_resource_condition",
    ("kind", "namespace", "name", "type", "status"),
    "1 for the status that a condition of a custom resource has, 0 for the others.",
    "greatest",
)
build_info: Final = _gauge("build_info", ("version", "python"), "1; the labels say what runs.", "greatest")


def _version() -> str:
    try:
        return version("collegium")
    except PackageNotFoundError:
        return "unknown"


build_info.labels(_version(), platform.python_version()).set(1)

METRICS: Final[tuple[Declaration, ...]] = tuple(_DECLARED)

_GREATEST: Final[Mapping[str, bool]] = {
    **{declaration.name: declaration.merge == "greatest" for declaration in METRICS},
    # The library's own gauges that tell a limit or an instant rather than an amount.
    "process_max_fds": True,
    "process_start_time_seconds": True,
    "process_virtual_memory_max_bytes": True,
}


def greatest(name: str) -> bool:
    """Return whether the values of several processes for the metric *name* become their greatest, not their sum."""
    return _GREATEST.get(name, False)
