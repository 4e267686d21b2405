"""What the monolith would look like without some transactions: a pool of workers with a queue, window by window.

The model is a many-server queue, first come first served, with general service times (M/G/c): the mean wait by the
Allen-Cunneen approximation, Erlang's C formula times half of one plus the squared variability, and on top a backlog
that grows while more work comes than the workers can do (a fluid queue). It gets the measured work and the measured
waits, and is asked twice, with the transactions and without: how far its first answer is from what was measured is how
far its second may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from proxy.carveout.ranking.matrix import LoadMatrix
from proxy.carveout.ranking.signals import work_variability
from proxy.carveout.workload import FINE_BUCKETS

SAMPLES: Final = 4000
FULL: Final = 0.98
"""Utilisation up to which a window is taken as steady; what goes beyond is backlog."""
LEAST_MARGIN: Final = 1.15
"""No percentile is closer than this factor: it is read from buckets, or from a sample."""
WAIT_ERROR: Final = 2.0
"""No predicted wait is closer than this factor, and none is taken to be off by more than"""
MOST_ERROR: Final = 3.0
"""times that, by how far off the model is for the monolith as it is."""
WORK_ERROR: Final = 1.05
"""And the work that comes is not known better than this: near full load a little more makes a much longer queue."""
SMOOTHED_SECONDS: Final = 60.0

Array = NDArray[np.float64]
Model = Literal["many-server queue", "no queue seen"]


@dataclass(frozen=True, slots=True)
class Without:
    """The monolith without some transactions; means over the time that was measured.

    Attributes:
        requests_in_flight: Of the rest, predicted; `requests_in_flight_now` are all, measured.
        time_share: Of the monolith's target seconds, the part that goes.
        p95_of_rest: Predicted, in seconds, between `low` and `high`; `p95_of_rest_now` is measured.
        model: `no queue seen`: waiting is not known, so only what goes is subtracted, and `low` is the rest's p95 if
            all its waiting went too.
    """

    requests_in_flight: float
    requests_in_flight_now: float
    time_share: float
    p95_of_rest: float
    p95_of_rest_now: float
    low: float
    high: float
    model: Model


@dataclass(frozen=True, slots=True)
class _Queue:
    """By window: requests that come, the wait behind a backlog, the share that finds all workers busy, and how long
    those wait."""

    requests: Array
    backlog: Array
    busy: Array
    once_waiting: Array

    @property
    def waits(self) -> float:
        """Seconds of waiting of all requests."""
        return float((self.requests * (self.backlog + self.busy * self.once_waiting)).sum())


class Monolith:
    """The queue of a monolith, to be asked for its life without this or that.

    Args:
        seed: Of the sample that percentiles are read from; the same for both questions, so that chance cancels out.
    """

    def __init__(self, load: LoadMatrix, seed: int) -> None:
        self._load = load
        self._work = load.work_by_window()
        self._variability = work_variability(load)
        self._requests = requests = load.requests.sum(axis=1)
        seconds = self._work.sum(axis=1)
        self._means = np.divide(seconds, requests, out=np.zeros_like(seconds), where=requests > 0)
        self._wall = load.wall.sum()
        self._duration = max(load.requests.shape[1], 1) * load.window_seconds
        generator = np.random.default_rng(seed)
        self._draws = generator.random((3, SAMPLES)), generator.standard_normal(SAMPLES)

    def without(self, gone: NDArray[np.bool_]) -> Without:
        """Predict the monolith when the marked rows are elsewhere."""
        load = self._load
        kept = ~gone
        wall_kept = float(load.wall[kept].sum())
        in_flight_now = float(self._wall) / self._duration
        share = 1.0 - wall_kept / float(self._wall) if self._wall else 0.0
        p95_now = _p95([row.counts for row, keeps in zip(load.rows, kept, strict=True) if keeps])
        if load.workers is None or not kept.any() or not wall_kept:
            work_left = float(self._work[kept].sum()) / wall_kept if wall_kept else 0.0
            in_flight = wall_kept / self._duration
            low = p95_now * min(work_left, 1.0)
            return Without(in_flight, in_flight_now, share, p95_now, p95_now, low, p95_now, "no queue seen")
        waits_now = max(float(load.wall.sum() - self._work.sum()), 0.0)
        before = self._queue(load.workers, np.ones_like(kept))
        waits_before = before.waits
        # Nobody gets slower. What is over the last bucket is known by the model only.
        most = p95_now if p95_now < FINE_BUCKETS[-1] else max(self._p95_of(kept, before, 1.0), p95_now)
        error = waits_now / waits_before if waits_now and waits_before else 1.0
        error = min(max(error, 1 / error), MOST_ERROR) * WAIT_ERROR
        after = self._queue(load.workers, kept)
        lighter, heavier = (self._queue(load.workers, kept, factor) for factor in (1 / WORK_ERROR, WORK_ERROR))
        value = self._p95_of(kept, after, 1.0)
        low, high = self._p95_of(kept, lighter, 1 / error), self._p95_of(kept, heavier, error)
        seconds = float(self._work[kept].sum()) + after.waits
        return Without(
            # The others do not get slower: what they hold now is the most that is left.
            requests_in_flight=min(seconds, wall_kept) / self._duration,
            requests_in_flight_now=in_flight_now,
            time_share=share,
            p95_of_rest=min(value, most),
            p95_of_rest_now=p95_now,
            low=min(low / LEAST_MARGIN, most),
            high=min(high * LEAST_MARGIN, most),
            model="many-server queue",
        )

    def _queue(self, workers: int, there: NDArray[np.bool_], factor: float = 1.0) -> _Queue:
        """The queue of those that are there, if they brought `factor` times as much work."""
        load, seconds = self._load, self._load.window_seconds
        requests = self._came(there.astype(float) @ load.requests)
        work = self._came(there.astype(float) @ self._work) * factor
        steady = np.minimum(work / seconds, FULL * workers)
        counts = self._requests[there]
        mean_work = float(counts @ self._means[there]) / max(float(counts.sum()), 1.0)
        mean_square = float(counts @ (self._means[there] ** 2 * (1 + self._variability[there]))) / max(
            counts.sum(), 1.0
        )
        # Half of one plus the variability is half of the mean square over the square of the mean.
        spread = mean_square / mean_work**2 if mean_work else 1.0
        left = 0.0
        backlog = np.zeros_like(work)
        for index, came in enumerate(work):
            left = max(left + float(came) - workers * seconds, 0.0)
            backlog[index] = left
        busy = _erlang_c(workers, steady)
        return _Queue(requests, backlog / workers, busy, mean_work / (workers - steady) * spread / 2)

    def _came(self, done: Array) -> Array:
        """By window, what came, from what was done: whatever is begun at some time came that time's wait earlier.

        Smoothed over `SMOOTHED_SECONDS`, since chance from one moment to the next is the formula's affair.
        """
        load = self._load
        windows, seconds = len(done), load.window_seconds
        requests = load.requests.sum(axis=0)
        waits = np.divide(
            load.wall.sum(axis=0) - self._work.sum(axis=0), requests, out=np.zeros(windows), where=requests > 0
        )
        edges = np.arange(windows + 1) * seconds
        begun = np.maximum.accumulate(np.maximum(edges[1:] - np.maximum(waits, 0.0), 0.0))
        arrivals = np.diff(np.interp(edges, np.append(0.0, begun), np.append(0.0, np.cumsum(done))))
        width = min(max(round(SMOOTHED_SECONDS / seconds), 1), windows)
        weights = np.convolve(np.ones(windows), np.ones(width), "same")
        return np.asarray(np.convolve(arrivals, np.ones(width), "same") / weights)

    def _p95_of(self, asked: NDArray[np.bool_], queue: _Queue, scale: float) -> float:
        """The 95th percentile of the response times of those asked about, waits taken `scale` times."""
        (pick, patience, pick_window), normal = self._draws
        row = _drawn(np.where(asked, self._requests, 0.0), pick)
        window = _drawn(queue.requests, pick_window)
        deviation = np.sqrt(np.log1p(self._variability[row]))
        work = self._means[row] * np.exp(deviation * normal - deviation**2 / 2)
        busy = np.maximum(queue.busy[window], 1e-12)
        waiting = (
            np.where(patience < busy, -np.log(np.maximum(patience, 1e-12) / busy), 0.0) * queue.once_waiting[window]
        )
        return float(np.quantile(work + scale * (queue.backlog[window] + waiting), 0.95))


def _drawn(weights: Array, uniform: Array) -> NDArray[np.intp]:
    """Indices drawn by weight."""
    cumulated = np.cumsum(weights)
    found = np.searchsorted(cumulated, uniform * cumulated[-1], side="right")
    return np.asarray(np.minimum(found, len(weights) - 1))


def _erlang_c(workers: int, offered: Array) -> Array:
    """The share of requests that find all workers busy, by Erlang's recursion for B (1917)."""
    blocking = np.ones_like(offered)
    for number in range(1, workers + 1):
        blocking = offered * blocking / (number + offered * blocking)
    return np.asarray(blocking / (1.0 - offered / workers * (1.0 - blocking)))


def _p95(counts: list[list[int]]) -> float:
    """Seconds, by interpolation on a logarithmic scale within the bucket."""
    if not counts:
        return 0.0
    summed = np.sum(np.array(counts, dtype=float), axis=0)
    seen = np.cumsum(summed)
    if not seen[-1]:
        return 0.0
    index = min(int(np.searchsorted(seen, 0.95 * seen[-1])), len(FINE_BUCKETS) - 1)
    below = float(seen[index] - summed[index])
    part = (0.95 * float(seen[-1]) - below) / float(summed[index]) if summed[index] else 1.0
    upper = FINE_BUCKETS[index]
    lower = FINE_BUCKETS[index - 1] if index else upper / 2
    return float(lower * (upper / lower) ** min(max(part, 0.0), 1.0))
