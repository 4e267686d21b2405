"""A snapshot as text for Prometheus; prometheus_client knows the two formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from proxy.observe.families import FAMILIES, Family
from proxy.observe.snapshot import Distribution, Snapshot, Value

_PROCESS = CollectorRegistry(auto_describe=False)
ProcessCollector(registry=_PROCESS)
PlatformCollector(registry=_PROCESS)
GCCollector(registry=_PROCESS)


def render(snapshot: Snapshot, *, openmetrics: bool) -> tuple[bytes, str]:
    """Return the body and the content type of a scrape.

    Memory, CPU and file descriptors are those of the process that renders. It takes some microseconds a line:
    with a long table call it in a thread.
    """
    exposition = _Exposition(snapshot)
    if openmetrics:
        body: bytes = openmetrics_exposition.generate_latest(exposition)  # type: ignore[no-untyped-call]
        return body, openmetrics_exposition.CONTENT_TYPE_LATEST
    return generate_latest(exposition), CONTENT_TYPE_PLAIN_0_0_4


class _Exposition(Collector):
    """What the library asks for its metrics, in place of a registry."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            if family.kind == "histogram":
                yield _histogram(family, self._snapshot["distributions"].get(family.name, ()))
            else:
                yield _single_values(family, self._snapshot["values"].get(family.name, ()))
        yield from _PROCESS.collect()


def _single_values(family: Family, values: Iterable[Value]) -> Metric:
    metric: CounterMetricFamily | GaugeMetricFamily
    if family.kind == "counter":
        metric = CounterMetricFamily(family.name, family.help, labels=family.labels)
    else:
        metric = GaugeMetricFamily(family.name, family.help, labels=family.labels)
    for sample in values:
        metric.add_metric(sample["labels"], sample["value"])
    return metric


def _histogram(family: Family, distributions: Iterable[Distribution]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    bounds = [*map(floatToGoString, family.buckets), "+Inf"]
    for sample in distributions:
        cumulated = zip(bounds, accumulate(sample["counts"]), strict=True)
        metric.add_metric(sample["labels"], list(cumulated), sample["sum"])
    return metric
