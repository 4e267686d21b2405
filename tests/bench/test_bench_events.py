"""The verdict of bench.events, and a short run of it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import pytest

from bench.events import Result, lines_of, main, problems_of

GOOD = Result(
    published=frozenset({"a", "b", "c"}),
    copies=1,
    kills=2,
    mails=Counter({"a": 1, "b": 1, "c": 1}),
    sendings=Counter({"a": 1, "b": 1}),  # the worker was killed before it logged the third
    receipts=6,
    dead_letters=0,
    seconds=2.0,
)


def test_a_good_run_has_no_problems() -> None:
    assert problems_of(GOOD) == []
    assert lines_of(GOOD)[2] == "3 mails; 6 receipts, so 3 duplicates absorbed, 2 of them by the kills"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        pytest.param(replace(GOOD, mails=Counter({"a": 1, "b": 1})), "1 events have no mail", id="lost"),
        pytest.param(replace(GOOD, mails=Counter({"a": 2, "b": 1, "c": 1})), "1 events have more than one", id="twice"),
        pytest.param(replace(GOOD, sendings=Counter({"a": 2})), "1 events have more than one", id="sent twice"),
        pytest.param(replace(GOOD, mails=GOOD.mails + Counter({"x": 1})), "1 mails belong to no event", id="unknown"),
        pytest.param(replace(GOOD, dead_letters=2), "2 messages ended with the dead letters", id="dead letters"),
        pytest.param(replace(GOOD, receipts=3), "none was absorbed", id="no duplicates came"),
    ],
)
def test_what_is_a_problem(bad: Result, said: str) -> None:
    (problem,) = problems_of(bad)
    assert said in problem


def test_a_short_run(capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ)
    assert main(["60", "--kills", "2"]) == 0
    assert capsys.readouterr().out.endswith("PASS: no event was lost, every event has one mail\n")
    assert {name for name in os.environ if name.startswith("AWS_")} == {n for n in before if n.startswith("AWS_")}
