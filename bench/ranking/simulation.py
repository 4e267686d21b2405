"""A monolith whose truth is known: a pool of workers, transactions of different cost, a day's traffic."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

WORKERS: Final = 16
TRANSACTIONS: Final = 20
SECONDS: Final = 3600.0
WINDOW_SECONDS: Final = 10.0
Discipline = Literal["queue", "shared", "unlimited"]
"""First come, first served by a pool; all at once with the workers shared out evenly; or a worker for each."""


@dataclass(frozen=True, slots=True)
class Run:
    """What happened, request by request in the order of arrival; times in seconds since the start.

    Attributes:
        kinds: Number of the transaction.
        worked: Seconds that a worker was busy with the request: the truth.
        cpu: Of those, CPU seconds.
    """

    arrived: NDArray[np.float64]
    kinds: NDArray[np.int64]
    worked: NDArray[np.float64]
    cpu: NDArray[np.float64]
    ended: NDArray[np.float64]
    workers: int

    def without(self, kind: int) -> Run:
        """The same requests, but for those of one transaction, before a pool of workers."""
        kept = self.kinds != kind
        arrived, worked = self.arrived[kept], self.worked[kept]
        ended = _first_come_first_served(arrived, worked, self.workers)
        return Run(arrived, self.kinds[kept], worked, self.cpu[kept], ended, self.workers)


def simulate(
    seed: int,
    load: float,
    *,
    swing: float = 0.4,
    workers: int = WORKERS,
    seconds: float = SECONDS,
    discipline: Discipline = "queue",
) -> Run:
    """Run a monolith at this mean load of its workers.

    Args:
        swing: Of the day curve, as a share of the mean; 0.0 for a constant rate.
        seconds: Length, which holds one whole day curve.
    """
    draw = np.random.default_rng(seed)
    popularity = 1.0 / np.arange(1, TRANSACTIONS + 1)
    draw.shuffle(popularity)
    popularity /= popularity.sum()
    cpu_means = draw.lognormal(np.log(0.12), 1.0, TRANSACTIONS)
    io_means = draw.lognormal(np.log(0.18), 1.0, TRANSACTIONS)
    mean = float(popularity @ (cpu_means + io_means))
    rate = load * workers / mean
    count = draw.poisson(rate * seconds)
    arrived = _arrivals(draw, count, swing, seconds)
    kinds = draw.choice(TRANSACTIONS, count, p=popularity)
    spread = 0.6
    factor = draw.lognormal(-spread * spread / 2, spread, (2, count))
    cpu = cpu_means[kinds] * factor[0]
    worked = cpu + io_means[kinds] * factor[1]
    match discipline:
        case "queue":
            ended = _first_come_first_served(arrived, worked, workers)
        case "shared":
            ended = _shared(arrived, worked, workers)
        case "unlimited":
            ended = arrived + worked
    return Run(arrived, kinds, worked, cpu, ended, workers)


def _arrivals(draw: np.random.Generator, count: int, swing: float, seconds: float) -> NDArray[np.float64]:
    """Times of a Poisson process whose rate follows a sine, lowest at the start."""
    times = np.linspace(0.0, seconds, 2001)
    cumulated = times / seconds - swing / (2 * np.pi) * np.sin(2 * np.pi * times / seconds)
    return np.sort(np.interp(draw.random(count), cumulated / cumulated[-1], times))


def _shared(arrived: NDArray[np.float64], worked: NDArray[np.float64], workers: int) -> NDArray[np.float64]:
    """Processor sharing: each of n requests is worked on at full speed up to `workers`, beyond at workers/n.

    In the time in which each request gets one second of work, a request ends at what the clock showed when it came
    plus its own work.
    """
    ended = np.zeros(len(arrived))
    running: list[tuple[float, int]] = []
    now, done = 0.0, 0.0
    times, needs = arrived.tolist(), worked.tolist()
    index = 0
    while index < len(times) or running:
        speed = min(1.0, workers / len(running)) if running else 1.0
        next_end = now + (running[0][0] - done) / speed if running else float("inf")
        if index < len(times) and times[index] <= next_end:
            done += (times[index] - now) * speed if running else 0.0
            now = times[index]
            heapq.heappush(running, (done + needs[index], index))
            index += 1
        else:
            done, which = heapq.heappop(running)
            now = ended[which] = next_end
    return ended


def _first_come_first_served(
    arrived: NDArray[np.float64], worked: NDArray[np.float64], workers: int
) -> NDArray[np.float64]:
    free = [0.0] * workers
    ended = []
    for arrival, seconds in zip(arrived.tolist(), worked.tolist(), strict=True):
        end = max(arrival, free[0]) + seconds
        heapq.heapreplace(free, end)
        ended.append(end)
    return np.array(ended)
