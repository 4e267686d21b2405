"""The ranking against simulated monoliths whose truth is known; a small version of `python -m bench.ranking`."""

from __future__ import annotations

import numpy as np
import pytest

from bench.ranking.simulation import TRANSACTIONS, simulate
from bench.ranking.trial import by_kind, compare, first, score, shares_of, summarise
from bench.ranking.workloads import MONOLITH, cpu_by_window, measure, name_of, workload_of
from proxy.carveout.ranking import rank
from proxy.carveout.ranking.matrix import LoadMatrix
from proxy.carveout.ranking.regression import nonnegative_solution

MINUTES = 900.0


@pytest.mark.parametrize("swing", [0.4, 0.0], ids=["day curve", "constant"])
@pytest.mark.parametrize("load", [0.5, 0.9, 1.05])
def test_the_top_five_are_right_from_half_load_to_overload(load: float, swing: float) -> None:
    run = simulate(2, load, swing=swing, seconds=MINUTES)

    ranked = shares_of(rank(workload_of(run, measure(run)), monolith=[MONOLITH]))
    truth = by_kind(run, run.worked)

    assert first(ranked) == first(truth)
    assert score("", "", (load, swing), ranked, truth).error < 0.05


def test_naive_time_share_is_wrong_under_overload() -> None:
    """What the ranking is better than: all times are one queue's, so the most frequent seem the most expensive."""
    run = simulate(2, 1.05, swing=0.0, seconds=MINUTES)
    seen = measure(run)
    truth = by_kind(run, run.worked)
    requests = np.bincount(run.kinds, minlength=TRANSACTIONS).astype(float)

    assert first(by_kind(run, seen.response)) == first(requests) != first(truth)


def test_cpu_is_told_apart() -> None:
    run = simulate(1, 0.7, seconds=2 * MINUTES)
    demand = LoadMatrix(workload_of(run, measure(run), cpu=True), [MONOLITH]).demand()
    assert demand.cpu_seconds is not None

    error = score("", "", (0.7, 0.4), demand.cpu_seconds, by_kind(run, run.cpu)).error
    naive = score("", "", (0.7, 0.4), demand.seconds, by_kind(run, run.cpu)).error
    assert error < 0.12
    assert error < naive / 2


def test_no_cpu_second_is_lost() -> None:
    run = simulate(1, 0.7, seconds=300.0)

    assert cpu_by_window(run, int(run.ended.max() // 10) + 1).sum() == pytest.approx(run.cpu.sum())


@pytest.mark.parametrize("load", [0.7, 1.05])
def test_the_rest_is_as_predicted(load: float) -> None:
    """The first candidate really leaves: its simulated absence is within the prediction's interval."""
    run = simulate(3, load, seconds=MINUTES)
    (candidate, *_) = rank(workload_of(run, measure(run)), monolith=[MONOLITH]).candidates
    kind = next(kind for kind in range(TRANSACTIONS) if name_of(kind) == candidate.name)

    left = run.without(kind)

    assert candidate.without.low <= np.quantile(left.ended - left.arrived, 0.95) <= candidate.without.high
    flight = (left.ended - left.arrived).sum() / run.ended.max()
    assert candidate.without.requests_in_flight == pytest.approx(flight, rel=0.25)


def test_a_summary_has_a_line_an_estimator_and_load() -> None:
    lines = summarise([score("a", "work", (0.5, 0.0), np.arange(20.0), np.arange(20.0)[::-1]) for _ in range(2)])

    (line,) = lines
    assert (line["runs"], line["top_5_right"], line["top_5_hits"]) == (2, 0.0, 0.0)


def test_every_estimator_has_a_score() -> None:
    scores = compare(0, 0.5, 0.0)

    assert len({(one.estimator, one.truth) for one in scores}) == len(scores) == 11


@pytest.mark.parametrize("seed", range(20))
def test_least_squares_without_negative_numbers(seed: int) -> None:
    """Against the conditions of Karush, Kuhn and Tucker, which are all there is to it; any guess leads there."""
    draw = np.random.default_rng(seed)
    design = draw.normal(size=(30, 8))
    gram, moment = design.T @ design + np.eye(8) * 0.01, design.T @ draw.normal(size=30)

    for guess in (None, draw.normal(size=8), np.ones(8)):
        solution = nonnegative_solution(gram, moment, guess)
        gradient = moment - gram @ solution
        assert (solution >= 0).all()
        assert (gradient <= 1e-6).all()
        assert np.abs(gradient[solution > 0]).max(initial=0.0) < 1e-6
