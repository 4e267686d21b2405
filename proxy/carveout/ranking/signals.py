"""What speaks for carving a transaction out, and what makes it easy: each signal an array over the transactions.

A new signal is a function here and an entry in `BENEFITS` or a factor of `EaseParts`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from proxy.carveout.ranking.matrix import Demand, LoadMatrix
from proxy.carveout.workload import TransactionLoad

Array = NDArray[np.float64]

TYPICAL_VARIABILITY: Final = 1.0
"""Squared coefficient of variation where waiting hides it: that of exponential times."""
UPLOAD_BYTES: Final = 1_048_576
"""A load balancer gives a function no larger request, and none of this size is repeated or compared in passing."""
UPLOAD_PENALTY: Final = 0.25
COOKIE_PENALTY: Final = 0.5
LEAST_TRANSITIONS: Final = 20
"""Fewer session steps than these say nothing about coupling."""


@dataclass(frozen=True, slots=True)
class EaseParts:
    """What makes it harder, each from 0 (nothing) to 1."""

    write_share: float
    session_crossing: float
    state_penalty: float
    streaming_or_upload: float

    @property
    def ease(self) -> float:
        return (
            (1.0 - 0.5 * self.write_share)
            * (1.0 - self.session_crossing)
            * (1.0 - self.state_penalty)
            * (1.0 - min(1.0, self.streaming_or_upload))
        )


def shares(values: Array) -> Array:
    """Each value over the sum of its column; zeros where there is none."""
    total = values.sum(axis=0)
    return np.asarray(np.divide(values, total, out=np.zeros_like(values), where=total > 0))


def demand_share(load: LoadMatrix, demand: Demand) -> Array:
    """Of the monolith's work. Where its CPU is known, half of it counts by CPU.

    A monolith runs out of workers or of CPU, and it cannot be seen from outside of which first.
    """
    work = shares(demand.seconds)
    return work if demand.cpu_seconds is None else (work + shares(demand.cpu_seconds)) / 2


def tail_pain_share(load: LoadMatrix, demand: Demand) -> Array:
    """Of the seconds over the latency objective, as far as the transaction's own work is to blame for them.

    In a queue even the fastest transaction is late; its part of the pain is what it works of the time it takes.
    """
    slow = np.array([row.slow_seconds for row in load.rows])
    wall = load.wall.sum(axis=1)
    requests = load.requests.sum(axis=1)
    means = np.divide(demand.seconds, demand.requests, out=np.zeros_like(demand.seconds), where=demand.requests > 0)
    wall_means = np.divide(wall, requests, out=np.zeros_like(wall), where=requests > 0)
    if means.ndim > 1:
        slow, wall_means = slow[:, None], wall_means[:, None]
    blame = np.divide(means, wall_means, out=np.zeros_like(means), where=wall_means > 0)
    return shares(slow * np.minimum(blame, 1.0))


def relief_share(load: LoadMatrix, demand: Demand) -> Array:
    """Of the waiting that requests inflict on one another: rate x mean square of work (Pollaczek 1930, Khinchine 1932).

    Whoever comes while a request is worked on waits for its rest, which is long in proportion to the square: rare
    long requests do more harm than many short ones of the same sum.
    """
    means = np.divide(demand.seconds, demand.requests, out=np.zeros_like(demand.seconds), where=demand.requests > 0)
    variability = work_variability(load)
    if means.ndim > 1:
        variability = variability[:, None]
    return shares(demand.requests * means**2 * (1.0 + variability))


BENEFITS: Final[Mapping[str, tuple[float, Callable[[LoadMatrix, Demand], Array]]]] = {
    "demand_share": (0.6, demand_share),
    "tail_pain_share": (0.25, tail_pain_share),
    "relief_share": (0.15, relief_share),
}
"""Parts of the benefit with their weights. A part that is nowhere gives its weight to the others."""


def benefit(parts: Mapping[str, Array]) -> Array:
    """The weighted sum of the parts, over the weights of those that there are."""
    weights = {name: BENEFITS[name][0] * (part.sum(axis=0) > 0) for name, part in parts.items()}
    total = np.sum(list(weights.values()), axis=0)
    summed = np.sum([weights[name] * part for name, part in parts.items()], axis=0)
    return np.asarray(np.divide(summed, total, out=np.zeros_like(summed), where=total > 0))


def work_variability(load: LoadMatrix) -> Array:
    """Squared coefficient of variation of each transaction's work, from 0.05 to 16.

    Without squared worked seconds it is read from response times: a wait is common to all transactions, so the
    smallest variance among them is taken off. Where that is most of the variance, `TYPICAL_VARIABILITY` stands in.
    """
    found = np.full(len(load.rows), TYPICAL_VARIABILITY)
    requests = load.requests.sum(axis=1)
    seconds = load.work_by_window().sum(axis=1)
    variances = np.full(len(load.rows), np.inf)
    for number, row in enumerate(load.rows):
        if requests[number] >= LEAST_TRANSITIONS:
            mean = load.wall[number].sum() / requests[number]
            variances[number] = max(row.squared_seconds / requests[number] - mean**2, 0.0)
    common = float(variances.min()) if len(variances) else 0.0
    for number, row in enumerate(load.rows):
        if requests[number] < LEAST_TRANSITIONS or seconds[number] <= 0.0:
            continue
        mean = seconds[number] / requests[number]
        if row.squared_worked_seconds:
            found[number] = row.squared_worked_seconds / requests[number] / mean**2 - 1.0
        elif variances[number] > 2 * common:
            found[number] = (variances[number] - common) / mean**2
    return np.asarray(np.clip(found, 0.05, 16.0))


def ease_parts(rows: Sequence[TransactionLoad], among: Collection[str], popularity: Mapping[str, float]) -> EaseParts:
    """What makes it harder to move these transactions together.

    Args:
        among: The names of all of the monolith's transactions.
        popularity: Of each, its share of all session steps.
    """
    by_row = [(row, row.requests) for row in rows]
    requests = sum(count for _, count in by_row)
    streams = sum(row.streams for row in rows)
    served = max(requests, 1)
    large = sum(count for row, count in by_row if row.request_bytes >= UPLOAD_BYTES * max(count, 1))
    return EaseParts(
        write_share=min(sum(row.writes for row in rows) / served, 1.0),
        session_crossing=session_crossing(rows, among, popularity),
        state_penalty=COOKIE_PENALTY * min(sum(row.sets_cookies for row in rows) / served, 1.0),
        streaming_or_upload=min(1.0, streams / max(requests + streams, 1) + UPLOAD_PENALTY * large / served),
    )


def session_crossing(rows: Sequence[TransactionLoad], among: Collection[str], popularity: Mapping[str, float]) -> float:
    """How much of where sessions go next leaves the set for somewhere in particular.

    A step from the set to another transaction of the monolith counts as far as it is more frequent than that
    transaction's popularity explains: a visitor who looks at a product and then at something else, as everybody does,
    couples nothing.
    """
    inside = {row.name for row in rows}
    steps: dict[str, int] = {}
    for row in rows:
        for name, count in row.neighbours.items():
            steps[name] = steps.get(name, 0) + count
    total = sum(steps.values())
    if total < LEAST_TRANSITIONS:
        return 0.0
    outward = ((name, count / total) for name, count in steps.items() if name not in inside and name in among)
    return min(sum(max(share - popularity.get(name, 0.0), 0.0) for name, share in outward), 1.0)


def step_popularity(rows: Sequence[TransactionLoad]) -> dict[str, float]:
    """Each transaction's share of all steps of all sessions."""
    steps: dict[str, int] = {}
    for row in rows:
        for name, count in row.neighbours.items():
            steps[name] = steps.get(name, 0) + count
    total = max(sum(steps.values()), 1)
    return {name: count / total for name, count in steps.items()}
