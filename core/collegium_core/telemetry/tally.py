"""Counters and histograms for the hot path: incremented by one event loop and exposed by it too, so without a lock.

The library's own take a lock for each increment and each bucket, which is a tenth of what a request may cost.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["TallyCounter", "TallyHistogram", "TallySeries"]


class TallySeries:
    """One series."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        """Add *amount*."""
        self.value += amount


class TallyCounter(Collector):
    """A counter with labels; ``labels(…).inc()`` as the library's."""

    def __init__(self, name: str, text: str, labels: Sequence[str], *, registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._labels = tuple(labels)
        self._children: dict[tuple[str, ...], TallySeries] = {}
        registry.register(self)

    def labels(self, *values: str) -> TallySeries:
        """Return the series of *values*, in the order of the labels."""
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = TallySeries()
        return child

    def remove(self, *values: str) -> None:
        """Forget the series of *values*."""
        self._children.pop(values, None)

    def collect(self) -> Iterator[Metric]:
        """Yield the counter as it stands."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for values, child in self._children.items():
            family.add_metric(values, child.value)
        yield family


class TallyHistogram(Collector):
    """A histogram without labels; ``observe()`` as the library's.

    :param buckets: upper bounds, ascending, without infinity.
    """

    def __init__(self, name: str, text: str, *, registry: CollectorRegistry, buckets: Sequence[float]) -> None:
        self._name = name
        self._text = text
        self._bounds = tuple(buckets)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, value: float) -> None:
        """Count *value*."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def collect(self) -> Iterator[Metric]:
        """Yield the histogram as it stands."""
        total, buckets = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        yield HistogramMetricFamily(self._name, self._text, buckets=buckets, sum_value=self._sum)
