"""Counts what the host does, and sums up the metrics that functions write in the embedded metric format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from proxy.functions.emf import metrics_of

MAX_SERIES = 10_000
"""Series of functions' own metrics; further ones are counted and not kept (a dimension may be an id)."""
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)

_Series = tuple[str, str, str, str, str]


class Measures:
    """The numbers of one host."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._duration = Histogram(
            "strangler_function_duration_seconds",
            "Invocations that ended, by how long they took, cold start included.",
            ["function", "result"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._throttles: dict[str, int] = defaultdict(int)
        self._series: dict[_Series, tuple[int, float]] = {}
        self._dropped = 0

    def invoked(self, function: str, seconds: float, *, failed: bool) -> None:
        """An invocation has ended."""
        self._duration.labels(function, "error" if failed else "success").observe(seconds)

    def throttled(self, function: str) -> None:
        """There was no environment for an invocation."""
        self._throttles[function] += 1

    def line(self, function: str, line: str) -> None:
        """A function wrote this line; it may hold metrics."""
        for metric in metrics_of(line):
            dimensions = ",".join(f"{name}={value}" for name, value in metric.dimensions)
            key = (function, metric.namespace, metric.name, metric.unit, dimensions)
            if key not in self._series and len(self._series) >= MAX_SERIES:
                self._dropped += 1
                continue
            count, total = self._series.get(key, (0, 0.0))
            self._series[key] = (count + len(metric.values), total + sum(metric.values))

    def exposition(
        self,
        environments: Mapping[str, int],
        cold_starts: Mapping[str, int],
        queued: Mapping[str, int],
        spans_dropped: int = 0,
    ) -> bytes:
        """Everything as text for Prometheus."""
        own = generate_latest(self._registry)
        return own + generate_latest(_Exposition(self._families(environments, cold_starts, queued, spans_dropped)))

    def _families(
        self,
        environments: Mapping[str, int],
        cold_starts: Mapping[str, int],
        queued: Mapping[str, int],
        spans_dropped: int,
    ) -> Iterator[Metric]:
        yield _gauge("strangler_function_environments", "Environments that are there.", environments)
        yield _gauge("strangler_function_queued_events", "Asynchronous events that are not over.", queued)
        yield _counter("strangler_function_cold_starts", "Environments that were started.", cold_starts)
        yield _counter(
            "strangler_function_throttles", "Invocations for which there was no environment.", self._throttles
        )
        labels = ("function", "namespace", "name", "unit", "dimensions")
        emf = SummaryMetricFamily(
            "strangler_function_metric", "Metrics that functions wrote in the embedded metric format.", labels=labels
        )
        for key, (count, total) in self._series.items():
            emf.add_metric(key, count_value=count, sum_value=total)
        yield emf
        dropped = CounterMetricFamily(
            "strangler_function_metrics_dropped", "Values of such metrics beyond the series that are kept."
        )
        dropped.add_metric([], self._dropped)
        yield dropped
        spans = CounterMetricFamily("strangler_spans_dropped", "Spans that did not reach the collector.")
        spans.add_metric([], spans_dropped)
        yield spans


class _Exposition(Collector):
    """What the library asks for its metrics, in place of a registry."""

    def __init__(self, families: Iterator[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return self._families


def _gauge(name: str, about: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=["function"])
    for function, value in values.items():
        family.add_metric([function], value)
    return family


def _counter(name: str, about: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, about, labels=["function"])
    for function, value in values.items():
        family.add_metric([function], value)
    return family
