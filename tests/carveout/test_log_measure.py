"""From requests to a workload, against adding up by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_reading import alb_line, by_name, workload_of

from proxy.carveout.workload import FINE_BUCKETS, TransactionLoad, WindowLoad, Workload, bucket_of

NOON = 1_795_521_600
GROUPS = ("monolith", "orders")
PATHS = ("/a", "/b", "/c")


@dataclass(frozen=True)
class Request:
    """Milliseconds are since noon."""

    at_ms: int
    lasts_ms: int
    path: str = "/a"
    group: str = "monolith"
    client: str = "192.0.2.1"
    method: str = "GET"
    status: int = 200

    def line(self) -> str:
        sent = f"{self.lasts_ms / 1000:.3f}"
        return alb_line(
            created=_iso(self.at_ms),
            time=_iso(self.at_ms + self.lasts_ms),
            times=f"0.000 {sent} 0.000",
            client=f"{self.client}:1",
            request=f"{self.method} http://h:80{self.path} HTTP/1.1",
            arn=f"arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/{self.group}/1",
            status=self.status,
            target_status=self.status,
        )

    @property
    def ends_ms(self) -> int:
        return self.at_ms + self.lasts_ms


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(NOON + ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}000Z"


def measured(requests: list[Request], **changes: float) -> Workload:
    return workload_of([request.line() for request in requests], **({"window_seconds": 10} | changes))


def oracle(
    requests: list[Request], window: float = 10, objective: float = 1.0
) -> dict[tuple[str, str], TransactionLoad]:
    """The same, slowly and obviously."""
    loads: dict[tuple[str, str], TransactionLoad] = {}
    first = min(request.ends_ms for request in requests) / 1000
    others = {}
    for request in requests:
        same = [other for other in requests if other.group == request.group]
        others[request] = sum(
            other is not request and other.at_ms <= request.at_ms < max(other.ends_ms, other.at_ms + 0.001)
            for other in same
        )
    for request in requests:
        key = (f"{request.method} {request.path}", request.group)
        load = loads.setdefault(key, TransactionLoad(*key))
        index = math.floor((NOON + request.ends_ms / 1000) / window) - math.floor((NOON + first) / window)
        seconds = request.lasts_ms / 1000
        cell = load.windows.setdefault(index, WindowLoad())
        cell.requests += 1
        cell.seconds += seconds
        load.first_byte_seconds += seconds
        load.squared_seconds += seconds**2
        load.slow_seconds += max(seconds - objective, 0)
        load.counts[bucket_of(seconds)] += 1
        load.request_bytes += 300
        load.response_bytes += 500
        load.errors += request.status >= 500
        load.client_errors += 400 <= request.status < 500
        load.last_hit = max(load.last_hit, NOON + request.ends_ms / 1000)
        load.writes += request.method not in ("GET", "HEAD", "OPTIONS", "TRACE")
        met = sorted(count for other, count in others.items() if other.group == request.group)
        few = next(count for count in met if sum(one <= count for one in met) >= 0.25 * len(met))
        if others[request] <= few:
            cell.quiet_requests += 1
            cell.quiet_seconds += seconds
    return loads


def assert_alike(
    found: dict[tuple[str, str], TransactionLoad], expected: dict[tuple[str, str], TransactionLoad]
) -> None:
    """Equal but for rounding; sessions are not compared."""
    assert found.keys() == expected.keys()
    for key, load in expected.items():
        other = found[key]
        for name in ("counts", "errors", "client_errors", "writes", "streams", "request_bytes", "response_bytes"):
            assert getattr(other, name) == getattr(load, name), (key, name)
        for name in ("first_byte_seconds", "squared_seconds", "slow_seconds", "last_hit"):
            assert getattr(other, name) == pytest.approx(getattr(load, name), abs=1e-6), (key, name)
        assert other.windows.keys() == load.windows.keys()
        for index, window in load.windows.items():
            cell = other.windows[index]
            assert (cell.requests, cell.quiet_requests) == (window.requests, window.quiet_requests), (key, index)
            assert cell.seconds == pytest.approx(window.seconds, abs=1e-6)
            assert cell.quiet_seconds == pytest.approx(window.quiet_seconds, abs=1e-6)


REQUESTS = st.builds(
    Request,
    at_ms=st.integers(0, 2_000_000) | st.integers(0, 50),
    lasts_ms=st.integers(0, 100) | st.integers(0, 1_200_000),
    path=st.sampled_from(PATHS),
    group=st.sampled_from(GROUPS),
    method=st.sampled_from(["GET", "POST", "HEAD", "BREW"]),
    status=st.sampled_from([200, 302, 404, 500, 504]),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(REQUESTS, min_size=1, max_size=40, unique=True))
def test_adding_up(requests: list[Request]) -> None:
    """Sums, histograms, windows, and who met how many others; requests that began at once meet each other."""
    assert_alike(by_name(measured(requests)), oracle(requests))


def test_the_order_of_lines_does_not_matter() -> None:
    """Each node of a load balancer writes files of its own."""
    requests = [Request(at * 700 % 5000, at * 37 % 900, path=PATHS[at % 3]) for at in range(60)]

    assert_alike(by_name(measured(requests)), by_name(measured(requests[::-1])))


@pytest.mark.parametrize("seconds", [0.0, *FINE_BUCKETS[:30:3], 0.001, 0.002, 0.004, 1.0, 64.0, 91.0, 95.0, 3600.0])
def test_a_duration_is_counted_where_bucket_of_says(seconds: float) -> None:
    """To the microsecond, which is what logs have."""
    micro = round(seconds * 1e6)
    for us in (micro - 1, micro, micro + 1):
        if us < 0:
            continue
        ended = datetime.fromtimestamp(NOON + us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        line = alb_line(time=f"{ended}{us % 1_000_000:06d}Z", times="0.000 0.000 0.000")
        (load,) = workload_of([line]).transactions
        assert load.counts.index(1) == bucket_of(us / 1e6), us


def test_requests_across_midnight_are_in_windows_of_their_own() -> None:
    lines = [
        alb_line(created=f"2026-11-{day}.000000Z", time=f"2026-11-{day}.000000Z")
        for day in ("24T23:59:59", "25T00:00:00")
    ]
    workload = workload_of(lines, window_seconds=60)

    assert workload.window_count == 2
    assert sorted(workload.transactions[0].windows) == [0, 1]
    assert workload.started_at % 60 == 0


def test_clocks_that_differ_between_nodes() -> None:
    """Two minutes apart: nothing is lost, and what each took is as it was."""
    requests = [Request(at * 100, 50) for at in range(100)]
    late = [Request(at * 100 + 120_000, 50, client="192.0.2.9") for at in range(100)]
    workload = measured(requests + late)

    assert sum(load.requests for load in workload.transactions) == 200
    assert sum(load.seconds for load in workload.transactions) == pytest.approx(10.0)


def test_a_response_before_its_request_took_no_time() -> None:
    """A clock that was set back."""
    workload = workload_of([alb_line(time="2026-11-24T11:59:00.000000Z")])

    assert workload.transactions[0].seconds == 0


def test_a_tunnel_is_counted_and_its_time_is_not() -> None:
    lines = [alb_line(), alb_line(type="wss", status=101, target_status=101, time="2026-11-24T14:00:00.000000Z")]
    (load,) = workload_of(lines).transactions

    assert load.streams == 1
    assert load.requests == 1
    assert load.seconds == pytest.approx(0.02)
    assert sum(load.counts) == 1


def test_what_no_target_was_asked_for_is_in_no_transaction() -> None:
    lines = [alb_line(), alb_line(target="-", times="-1 -1 -1", status=301, target_status="-", arn="-")]

    assert sum(load.requests for load in workload_of(lines).transactions) == 1


def test_lines_that_name_no_target_group_get_the_given_name() -> None:
    line = '192.0.2.7 - - [24/Nov/2026:12:00:00 +0000] "GET /orders HTTP/1.1" 200 5 "-" "curl" 0.021'

    assert [load.target_group for load in workload_of([line], "combined-time", target_group="old").transactions] == [
        "old"
    ]


@pytest.mark.parametrize(
    ("seconds", "window"),
    [
        pytest.param(60, 10, id="a minute"),
        pytest.param(86_400, 60, id="a day"),
        pytest.param(7 * 86_400, 900, id="a week"),
        pytest.param(400 * 86_400, 86_400, id="over a year"),
    ],
)
def test_the_window_grows_with_the_log(seconds: int, window: int) -> None:
    """Some thousand windows are enough for any judgement."""
    workload = workload_of([Request(0, 1).line(), Request(seconds * 1000, 1).line()])

    assert workload.window_seconds == window
    assert workload.window_count <= 2001


def test_sessions_and_what_comes_next() -> None:
    """By client: what it used, and what it asked for next unless it paused for half an hour."""
    requests = [
        Request(0, 1, "/a"),
        Request(1000, 1, "/b"),
        Request(2000, 1, "/b", client="192.0.2.2"),
        Request(3000, 1, "/a"),
        Request(4000, 1, "/c"),
        Request(4000 + 1_800_001, 1, "/b"),
    ]
    found = {name: (load.sessions, load.neighbours) for (name, _), load in by_name(measured(requests)).items()}

    assert found == {
        "GET /a": (1, {"GET /b": 1, "GET /c": 1}),
        "GET /b": (2, {"GET /a": 1}),
        "GET /c": (1, {}),
    }
