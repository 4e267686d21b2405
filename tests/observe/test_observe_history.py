"""The last ten minutes, from snapshots alone."""

from __future__ import annotations

import pytest

from proxy.observe.history import History, quantile
from proxy.observe.live import LiveState
from proxy.observe.metrics import Metrics
from proxy.observe.record import RequestRecord


class Gateway:
    """Counts requests and takes snapshots."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.history = History()

    def serve(
        self, count: int, status: int = 200, seconds: float = 0.02, reason: str = "", rule: str = "users"
    ) -> None:
        for _ in range(count):
            record = RequestRecord()
            record.received_at, record.ended_at, record.overhead = 1.0, 1.0 + seconds, 0.0002
            record.method, record.status, record.reason = b"GET", status, reason
            record.target_status = 0 if reason else status
            record.response_bytes = 100
            self.metrics.series("web", rule, "users").record(record)

    def tick(self, at: float) -> None:
        self.history.observe(self.metrics.snapshot(LiveState(groups={"users": [("a:1", True, 3)]})), at)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def test_a_point_is_a_difference(gateway: Gateway) -> None:
    gateway.serve(7)
    gateway.tick(100.0)
    gateway.serve(8)
    gateway.serve(1, 404)
    gateway.serve(1, 502, reason="Target.ConnectionRefused")
    gateway.tick(102.0)

    (point,) = gateway.history.points

    assert (point.at, point.seconds, point.requests, point.client_errors, point.errors) == (102.0, 2.0, 10, 1, 1)
    assert (point.gateway_errors, point.in_flight, point.response_bytes) == (1, 3, 1000)
    assert point.p50 is not None
    assert 0.01 < point.p50 <= 0.025
    assert point.overhead_mean == pytest.approx(0.0002)


def test_a_silence_is_a_point_without_durations(gateway: Gateway) -> None:
    gateway.tick(100.0)
    gateway.tick(102.0)

    (point,) = gateway.history.points

    assert (point.requests, point.p95, point.overhead_mean) == (0, None, None)


def test_counts_that_went_back_are_none(gateway: Gateway) -> None:
    """Series of rules that are long gone are forgotten, and their counts with them."""
    gateway.serve(50)
    gateway.tick(100.0)
    gateway.metrics = Metrics()
    gateway.serve(2)
    gateway.tick(102.0)

    assert gateway.history.points[-1].requests == 0


def test_a_clock_that_went_back_adds_nothing(gateway: Gateway) -> None:
    gateway.tick(100.0)
    gateway.tick(90.0)

    assert list(gateway.history.points) == []


def test_ten_minutes_are_kept(gateway: Gateway) -> None:
    for number in range(400):
        gateway.tick(1000.0 + 2 * number)

    points = gateway.history.points
    assert points[-1].at - points[0].at == pytest.approx(598.0)


def test_routes_are_about_the_last_minute(gateway: Gateway) -> None:
    gateway.serve(500, rule="old")
    for number in range(61):
        gateway.serve(4)
        if number == 60:
            gateway.serve(3, 500, seconds=1.5)
        gateway.tick(1000.0 + 2 * number)

    routes = {route.rule: route for route in gateway.history.routes}

    assert gateway.history.window_seconds == pytest.approx(60.0, abs=10.0)
    assert routes["old"].requests == 0
    assert routes["users"].rate == pytest.approx(2.0, rel=0.1)
    assert routes["users"].errors == 3
    p99 = routes["users"].p99
    assert p99 is not None
    assert p99 > 1.0


@pytest.mark.parametrize(
    ("share", "counts", "expected"),
    [
        pytest.param(0.5, [0, 0, 0], None, id="nothing"),
        pytest.param(0.5, [10, 0, 0], 0.5, id="half of the first bucket"),
        pytest.param(0.5, [0, 10, 0], 1.5, id="half of the second"),
        pytest.param(1.0, [1, 1, 0], 2.0, id="all"),
        pytest.param(0.99, [0, 0, 10], 2.0, id="beyond the last bound"),
    ],
)
def test_quantiles(share: float, counts: list[int], expected: float | None) -> None:
    assert quantile(share, (1.0, 2.0), counts) == expected
