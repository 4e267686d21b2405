"""What a gateway in front of the simulated monolith would have measured: a `Workload`, and what others would use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.ranking.simulation import TRANSACTIONS, WINDOW_SECONDS, Run
from proxy.carveout.queueing import NO_POOL, ServiceClock
from proxy.carveout.workload import FINE_BUCKETS, TransactionLoad, WindowLoad, Workload

MONOLITH = "monolith"
OBJECTIVE_SECONDS = 1.0

Array = NDArray[np.float64]


def name_of(kind: int) -> str:
    return f"GET /transaction-{kind}/{{id}}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What can be seen from outside, by request.

    Attributes:
        worked: Seconds of work as the service clock tells them.
        quiet: Whether it came while no more requests were in flight than at the quietest quarter of all requests.
        workers: What the clocks found.
    """

    response: Array
    worked: Array
    quiet: NDArray[np.bool_]
    workers: int


def measure(run: Run, parts: int = 1) -> Measured:
    """Measure every request of a run.

    Args:
        parts: Over how many processes of the gateway the requests are spread.
    """
    count = len(run.arrived)
    response = run.ended - run.arrived
    in_flight = np.arange(count) - np.searchsorted(np.sort(run.ended), run.arrived)
    quiet = in_flight <= np.quantile(in_flight, 0.25)
    clocks = [ServiceClock(parts) for _ in range(parts)]
    process = np.random.default_rng(count).integers(0, parts, count).tolist()
    arrived, ended = run.arrived.tolist(), run.ended.tolist()
    numbers, worked = [0] * count, [0.0] * count
    sent, done = [0] * parts, [0] * parts
    for event in np.argsort(np.concatenate([run.arrived, run.ended]), kind="stable").tolist():
        if event < count:
            sent[process[event]] += 1
            numbers[event] = sent[process[event]]
        else:
            which = event - count
            done[process[which]] += 1
            clock = clocks[process[which]]
            worked[which] = clock.ended(numbers[which], done[process[which]], arrived[which], ended[which])
    return Measured(response, np.array(worked), quiet, sum(clock.workers for clock in clocks))


def workload_of(run: Run, seen: Measured, *, clock: bool = True, cpu: bool = False) -> Workload:
    """The measurements as the ranking gets them.

    Args:
        clock: Whether the service clock's times are among them.
        cpu: Whether the CPU seconds of the monolith are known by window.
    """
    last = float(run.ended.max())
    windows = int(last // WINDOW_SECONDS) + 1
    transactions = []
    for kind in range(TRANSACTIONS):
        mine = run.kinds == kind
        index = (run.ended[mine] // WINDOW_SECONDS).astype(int)
        response, worked, quiet = seen.response[mine], seen.worked[mine], seen.quiet[mine]
        sums = [
            np.bincount(index, weights, windows)
            for weights in (np.ones(len(index)), response, quiet.astype(float), response * quiet, worked)
        ]
        load = TransactionLoad(name_of(kind), MONOLITH)
        for number in np.flatnonzero(sums[0]):
            requests, seconds, quiet_requests, quiet_seconds, work = (float(column[number]) for column in sums)
            load.windows[int(number)] = WindowLoad(
                int(requests), seconds, int(quiet_requests), quiet_seconds, worked_seconds=work if clock else 0.0
            )
        buckets = np.searchsorted(np.array(FINE_BUCKETS), response)
        load.counts = np.bincount(buckets, minlength=len(FINE_BUCKETS) + 1).tolist()
        load.first_byte_seconds = float(response.sum())
        load.squared_seconds = float((response**2).sum())
        load.squared_worked_seconds = float((worked**2).sum()) if clock else 0.0
        load.slow_seconds = float(np.maximum(response - OBJECTIVE_SECONDS, 0.0).sum())
        transactions.append(load)
    found = Workload(0.0, WINDOW_SECONDS, windows, OBJECTIVE_SECONDS, transactions, source="simulation")
    if clock and seen.workers < NO_POOL:
        found.workers[MONOLITH] = seen.workers
    if cpu:
        found.cpu_seconds[MONOLITH] = cpu_by_window(run, windows).tolist()
    return found


def cpu_by_window(run: Run, windows: int) -> Array:
    """CPU seconds by window, each request's spread evenly over the time that it was worked on."""
    edges = np.arange(windows + 1) * WINDOW_SECONDS
    began = run.ended - run.worked
    burnt = np.zeros(windows)
    first, last = (began // WINDOW_SECONDS).astype(int), (run.ended // WINDOW_SECONDS).astype(int)
    for step in range(int((last - first).max()) + 1):
        window = first + step
        counts = window <= last
        inside = np.minimum(run.ended, edges[np.minimum(window + 1, windows)]) - np.maximum(
            began, edges[np.minimum(window, windows)]
        )
        np.add.at(burnt, window[counts], (run.cpu * inside / run.worked)[counts])
    return burnt


def additive_fit(run: Run, seen: Measured) -> Array:
    """Worker seconds when response times are taken for a wait that all share, plus work; the least work is 0."""
    index = (run.ended // WINDOW_SECONDS).astype(int)
    shape = TRANSACTIONS, int(index.max()) + 1
    requests, seconds = np.zeros(shape), np.zeros(shape)
    np.add.at(requests, (run.kinds, index), 1.0)
    np.add.at(seconds, (run.kinds, index), seen.response)
    work = np.zeros(TRANSACTIONS)
    for _ in range(50):
        wait = (seconds - requests * work[:, None]).sum(axis=0) / np.maximum(requests.sum(axis=0), 1)
        work = (seconds - requests * wait).sum(axis=1) / np.maximum(requests.sum(axis=1), 1)
    return np.asarray((work - work.min()) * requests.sum(axis=1))
