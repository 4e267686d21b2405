"""What becomes of an asynchronous event: the rule book (Lambda guide)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.functions.model import AsyncConfig, Outcome
from proxy.functions.retry import (
    MAX_DELIVERIES,
    QueuedEvent,
    accepted,
    after_attempt,
    after_delivery_failed,
    after_throttle,
    before_attempt,
)

GOOD = Outcome(b"1")
BAD = Outcome(b"{}", failed=True, error_type="ValueError")
EVENT = QueuedEvent("r", "f", b"{}", "Root=1", accepted=1000.0, due=1000.0)
DEFAULT = AsyncConfig()


@pytest.mark.parametrize(
    ("attempts", "outcome", "config", "condition", "wait"),
    [
        (0, GOOD, DEFAULT, "Success", 0),
        (2, GOOD, DEFAULT, "Success", 0),
        (0, BAD, DEFAULT, "", 60),
        (1, BAD, DEFAULT, "", 120),
        (2, BAD, DEFAULT, "RetriesExhausted", 0),
        (0, BAD, AsyncConfig(maximum_retry_attempts=0), "RetriesExhausted", 0),
        (0, BAD, AsyncConfig(maximum_retry_attempts=1), "", 60),
        (1, BAD, AsyncConfig(maximum_retry_attempts=1), "RetriesExhausted", 0),
    ],
    ids=[
        "a success is the end",
        "so is a success at the third attempt",
        "the first error: again in a minute",
        "the second error: again in two minutes",
        "the third error is the end",
        "no retries: the first error is the end",
        "one retry: again in a minute",
        "one retry: the second error is the end",
    ],
)
def test_after_an_attempt(attempts: int, outcome: Outcome, config: AsyncConfig, condition: str, wait: float) -> None:
    after = after_attempt(replace(EVENT, attempts=attempts), config, outcome, 1010.0)
    assert (after.condition, after.due, after.attempts) == (condition, 1010.0 + wait, attempts + 1)
    assert (after.response, after.failed) == (outcome.payload, outcome.failed)


@pytest.mark.parametrize(
    ("throttles", "wait"), [(0, 1), (1, 2), (2, 4), (8, 256), (9, 300), (1000, 300)], ids=lambda value: str(value)
)
def test_a_throttle_waits_longer_each_time_and_is_no_attempt(throttles: int, wait: float) -> None:
    after = after_throttle(replace(EVENT, throttles=throttles), DEFAULT, 1000.0)
    assert (after.due, after.throttles, after.attempts, after.condition) == (1000.0 + wait, throttles + 1, 0, "")


def test_an_attempt_ends_a_row_of_throttles() -> None:
    assert after_attempt(replace(EVENT, throttles=5), DEFAULT, BAD, 1000.0).throttles == 0


@pytest.mark.parametrize(
    ("now", "condition"), [(1000, ""), (1059.9, ""), (1060, "EventAgeExceeded")], ids=["new", "nearly", "too old"]
)
def test_age(now: float, condition: str) -> None:
    assert before_attempt(EVENT, AsyncConfig(maximum_event_age_seconds=60), now).condition == condition


def test_a_retry_beyond_the_age_is_looked_at_when_it_is_too_old() -> None:
    config = AsyncConfig(maximum_event_age_seconds=60)
    after = after_attempt(EVENT, config, BAD, 1010.0)
    assert (after.condition, after.due) == ("", 1060.0)
    assert before_attempt(after, config, after.due).condition == "EventAgeExceeded"


@pytest.mark.parametrize(("reserved", "condition"), [(None, ""), (1, ""), (0, "RetriesExhausted")], ids=str)
def test_a_function_that_is_switched_off_never_runs(reserved: int | None, condition: str) -> None:
    assert accepted(EVENT, reserved).condition == condition


def test_a_destination_that_cannot_be_told_is_given_up_in_the_end() -> None:
    event: QueuedEvent | None = replace(EVENT, condition="Success")
    waits = []
    while event is not None:
        event = after_delivery_failed(event, 0.0)
        if event is not None:
            waits.append(event.due)
    assert len(waits) == MAX_DELIVERIES - 1
    assert waits == sorted(waits)
    assert waits[-1] <= 300


@settings(deadline=None)
@given(st.lists(st.sampled_from(["good", "bad", "throttled"]), max_size=60), st.integers(0, 2), st.integers(60, 21_600))
def test_no_event_runs_more_often_than_it_may_or_when_it_is_too_old(results: list[str], retries: int, age: int) -> None:
    """A plain simulation: whatever happens, attempts and age stay within their limits."""
    config = AsyncConfig(maximum_retry_attempts=retries, maximum_event_age_seconds=age)
    event, now, runs = EVENT, EVENT.due, 0
    for result in results:
        event = before_attempt(event, config, now)
        if event.condition:
            break
        assert now - EVENT.accepted < age
        if result == "throttled":
            event = after_throttle(event, config, now)
        else:
            runs += 1
            event = after_attempt(event, config, GOOD if result == "good" else BAD, now)
        if event.condition:
            break
        assert event.due > now
        now = event.due
    assert runs <= retries + 1
    assert event.attempts == runs
