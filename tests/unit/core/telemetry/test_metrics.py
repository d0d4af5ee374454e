"""Metrics: names, bounded labels, cached children."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from collegium_core.telemetry import metrics


@pytest.fixture
def tenants(monkeypatch: pytest.MonkeyPatch) -> metrics.TenantLabel:
    label = metrics.TenantLabel(2)
    monkeypatch.setattr(metrics, "TENANTS", label)
    return label


def test_every_declared_metric_is_exposed_under_its_name() -> None:
    """The names of the reference are the names that Prometheus sees."""
    exposed = set()
    for family in metrics.REGISTRY.collect():
        exposed.add(f"{family.name}_total" if family.type == "counter" else family.name)
    assert {declared.name for declared in metrics.METRICS} == {
        name for name in exposed if name.startswith("collegium_")
    }


@pytest.mark.usefixtures("tenants")
def test_tenants_beyond_the_limit_are_other() -> None:
    """The first tenants keep their slug, the rest are summed; which come first does not change any more."""
    family = metrics.Family(Counter("x", "x", ["tenant"], registry=CollectorRegistry()), ["tenant"])
    for slug in ("a", "b", "c", "d", "a"):
        family.labels(slug).inc()
    samples = {sample.labels["tenant"]: sample.value for sample in next(iter(family.metric.collect())).samples}
    assert {"a": 2.0, "b": 1.0, "other": 2.0} == {name: value for name, value in samples.items() if value < 1e6}


def test_a_limit_of_none_names_nobody(tenants: metrics.TenantLabel) -> None:
    """With the limit 0 every tenant is other."""
    tenants.limit = 0
    assert tenants("a") == metrics.OTHER


def test_children_are_kept_and_can_be_removed() -> None:
    """The same values give the same child; a removed one is no longer exposed."""
    gauge = Gauge("y", "y", ["kind", "name"], registry=CollectorRegistry())
    family = metrics.Family(gauge, ["kind", "name"])
    child = family.labels("Tenant", "acme")
    child.set(1)
    assert child is family.labels("Tenant", "acme")
    family.remove("Tenant", "acme")
    family.remove("Tenant", "acme")
    assert [] == [sample for metric in gauge.collect() for sample in metric.samples]
    assert child is not family.labels("Tenant", "acme")


def test_what_is_not_an_amount_is_not_summed() -> None:
    """Lags and instants of several processes become their greatest value."""
    assert metrics.greatest("collegium_index_lag_seconds")
    assert metrics.greatest("process_start_time_seconds")
    assert not metrics.greatest("collegium_operator_queue_depth")
    assert not metrics.greatest("collegium_statements_accepted_total")
