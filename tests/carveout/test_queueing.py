"""What a target works on, told from outside, against monoliths whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.ranking.simulation import Discipline, simulate
from bench.ranking.workloads import measure
from proxy.carveout.demand import Demand
from proxy.carveout.queueing import FIRST_REVIEW, NO_POOL, ServiceClock
from proxy.observe.record import RequestRecord
from proxy.rules.request import RequestView

SETTLED = 2000
"""Requests after which the number of workers is known."""


def test_two_requests_to_one_worker() -> None:
    """The second is worked on from when the first is done, once the target has shown that it has one worker."""
    clock = ServiceClock()
    clock.workers = 1

    assert clock.ended(1, 1, 0.0, 3.0) == 3.0
    assert clock.ended(2, 2, 1.0, 4.0) == 1.0


def test_a_request_that_need_not_wait_is_work_from_the_start() -> None:
    clock = ServiceClock()
    clock.workers = 1

    assert clock.ended(1, 1, 0.0, 1.0) == 1.0
    assert clock.ended(2, 2, 5.0, 7.0) == 2.0


def test_nothing_is_taken_off_before_workers_have_shown() -> None:
    clock = ServiceClock()
    numbers = range(1, FIRST_REVIEW)

    assert [clock.ended(number, number, 0.0, float(number)) for number in numbers] == [
        float(number) for number in numbers
    ]
    assert clock.workers == NO_POOL


@pytest.mark.parametrize("workers", [1, 4, 16])
def test_the_workers_of_a_busy_pool_are_found(workers: int) -> None:
    run = simulate(3, 1.2, swing=0.0, workers=workers, seconds=400.0 if workers > 1 else 6000.0)

    assert measure(run).workers == workers


@pytest.mark.parametrize("load", [0.5, 0.9, 1.2])
def test_work_is_told_from_waiting(load: float) -> None:
    """Request by request to within a hundredth of all work, while response times are many times as long."""
    run = simulate(1, load, swing=0.0, seconds=900.0)
    worked = measure(run).worked

    error = np.abs(worked - run.worked)[SETTLED:].sum() / run.worked[SETTLED:].sum()
    assert error < 0.01


@pytest.mark.parametrize("discipline", ["shared", "unlimited"])
def test_where_there_is_no_queue_nothing_is_taken_off(discipline: Discipline) -> None:
    run = simulate(1, 0.9, swing=0.4, seconds=900.0, discipline=discipline)
    response = run.ended - run.arrived

    assert measure(run).worked.sum() > 0.97 * response.sum()


def test_work_is_never_negative_and_never_more_than_the_response_time() -> None:
    """Also when the order of ends fits no pool at all."""
    draw = np.random.default_rng(0)
    clock = ServiceClock()
    clock.workers = 2
    in_flight: list[tuple[int, float]] = []
    now, sent, done = 0.0, 0, 0
    for _ in range(20_000):
        now += 0.01
        if in_flight and draw.random() < 0.5:
            number, sent_at = in_flight.pop(int(draw.integers(len(in_flight))))
            done += 1
            assert 0.0 <= clock.ended(number, done, sent_at, now) <= now - sent_at
        else:
            sent += 1
            in_flight.append((sent, now))


def test_a_live_workload_knows_work_and_workers() -> None:
    """The gateway's own sums, over a pool of four with a queue: the work of each transaction, and the four."""
    run = simulate(5, 1.1, swing=0.0, workers=4, seconds=600.0)
    demand = Demand(lambda _, path: f"GET {path.decode()}", now=lambda: 1_700_000_000.0)
    events = sorted(
        [(at, 1, index) for index, at in enumerate(run.arrived)]
        + [(at, 0, index) for index, at in enumerate(run.ended)]
    )
    numbers: dict[int, int] = {}
    done = 0
    for at, begins, index in events:
        if begins:
            numbers[index] = len(numbers) + 1
            continue
        done += 1
        demand.note(ended_record(int(run.kinds[index]), float(run.arrived[index]), float(at), numbers[index], done))

    workload = demand.workload()

    assert workload.workers == {"monolith": 4}
    worked = sum(load.worked_seconds for load in workload.transactions)
    assert worked == pytest.approx(run.worked.sum(), rel=0.05)
    assert sum(load.seconds for load in workload.transactions) > 5 * worked


def ended_record(kind: int, sent_at: float, ended_at: float, number: int, ended: int) -> RequestRecord:
    record = RequestRecord()
    record.view = RequestView.of("GET", f"/transaction-{kind}", [])
    record.method, record.status, record.target_status = b"GET", 200, 200
    record.target_group, record.target_id = "monolith", "10.0.0.1:8000"
    record.sent_at, record.head_at, record.ended_at = sent_at + 1e-9, ended_at, ended_at
    record.started_at = 1_700_000_000.0
    record.target_request, record.target_ended, record.in_flight = number, ended, 1
    return record
