"""A workload as matrices: a row for each transaction of the monolith, a column for each window."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from proxy.carveout.ranking.regression import fit_cpu
from proxy.carveout.workload import TransactionLoad, Workload

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Method = Literal["worked", "quiet", "wall"]
"""How work was told from waiting: by the order of ends, by quiet moments, or not at all."""

LEAST_QUIET = 10
"""Quiet requests of a transaction below which all transactions' ratio of quiet to other times is taken for it."""
MOST_REGRESSED = 40
"""Transactions whose CPU is told apart; the smaller ones share one number."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What transactions needed of the monolith, by transaction; or by transaction and draw of the bootstrap.

    Attributes:
        seconds: Worker seconds, queueing left out as far as `method` can.
        cpu_seconds: None where the monolith's CPU is not given.
    """

    requests: NDArray[np.float64]
    seconds: NDArray[np.float64]
    cpu_seconds: NDArray[np.float64] | None


class LoadMatrix:
    """The monolith's transactions.

    Attributes:
        rows: What is known of each, in the order of the rows.
        method: The best that the workload allows.
    """

    def __init__(self, workload: Workload, monolith: Collection[str]) -> None:
        self.rows: list[TransactionLoad] = [row for row in workload.transactions if row.target_group in monolith]
        self.window_seconds = workload.window_seconds
        shape = len(self.rows), workload.window_count
        self.requests: Matrix = np.zeros(shape)
        self.wall: Matrix = np.zeros(shape)
        self.worked: Matrix = np.zeros(shape)
        self._quiet_requests: Matrix = np.zeros(shape)
        self._quiet_seconds: Matrix = np.zeros(shape)
        reported: Matrix = np.zeros(shape)
        for number, row in enumerate(self.rows):
            for index, window in row.windows.items():
                if 0 <= index < workload.window_count:
                    self.requests[number, index] = window.requests
                    self.wall[number, index] = window.seconds
                    self.worked[number, index] = window.worked_seconds
                    self._quiet_requests[number, index] = window.quiet_requests
                    self._quiet_seconds[number, index] = window.quiet_seconds
                    reported[number, index] = window.cpu_seconds
        self._reported_cpu = reported if reported.any() else None
        given = [series for group, series in workload.cpu_seconds.items() if group in monolith]
        self._cpu: Vector | None = None
        if given and all(len(series) == workload.window_count for series in given):
            self._cpu = np.sum(np.array(given, dtype=float), axis=0)
        self.method: Method = "wall"
        if self.worked.any():
            self.method = "worked"
        elif self._quiet_requests.sum() >= LEAST_QUIET:
            self.method = "quiet"
        workers = [workload.workers.get(group) for group in {row.target_group for row in self.rows}]
        self.workers: int | None = None
        if self.method == "worked" and workers and all(workers):
            self.workers = sum(number for number in workers if number)

    def demand(self, weights: Matrix | None = None) -> Demand:
        """What each transaction needed.

        Args:
            weights: A column for each draw: how often each window is in it. Without it, each is once.
        """
        if weights is None:
            once = self.demand(np.ones((self.requests.shape[1], 1)))
            cpu = None if once.cpu_seconds is None else once.cpu_seconds[:, 0]
            return Demand(once.requests[:, 0], once.seconds[:, 0], cpu)
        requests = self.requests @ weights
        seconds = self._seconds(requests, weights)
        return Demand(requests, seconds, self._cpu_seconds(seconds, requests, weights))

    def work_by_window(self) -> Matrix:
        """Worker seconds by transaction and window."""
        if self.method == "worked":
            return self.worked
        once = np.ones((self.requests.shape[1], 1))
        requests = self.requests @ once
        return self.requests * _ratio(self._seconds(requests, once), requests)

    def _seconds(self, requests: Matrix, weights: Matrix) -> Matrix:
        wall = self.wall @ weights
        match self.method:
            case "worked":
                return self.worked @ weights
            case "quiet":
                quiet_requests = self._quiet_requests @ weights
                quiet_means = _ratio(self._quiet_seconds @ weights, quiet_requests)
                means = _ratio(wall, requests)
                known = quiet_requests >= LEAST_QUIET
                quieter = _ratio((quiet_means * requests * known).sum(axis=0), (wall * known).sum(axis=0), empty=1.0)
                return np.where(known, quiet_means, means * quieter) * requests
            case "wall":
                return wall

    def _cpu_seconds(self, seconds: Matrix, requests: Matrix, weights: Matrix) -> Matrix | None:
        if self._reported_cpu is not None:
            return self._reported_cpu @ weights
        if self._cpu is None:
            return None
        largest = np.argsort(-seconds.sum(axis=1), kind="stable")[:MOST_REGRESSED]
        others = np.setdiff1d(np.arange(len(self.rows)), largest)
        found = np.empty_like(seconds)
        work = self.work_by_window()
        regressors = np.vstack([work[largest], work[others].sum(axis=0)])
        whole = fit_cpu(regressors, self._cpu, np.ones(len(self._cpu)), self.window_seconds)
        for draw in range(weights.shape[1]):
            factors = fit_cpu(regressors, self._cpu, weights[:, draw], self.window_seconds, whole).factors
            found[largest, draw] = factors[:-2] * seconds[largest, draw]
            found[others, draw] = factors[-2] * seconds[others, draw]
        return found


def _ratio(above: Matrix, below: Matrix, empty: float = 0.0) -> Matrix:
    return np.asarray(np.divide(above, below, out=np.full_like(above, empty, dtype=float), where=below > 0))
