"""What the demo measured: latency by rule and target group, read from the gateway's own metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

Route = tuple[str, str]
"""Rule and target group."""

_NAME = "strangler_request_duration_seconds"


@dataclass(slots=True)
class Latency:
    """A histogram: counts of requests at most as long as each bound, in seconds."""

    count: float = 0.0
    sum: float = 0.0
    buckets: dict[float, float] = field(default_factory=dict)

    def since(self, before: Latency) -> Latency:
        """What came after another reading of the same histogram."""
        return Latency(
            self.count - before.count,
            self.sum - before.sum,
            {bound: count - before.buckets.get(bound, 0.0) for bound, count in self.buckets.items()},
        )

    @property
    def mean(self) -> float:
        """Seconds."""
        return self.sum / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """Seconds, interpolated within a bucket as PromQL's histogram_quantile does."""
        rank = share * self.count
        lower, below = 0.0, 0.0
        for bound, count in sorted(self.buckets.items()):
            if count >= rank:
                if bound == float("inf") or count == below:
                    return lower
                return lower + (bound - lower) * (rank - below) / (count - below)
            lower, below = bound, count
        return lower


def read_latencies(metrics: str) -> dict[Route, Latency]:
    """The request durations in a page of Prometheus text, by rule and target group."""
    found: dict[Route, Latency] = defaultdict(Latency)
    for family in text_string_to_metric_families(metrics):
        if family.name != _NAME:
            continue
        for sample in family.samples:
            latency = found[sample.labels["rule"], sample.labels["target_group"]]
            if sample.name.endswith("_count"):
                latency.count += sample.value
            elif sample.name.endswith("_sum"):
                latency.sum += sample.value
            elif sample.name.endswith("_bucket"):
                bound = float(sample.labels["le"])
                latency.buckets[bound] = latency.buckets.get(bound, 0.0) + sample.value
    return dict(found)


def difference(after: Mapping[Route, Latency], before: Mapping[Route, Latency]) -> dict[Route, Latency]:
    """What happened between two readings, routes without a request left out."""
    changed = {route: latency.since(before.get(route, Latency())) for route, latency in after.items()}
    return {route: latency for route, latency in changed.items() if latency.count > 0}


def comparison(before: Mapping[Route, Latency], after: Mapping[Route, Latency]) -> Table:
    """A table of both halves of the demo side by side."""
    table = Table(title="Latency by rule and target group, before and after the shift", title_justify="left")
    table.add_column("rule")
    table.add_column("target group")
    for half in ("before", "after"):
        table.add_column(f"requests\n{half}", justify="right")
        table.add_column(f"mean\n{half}", justify="right")
        table.add_column(f"p95\n{half}", justify="right")
    for route in sorted(before.keys() | after.keys(), key=lambda route: (route[0] == "default", *route)):
        cells = [route[0] or "-", route[1] or "(the gateway itself)"]
        for latency in (before.get(route), after.get(route)):
            cells += ["-", "-", "-"] if latency is None else _cells(latency)
        table.add_row(*cells)
    return table


def _cells(latency: Latency) -> list[str]:
    first_bound = min(latency.buckets)
    quantile = latency.quantile(0.95)
    p95 = _milliseconds(quantile) if quantile > first_bound else f"< {_milliseconds(first_bound)}"
    return [f"{latency.count:.0f}", _milliseconds(latency.mean), p95]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"
