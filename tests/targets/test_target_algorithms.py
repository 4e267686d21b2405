"""The balancing algorithms, by tables and fixed draws (alb.md 5.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.targets.algorithms import ALGORITHMS, LeastOutstandingRequests, RoundRobin, WeightedRandom
from proxy.targets.target import Target

A, B, C, D = (Target("http", f"10.0.0.{number}", 80) for number in range(1, 5))


def spread(count: int) -> Callable[[], float]:
    """Draws that are spread evenly over [0, 1), `count` of them, over and over."""
    number = -1

    def draw() -> float:
        nonlocal number
        number = (number + 1) % count
        return number / count

    return draw


def targets_with(in_flight: Sequence[int]) -> list[Target]:
    targets = [Target("http", f"10.0.1.{number}", 80) for number in range(len(in_flight))]
    for target, count in zip(targets, in_flight, strict=True):
        target.in_flight = count
    return targets


def test_the_names_are_those_of_the_attribute() -> None:
    assert set(ALGORITHMS) == {"round_robin", "least_outstanding_requests", "weighted_random"}
    assert all(make(lambda: 0.0).pick([A]) is A for make in ALGORITHMS.values())


# --- round robin ---


def test_round_robin_takes_turns() -> None:
    algorithm = RoundRobin()
    assert [algorithm.pick((A, B, C)) for _ in range(7)] == [A, B, C, A, B, C, A]


def test_round_robin_goes_on_when_there_are_fewer_targets() -> None:
    algorithm = RoundRobin()
    assert [algorithm.pick((A, B, C)) for _ in range(3)][-1] is C
    assert [algorithm.pick((A, B)) for _ in range(3)] == [A, B, A]


@pytest.mark.parametrize(
    ("shares", "turns"),
    [
        pytest.param([1, 1, 1], "abcabcabc", id="full shares: plain turns"),
        pytest.param([1, 1, 0], "ababababab", id="a share of nothing: no turn"),
        pytest.param([1, 0.5], "abaabaaba", id="half a share: every third of 1.5, evenly spread"),
        pytest.param([0, 0], "abab", id="nobody has a share: plain turns"),
    ],
)
def test_round_robin_by_share(shares: list[float], turns: str) -> None:
    algorithm = RoundRobin()
    targets = [A, B, C][: len(shares)]
    chosen = [algorithm.pick_by_share(targets, shares) for _ in turns]
    assert "".join("abc"[targets.index(target)] for target in chosen) == turns


@given(st.lists(st.integers(0, 10), min_size=1, max_size=4).filter(any))
def test_round_robin_by_share_is_exact_over_a_whole_cycle(tenths: list[int]) -> None:
    algorithm = RoundRobin()
    targets = [A, B, C, D][: len(tenths)]
    counts = Counter(algorithm.pick_by_share(targets, tenths) for _ in range(sum(tenths)))
    assert [counts[target] for target in targets] == tenths


# --- least outstanding requests ---


@pytest.mark.parametrize(
    ("in_flight", "expected"),
    [
        pytest.param([3, 1, 2], [1], id="the fewest in flight"),
        pytest.param([0, 0, 0], [0, 1, 2, 0], id="all idle: turns"),
        pytest.param([5, 2, 5, 2], [1, 3, 1], id="equal ones take turns"),
        pytest.param([1, 1, 0], [2, 2], id="one idle target takes all until it is busy"),
        pytest.param([7], [0, 0], id="a single target"),
    ],
)
def test_least_outstanding_requests(in_flight: list[int], expected: list[int]) -> None:
    algorithm = LeastOutstandingRequests()
    targets = targets_with(in_flight)
    assert [targets.index(algorithm.pick(targets)) for _ in expected] == expected


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=10))
def test_least_outstanding_requests_never_picks_a_busier_one(rounds: list[list[int]]) -> None:
    algorithm = LeastOutstandingRequests()
    for in_flight in rounds:
        assert algorithm.pick(targets_with(in_flight)).in_flight == min(in_flight)


def test_requests_that_never_end_are_spread_evenly() -> None:
    algorithm = LeastOutstandingRequests()
    targets = targets_with([0, 0, 0])
    for _ in range(30):
        algorithm.pick(targets).in_flight += 1
    assert [target.in_flight for target in targets] == [10, 10, 10]


# --- weighted random ---


def test_weighted_random_gives_all_the_same_weight() -> None:
    algorithm = WeightedRandom(spread(30))
    assert Counter(algorithm.pick((A, B, C)) for _ in range(30)) == {A: 10, B: 10, C: 10}


@pytest.mark.parametrize(
    ("shares", "counts"),
    [
        pytest.param([1, 1, 0.1], [10, 10, 1], id="an anomalous target gets a tenth of a share"),
        pytest.param([1, 0, 1], [11, 0, 10], id="no share: nothing, not even by rounding"),
        pytest.param([0, 0, 0], [7, 7, 7], id="nobody has a share: all the same"),
    ],
)
def test_weighted_random_by_share(shares: list[float], counts: list[int]) -> None:
    algorithm = WeightedRandom(spread(21))
    chosen = Counter(algorithm.pick_by_share((A, B, C), shares) for _ in range(21))
    assert [chosen[target] for target in (A, B, C)] == counts


@given(
    st.floats(0, 1, exclude_max=True),
    st.lists(st.floats(0, 1), min_size=1, max_size=4).filter(lambda shares: sum(shares) > 0),
)
def test_weighted_random_never_picks_a_target_without_a_share(draw: float, shares: list[float]) -> None:
    targets = [A, B, C, D][: len(shares)]
    chosen = WeightedRandom(lambda: draw).pick_by_share(targets, shares)
    assert shares[targets.index(chosen)] > 0
