"""What the proofs call a broken promise, on canned observations."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest

from bench import kill, reload
from bench.client import End
from bench.kill import Phase, Sent
from bench.stand import total

SENT = Sent(1, "GET", Phase.BEFORE, End.ANSWERED, 200, "steady", 0.01)
BOTH_BACK = [
    Sent(90, "GET", Phase.BACK, End.ANSWERED, 200, "steady", 0.01),
    Sent(91, "GET", Phase.BACK, End.ANSWERED, 200, "killed", 0.01),
]


def problems_of(seen: int = 1, **changes: Any) -> list[str]:
    values = {name: getattr(SENT, name) for name in Sent.__dataclass_fields__} | changes
    return kill.problems_of([Sent(**values), *BOTH_BACK], Counter({"1": seen, "90": 1, "91": 1}))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, [], id="an answer"),
        pytest.param({"method": "GET", "seen": 2}, [], id="a GET that was repeated"),
        pytest.param(
            {"method": "POST", "phase": Phase.UNDETECTED, "status": 502}, [], id="a POST that failed before detection"
        ),
        pytest.param({"phase": Phase.UNDETECTED, "end": End.CUT}, [], id="an answer that had begun"),
        pytest.param(
            {"phase": Phase.UNDETECTED, "status": 502},
            ["1 times: GET answered 502, which may be repeated"],
            id="a GET that failed before detection",
        ),
        pytest.param(
            {"method": "POST", "phase": Phase.DETECTED, "status": 502},
            ["1 times: POST answered 502 while detected"],
            id="a POST that failed after detection",
        ),
        pytest.param(
            {"method": "POST", "phase": Phase.UNDETECTED, "end": End.HUNG, "status": 0},
            ["1 times: POST had no end within 10 s"],
            id="a request that hung",
        ),
        pytest.param(
            {"method": "POST", "seen": 2}, ["1 times: POST came to a target 2 times"], id="a POST that was repeated"
        ),
        pytest.param({"seen": 0}, ["1 times: GET answered 200, but no target got it"], id="an answer out of nothing"),
    ],
)
def test_promises_when_a_target_dies(changes: dict[str, Any], expected: list[str]) -> None:
    assert problems_of(**changes) == expected


def test_a_target_that_gets_nothing_after_its_return_is_a_problem() -> None:
    assert kill.problems_of(BOTH_BACK[:1], Counter({"90": 1})) == [
        "only ['steady'] answered after both were healthy again"
    ]


def tally(**changes: Any) -> reload.Tally:
    return reload.Tally(**{"sent": 3, "opened": 2, "answered_by": Counter(reload.GROUPS), **changes})


@pytest.mark.parametrize(
    ("tally_", "seen", "expected"),
    [
        pytest.param(tally(), {"0": 1, "1": 1, "2": 1}, [], id="each once"),
        pytest.param(tally(), {"0": 1, "2": 1}, ["1 requests never came to a target"], id="one lost"),
        pytest.param(
            tally(), {"0": 1, "1": 2, "2": 1}, ["1 requests came to a target more than once"], id="one doubled"
        ),
        pytest.param(
            tally(),
            {"0": 1, "1": 1, "2": 1, "x": 1},
            ["1 requests came to a target that no client sent"],
            id="a stranger",
        ),
        pytest.param(
            tally(opened=3),
            {"0": 1, "1": 1, "2": 1},
            ["1 connections were closed and opened again"],
            id="a connection closed",
        ),
        pytest.param(
            tally(not_taken=[7]),
            {"0": 1, "1": 1, "2": 1},
            ["1 rewrites were not taken, the first is 7"],
            id="not taken",
        ),
        pytest.param(
            tally(wrong=Counter({"GET answered 502": 2})),
            {"0": 1, "1": 1, "2": 1},
            ["2 requests ended as GET answered 502"],
            id="an error",
        ),
    ],
)
def test_promises_of_a_reload(tally_: reload.Tally, seen: dict[str, int], expected: list[str]) -> None:
    assert reload.problems_of(tally_, Counter(seen), clients=2) == expected


def test_every_rewrite_differs_from_the_one_before() -> None:
    ports = dict.fromkeys(reload.GROUPS, 1)
    texts = [reload.table(number, 8080, ports) for number in range(200)]

    assert all(one != next_ for one, next_ in itertools.pairwise(texts))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [((), 3.0), (('code="200"',), 2.0), (("absent",), None)],
    ids=["all series", "one series", "no series"],
)
def test_the_sum_over_series(labels: tuple[str, ...], expected: float | None) -> None:
    metrics = {'a_total{code="200"}': 2.0, 'a_total{code="404"}': 1.0, "a_total_more": 9.0}

    assert total(metrics, "a_total", *labels) == expected
