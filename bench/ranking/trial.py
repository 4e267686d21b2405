"""One simulated hour, looked at by every estimator; and what is left when the first candidate is really gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.ranking.simulation import TRANSACTIONS, Discipline, Run, simulate
from bench.ranking.workloads import MONOLITH, additive_fit, measure, name_of, workload_of
from proxy.carveout.ranking import Ranking, rank
from proxy.carveout.ranking.matrix import LoadMatrix

LOADS = (0.5, 0.7, 0.9, 1.05)
SWINGS = (0.4, 0.0)
TOP = 5
OURS = "the ranking"
DISCIPLINES: dict[Discipline, str] = {"shared": "processor sharing", "unlimited": "a worker for each request"}

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Score:
    """How one estimator did in one run. `truth`: what it is measured against, `work` or `cpu`."""

    estimator: str
    truth: str
    load: float
    swing: float
    is_right: bool
    hits: float
    error: float


def score(estimator: str, truth: str, run: tuple[float, float], estimate: Array, true: Array) -> Score:
    estimated, expected = first(estimate), first(true)
    error = float(np.abs(estimate / estimate.sum() - true / true.sum()).sum() / 2)
    return Score(estimator, truth, *run, estimated == expected, len(estimated & expected) / TOP, error)


def first(values: Array) -> set[int]:
    return set(np.argsort(-values, kind="stable")[:TOP].tolist())


def by_kind(run: Run, values: Array) -> Array:
    return np.bincount(run.kinds, values, TRANSACTIONS)


def shares_of(ranking: Ranking) -> Array:
    found = {candidate.name: candidate.share.value for candidate in ranking.candidates}
    return np.array([found.get(name_of(kind), 0.0) for kind in range(TRANSACTIONS)])


def compare(seed: int, load: float, swing: float) -> list[Score]:
    """Every estimator on the same run."""
    run = simulate(seed, load, swing=swing)
    seen = measure(run)
    where = (load, swing)
    work, cpu = by_kind(run, run.worked), by_kind(run, run.cpu)
    requests = np.bincount(run.kinds, minlength=TRANSACTIONS).astype(float)
    ranked = shares_of(rank(workload_of(run, seen), monolith=[MONOLITH]))
    quiet = shares_of(rank(workload_of(run, seen, clock=False), monolith=[MONOLITH]))
    wall = by_kind(run, seen.response)
    p99 = np.array([np.quantile(seen.response[run.kinds == kind], 0.99) for kind in range(TRANSACTIONS)])
    demand = LoadMatrix(workload_of(run, seen, cpu=True), [MONOLITH]).demand()
    assert demand.cpu_seconds is not None
    return [
        score(OURS, "work", where, ranked, work),
        score("quiet moments, where the ranking has no clock", "work", where, quiet, work),
        *(_in_parts(run, parts, where, work) for parts in (2, 4)),
        score("additive fit over windows", "work", where, additive_fit(run, seen), work),
        score("time share (rate x mean)", "work", where, wall, work),
        score("rate x p99", "work", where, requests * p99, work),
        score("rate", "work", where, requests, work),
        score("mean response time", "work", where, wall / requests, work),
        score("CPU regression", "cpu", where, demand.cpu_seconds, cpu),
        score("time share (rate x mean)", "cpu", where, wall, cpu),
    ]


def _in_parts(run: Run, parts: int, where: tuple[float, float], work: Array) -> Score:
    seen = measure(run, parts)
    return score(f"{OURS}, {parts} gateway processes", "work", where, by_kind(run, seen.worked), work)


def other_disciplines(seeds: Iterable[int]) -> list[Score]:
    """Monoliths that are no pool with a queue: the clock must leave them alone."""
    scores = []
    for discipline in DISCIPLINES:
        for load in (0.5, 0.9):
            for seed in seeds:
                run = simulate(seed, load, swing=0.4, discipline=discipline, seconds=900.0)
                seen = measure(run)
                ranked = shares_of(rank(workload_of(run, seen), monolith=[MONOLITH]))
                truth = by_kind(run, run.worked)
                scores.append(score(f"{OURS}, {DISCIPLINES[discipline]}", "work", (load, 0.4), ranked, truth))
    return scores


def summarise(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """A line for each estimator and each load."""
    lines: dict[tuple[Any, ...], list[Score]] = {}
    for one in scores:
        lines.setdefault((one.truth, one.estimator, one.swing, one.load), []).append(one)
    return [
        {
            "truth": truth,
            "estimator": estimator,
            "swing": swing,
            "load": load,
            "runs": len(ones),
            "top_5_right": sum(one.is_right for one in ones) / len(ones),
            "top_5_hits": float(np.mean([one.hits for one in ones])),
            "share_error": float(np.mean([one.error for one in ones])),
            "worst_share_error": max(one.error for one in ones),
        }
        for (truth, estimator, swing, load), ones in lines.items()
    ]


def predictions(seeds: Iterable[int]) -> list[dict[str, Any]]:
    """For each load: the rest as predicted without the first candidate, and as it is in a run without it."""
    lines = []
    for load in LOADS:
        errors, inside, flights = [], [], []
        for seed in seeds:
            run = simulate(seed, load, swing=0.4)
            ranking = rank(workload_of(run, measure(run)), monolith=[MONOLITH])
            candidate = ranking.candidates[0]
            kind = next(kind for kind in range(TRANSACTIONS) if name_of(kind) == candidate.name)
            left = run.without(kind)
            p95 = float(np.quantile(left.ended - left.arrived, 0.95))
            flight = float((left.ended - left.arrived).sum()) / float(run.ended.max())
            errors.append(abs(candidate.without.p95_of_rest - p95) / p95)
            inside.append(candidate.without.low <= p95 <= candidate.without.high)
            flights.append(abs(candidate.without.requests_in_flight - flight) / flight)
        lines.append(
            {
                "load": load,
                "p95_error": float(np.mean(errors)),
                "p95_in_interval": float(np.mean(inside)),
                "in_flight_error": float(np.mean(flights)),
            }
        )
    return lines
