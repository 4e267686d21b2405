"""What a target works on, told from outside, against monoliths whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.ranking.simulation import Discipline, simulate
from bench.ranking.workloads import measure
from proxy.carveout.queueing import NO_POOL, REVIEW, ServiceClock

SETTLED = 2000
"""Requests after which the number of workers is known."""


def test_two_requests_to_one_worker() -> None:
    """The second is worked on from when the first is done, once the target has shown that it has one worker."""
    clock = ServiceClock()
    clock.workers = 1
    first, second = clock.sent(), clock.sent()

    assert clock.ended(first, 0.0, 3.0) == 3.0
    assert clock.ended(second, 1.0, 4.0) == 1.0


def test_a_request_that_need_not_wait_is_work_from_the_start() -> None:
    clock = ServiceClock()
    clock.workers = 1

    assert clock.ended(clock.sent(), 0.0, 1.0) == 1.0
    assert clock.ended(clock.sent(), 5.0, 7.0) == 2.0


def test_nothing_is_taken_off_before_workers_have_shown() -> None:
    clock = ServiceClock()
    numbers = [clock.sent() for _ in range(REVIEW - 1)]

    assert [clock.ended(number, 0.0, float(number)) for number in numbers] == [float(number) for number in numbers]
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
    now = 0.0
    for _ in range(20_000):
        now += 0.01
        if in_flight and draw.random() < 0.5:
            number, sent_at = in_flight.pop(int(draw.integers(len(in_flight))))
            assert 0.0 <= clock.ended(number, sent_at, now) <= now - sent_at
        else:
            in_flight.append((clock.sent(), now))
