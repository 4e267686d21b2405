"""The last ten minutes, by differences of snapshots: what charts show that were not open at the time.

Nothing here is on the path of a request. Counters of a snapshot only grow, all workers' together; a difference below
zero means that series were forgotten and counts as none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from proxy.observe import families
from proxy.observe.families import DURATION_BUCKETS, OVERHEAD_BUCKETS
from proxy.observe.snapshot import Distribution, Snapshot, Value

SAMPLE_SECONDS: Final = 2.0
"""How often a snapshot is to be taken."""
KEPT_SECONDS: Final = 600.0
WINDOW_SECONDS: Final = 60.0
"""What `routes` and `gateway_errors` are about."""
_ROUTE_SAMPLES: Final = 6
"""Baselines in a window: routes are many, so they are kept at a coarser step than the points."""

RouteKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Point:
    """What happened between two snapshots.

    Attributes:
        at: The end of it, in seconds since the epoch.
        seconds: Its length.
        requests, client_errors, errors: All of them, those with a 4xx and those with a 5xx.
        gateway_errors: Answers that the gateway made itself.
        p50, p95, p99: Seconds from request received until response sent; None without a request.
        overhead_mean, overhead_p99: Seconds that the gateway added.
        in_flight: At the end.
        request_bytes, response_bytes: On the clients' side.
    """

    at: float
    seconds: float
    requests: int
    client_errors: int
    errors: int
    gateway_errors: int
    p50: float | None
    p95: float | None
    p99: float | None
    overhead_mean: float | None
    overhead_p99: float | None
    in_flight: int
    request_bytes: int
    response_bytes: int


@dataclass(frozen=True, slots=True)
class RouteWindow:
    """One (listener, rule, target group) over the window that has just ended."""

    listener: str
    rule: str
    target_group: str
    requests: int
    errors: int
    rate: float
    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class _Sums:
    """What is compared of a snapshot."""

    by_class: dict[str, float]
    gateway_errors: dict[tuple[str, ...], float]
    durations: list[int]
    overhead: list[int]
    overhead_sum: float
    in_flight: int
    request_bytes: int
    response_bytes: int


@dataclass(slots=True)
class _Route:
    requests: int = 0
    errors: int = 0
    counts: Sequence[int] = (0,) * (len(DURATION_BUCKETS) + 1)
    seconds: float = 0.0


_NO_ROUTE: Final = _Route()


@dataclass(frozen=True, slots=True)
class _Baseline:
    at: float
    routes: dict[RouteKey, _Route]
    gateway_errors: dict[tuple[str, ...], float]


@dataclass(slots=True)
class History:
    """Made of snapshots that come in order of time.

    Attributes:
        points: Oldest first, bounded.
        routes: Of the last window, in no order.
        gateway_errors: (code, reason) to the count of the last window.
        window_seconds: How long the last window really was: shorter in the first minute.
    """

    points: deque[Point] = field(default_factory=lambda: deque(maxlen=int(KEPT_SECONDS / SAMPLE_SECONDS)))
    routes: list[RouteWindow] = field(default_factory=list)
    gateway_errors: dict[tuple[str, str], int] = field(default_factory=dict)
    window_seconds: float = 0.0
    _before: tuple[float, _Sums] | None = None
    _baselines: deque[_Baseline] = field(default_factory=deque)

    def observe(self, snapshot: Snapshot, at: float) -> None:
        """Take in a snapshot of the moment `at`, in seconds since the epoch; one that is not later is left out."""
        if self._before is not None and at <= self._before[0]:
            return
        sums = _sums(snapshot)
        if self._before is not None:
            self.points.append(_point(self._before[1], sums, at, at - self._before[0]))
        self._before = at, sums
        self._observe_routes(_Baseline(at, _routes(snapshot), sums.gateway_errors))

    def _observe_routes(self, now: _Baseline) -> None:
        baselines = self._baselines
        if not baselines or now.at - baselines[-1].at >= WINDOW_SECONDS / _ROUTE_SAMPLES:
            baselines.append(now)
        while len(baselines) > 1 and now.at - baselines[1].at >= WINDOW_SECONDS:
            baselines.popleft()
        since = baselines[0]
        self.window_seconds = now.at - since.at
        self.routes = [
            _route_window(key, since.routes.get(key, _NO_ROUTE), route, self.window_seconds)
            for key, route in now.routes.items()
        ]
        self.gateway_errors = {
            (code, reason): int(more)
            for (code, reason), count in now.gateway_errors.items()
            if (more := count - since.gateway_errors.get((code, reason), 0)) > 0
        }


def quantile(share: float, bounds: Sequence[float], counts: Sequence[int]) -> float | None:
    """The quantile of a histogram, linear within its bucket, as Prometheus estimates it; None when it is empty."""
    total = sum(counts)
    if total <= 0:
        return None
    wanted, seen = share * total, 0
    for place, bound in enumerate(bounds):
        count = counts[place]
        if count and seen + count >= wanted:
            low = bounds[place - 1] if place else 0.0
            return low + (bound - low) * (wanted - seen) / count
        seen += count
    return bounds[-1]


def _sums(snapshot: Snapshot) -> _Sums:
    values, distributions = snapshot["values"], snapshot["distributions"]
    by_class: dict[str, float] = {}
    for sample in values.get(families.REQUESTS.name, ()):
        code_class = sample["labels"][4][:1]
        by_class[code_class] = by_class.get(code_class, 0) + sample["value"]
    overhead = distributions.get(families.OVERHEAD.name, ())
    return _Sums(
        by_class,
        {tuple(sample["labels"]): sample["value"] for sample in values.get(families.ELB_ERRORS.name, ())},
        _added(distributions.get(families.REQUEST_DURATION.name, ()), len(DURATION_BUCKETS) + 1),
        _added(overhead, len(OVERHEAD_BUCKETS) + 1),
        sum(each["sum"] for each in overhead),
        _total(values.get(families.IN_FLIGHT.name, ())),
        _total(values.get(families.REQUEST_BYTES.name, ())),
        _total(values.get(families.RESPONSE_BYTES.name, ())),
    )


def _point(before: _Sums, after: _Sums, at: float, seconds: float) -> Point:
    def more(code_class: str) -> int:
        return max(0, int(after.by_class.get(code_class, 0) - before.by_class.get(code_class, 0)))

    durations = _difference(before.durations, after.durations)
    overhead = _difference(before.overhead, after.overhead)
    counted = sum(overhead)
    overhead_seconds = max(0.0, after.overhead_sum - before.overhead_sum)
    return Point(
        at=at,
        seconds=seconds,
        requests=sum(more(code_class) for code_class in after.by_class),
        client_errors=more("4"),
        errors=more("5"),
        gateway_errors=max(0, int(sum(after.gateway_errors.values()) - sum(before.gateway_errors.values()))),
        p50=quantile(0.5, DURATION_BUCKETS, durations),
        p95=quantile(0.95, DURATION_BUCKETS, durations),
        p99=quantile(0.99, DURATION_BUCKETS, durations),
        overhead_mean=overhead_seconds / counted if counted else None,
        overhead_p99=quantile(0.99, OVERHEAD_BUCKETS, overhead),
        in_flight=after.in_flight,
        request_bytes=max(0, after.request_bytes - before.request_bytes),
        response_bytes=max(0, after.response_bytes - before.response_bytes),
    )


def _routes(snapshot: Snapshot) -> dict[RouteKey, _Route]:
    routes: dict[RouteKey, _Route] = {}
    for sample in snapshot["values"].get(families.REQUESTS.name, ()):
        listener, rule, target_group, _, code = sample["labels"]
        route = routes.setdefault((listener, rule, target_group), _Route())
        route.requests += int(sample["value"])
        if code.startswith("5"):
            route.errors += int(sample["value"])
    for each in snapshot["distributions"].get(families.REQUEST_DURATION.name, ()):
        listener, rule, target_group = each["labels"]
        route = routes.setdefault((listener, rule, target_group), _Route())
        route.counts = each["counts"]
        route.seconds = each["sum"]
    return routes


def _route_window(key: RouteKey, before: _Route, after: _Route, seconds: float) -> RouteWindow:
    counts = _difference(before.counts, after.counts)
    counted = sum(counts)
    requests = max(0, after.requests - before.requests)
    return RouteWindow(
        *key,
        requests=requests,
        errors=max(0, after.errors - before.errors),
        rate=requests / seconds if seconds else 0.0,
        mean=max(0.0, after.seconds - before.seconds) / counted if counted else None,
        p50=quantile(0.5, DURATION_BUCKETS, counts),
        p95=quantile(0.95, DURATION_BUCKETS, counts),
        p99=quantile(0.99, DURATION_BUCKETS, counts),
    )


def _added(distributions: Iterable[Distribution], length: int) -> list[int]:
    added = [0] * length
    for each in distributions:
        added = [a + b for a, b in zip(added, each["counts"], strict=True)]
    return added


def _difference(before: Sequence[int], after: Sequence[int]) -> list[int]:
    return [max(0, b - a) for a, b in zip(before, after, strict=True)]


def _total(samples: Iterable[Value]) -> int:
    return int(sum(sample["value"] for sample in samples))
