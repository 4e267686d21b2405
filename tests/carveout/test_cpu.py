"""The CPU time of targets: where it is read, and whose it was."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.carveout.cpu import MAX_REGRESSORS, cpu_shares, nnls
from proxy.carveout.cpu_meter import CpuMeter
from proxy.carveout.cpu_sources import CpuHistory, CpuSource, CpuSourceError, parse_cpu_source
from proxy.carveout.workload import TransactionLoad, WindowLoad, Workload

# Whose it was


def workload(costs: list[float], *, windows: int = 400, seed: int = 1, constant: float = 0.3) -> Workload:
    """A monolith that uses so much CPU for each request of each transaction, and some whatever it is asked."""
    rng = np.random.default_rng(seed)
    rates = 60.0 / np.arange(1, len(costs) + 1)
    loads = [TransactionLoad(f"GET /{number}", "m") for number in range(len(costs))]
    used = []
    for index in range(windows):
        day = 1 + 0.5 * np.sin(index / 40)
        counts = rng.poisson(rates * day * rng.uniform(0.6, 1.4, len(costs)))
        for load, count, cost in zip(loads, counts, costs, strict=True):
            if count:
                load.windows[index] = WindowLoad(int(count), float(count * cost * 3))
        used.append(
            constant
            + float(sum(rng.gamma(4, cost / 4, count).sum() for count, cost in zip(counts, costs, strict=True)))
        )
    return Workload(0.0, 10.0, windows, 1.0, loads, {"m": used})


@pytest.mark.parametrize("seed", range(4))
def test_shares_are_those_of_the_cpu_that_requests_used(seed: int) -> None:
    costs = [0.002, 0.05, 0.001, 0.0, 0.12, 0.01]
    measured = workload(costs, seed=seed)
    used = np.array([load.requests * cost for load, cost in zip(measured.transactions, costs, strict=True)])
    true = used / used.sum()

    shares = cpu_shares(measured, "m")

    found = np.array([shares[load.name] for load in measured.transactions])
    assert float(np.abs(found - true).sum() / 2) < 0.05
    assert sum(shares.values()) == pytest.approx(1.0)


def test_the_rest_shares_one_cost() -> None:
    measured = workload([0.01] * (MAX_REGRESSORS + 20))
    shares = cpu_shares(measured, "m")
    assert len(shares) == MAX_REGRESSORS + 20
    assert sum(shares.values()) == pytest.approx(1.0)


THIN = {
    "no CPU time": lambda: Workload(0.0, 10.0, 400, 1.0, workload([0.1]).transactions),
    "few windows": lambda: workload([0.1, 0.2], windows=20),
    "another target group": lambda: workload([0.1]),
    "nothing used": lambda: workload([0.0, 0.0], constant=0.0),
}


@pytest.mark.parametrize("case", THIN)
def test_where_too_little_is_known_nothing_is_said(case: str) -> None:
    assert cpu_shares(THIN[case](), "n" if case == "another target group" else "m") == {}


MATRICES = st.integers(1, 5).flatmap(
    lambda columns: st.tuples(
        st.lists(st.lists(st.integers(0, 9), min_size=columns, max_size=columns), min_size=6, max_size=12),
        st.lists(st.integers(-5, 20), min_size=12, max_size=12),
    )
)


@settings(max_examples=200, deadline=None)
@given(MATRICES)
def test_nnls_meets_the_conditions_of_an_optimum(case: tuple[list[list[int]], list[int]]) -> None:
    """Karush, Kuhn and Tucker: not negative, and no way is downhill that is not barred."""
    matrix = np.array(case[0], dtype=float)
    target = np.array(case[1][: len(matrix)], dtype=float)
    solution = nnls(matrix, target)
    gradient = matrix.T @ (target - matrix @ solution)
    assert (solution >= 0).all()
    assert (gradient <= 1e-5).all()
    assert np.abs(gradient[solution > 1e-7]).max(initial=0.0) < 1e-5


# Where it is read


def read(source: str) -> float:
    return parse_cpu_source(source).read()


def test_a_process_and_its_children() -> None:
    before = read(f"m=pid:{os.getpid()}")
    total = sum(number * number for number in range(3_000_000))
    assert total > 0
    assert before < read(f"m=pid:{os.getpid()}")


def test_a_control_group(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (tmp_path / "cpuacct.usage").write_text("1500000000\n")
    assert read(f"m=file:{tmp_path}/cpu.stat") == 2.5
    assert read(f"m=file:{tmp_path}/cpuacct.usage") == 1.5


CADVISOR = b"""\
# HELP container_cpu_usage_seconds_total Cumulative cpu time consumed in seconds.
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{cpu="cpu00",name="monolith-1",image="m"} 3.5 1700000000000
container_cpu_usage_seconds_total{cpu="cpu01",name="monolith-1",image="m"} 1.25 1700000000000
container_cpu_usage_seconds_total{cpu="cpu00",name="users-1",image="u"} 100 1700000000000
container_memory_usage_bytes{name="monolith-1"} 1
"""


@pytest.fixture
def cadvisor() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(CADVISOR)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_cadvisor(cadvisor: str) -> None:
    assert read(f"m={cadvisor}/metrics?container=monolith-1") == 4.75
    with pytest.raises(CpuSourceError, match="knows no container 'other'"):
        read(f"m={cadvisor}/metrics?container=other")
    with pytest.raises(CpuSourceError, match="404"):
        read(f"m={cadvisor}/none?container=monolith-1")


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("something else")
    for source, says in {
        "m=pid:4194999": "no process 4194999",
        f"m=file:{tmp_path}/none": "No such file",
        f"m=file:{tmp_path}/x": "neither cpu.stat nor cpuacct.usage",
        "m=http://127.0.0.1:1/metrics?container=x": "cannot read http://127.0.0.1:1/metrics",
    }.items():
        with pytest.raises(CpuSourceError, match=says):
            read(source)


@pytest.mark.parametrize(
    "text", ["", "m", "m=", "=pid:1", "m=pid:x", "m=pid:", "m=file:x", "m=http://a/metrics", "m=http://?container=x"]
)
def test_what_is_no_source_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="GROUP=pid:NUMBER"):
        parse_cpu_source(text)


# By windows


def test_readings_are_spread_over_windows() -> None:
    history = CpuHistory(10.0, 100)
    for now, total in ((1000.0, 50.0), (1005.0, 55.0), (1015.0, 65.0), (1020.0, 60.0), (1025.0, 61.0)):
        history.note(now, total)
    assert history.by_window(1000.0, 10.0, 3) == pytest.approx([10.0, 5.0, 1.0]), "a restart is no use of CPU"
    assert history.by_window(960.0, 60.0, 2) == pytest.approx([15.0, 1.0])


def test_a_source_that_fails_is_left_out_until_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    readings: list[float | None] = [1.0, None, None, 2.0, 3.0]
    clock = iter([1000.0, 1010.0, 1015.0])

    def next_reading() -> float:
        reading = readings.pop(0)
        if reading is None:
            raise CpuSourceError("gone")
        return reading

    meter = CpuMeter([CpuSource("m", "m=x", next_reading)], now=lambda: next(clock))

    async def run() -> None:
        for _ in range(5):
            await meter.read()

    asyncio.run(run())
    measured = Workload(1000.0, 10.0, 2, 1.0)
    meter.add_to(measured)
    assert measured.cpu_seconds["m"] == pytest.approx([1.0, 1.0])
    assert caplog.text.count("gone") == 1
