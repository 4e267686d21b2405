"""Partial batch answers, splitting and giving up: the rule book (Lambda guide)."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.functions.batch import (
    EVERYTHING,
    Piece,
    Progress,
    StreamRecord,
    after_invocation,
    backoff,
    batch_info,
    failed_items,
    without_expired,
)
from proxy.functions.model import MappingConfig, Outcome

ERROR = Outcome(b"{}", failed=True)
STREAM = MappingConfig("f", "arn:aws:kinesis:us-east-1:000000000000:stream/clicks", reports_failures=True)


def answer(value: Any) -> Outcome:
    return Outcome(json.dumps(value).encode())


def items(*identifiers: Any) -> Outcome:
    return answer({"batchItemFailures": [{"itemIdentifier": one} for one in identifiers]})


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        (answer(None), set()),
        (Outcome(b""), set()),
        (answer(""), set()),
        (answer({}), set()),
        (answer({"batchItemFailures": []}), set()),
        (answer({"batchItemFailures": None}), set()),
        (items("b"), {"b"}),
        (items("a", "c", "a"), {"a", "c"}),
        (items("a", "b", "c"), {"a", "b", "c"}),
        (ERROR, EVERYTHING),
        (Outcome(b"not json"), EVERYTHING),
        (answer("done"), EVERYTHING),
        (answer([]), EVERYTHING),
        (answer({"batchItemFailures": "a"}), EVERYTHING),
        (answer({"batchItemFailures": ["a"]}), EVERYTHING),
        (items(""), EVERYTHING),
        (items(None), EVERYTHING),
        (items(7), EVERYTHING),
        (items("a", None), EVERYTHING),
        (answer({"batchItemFailures": [{"messageId": "a"}]}), EVERYTHING),
        (items("x"), EVERYTHING),
    ],
    ids=[
        "null is success",
        "nothing is success",
        "an empty string is success",
        "an empty object is success",
        "an empty list is success",
        "a null list is success",
        "one fails",
        "two fail, one named twice",
        "all fail by name",
        "an exception fails everything",
        "what is not JSON fails everything",
        "a string fails everything",
        "a list fails everything",
        "a list that is none fails everything",
        "an item that is no object fails everything",
        "an empty identifier fails everything",
        "a null identifier fails everything",
        "a number as identifier fails everything",
        "one bad identifier among good ones fails everything",
        "a wrong key fails everything",
        "an unknown identifier fails everything",
    ],
)
def test_partial_answers(outcome: Outcome, failed: set[str] | None) -> None:
    assert failed_items(outcome, ["a", "b", "c"], reports=True) == failed


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [(items("a"), set()), (answer("text"), set()), (ERROR, EVERYTHING)],
    ids=["list", "text", "error"],
)
def test_without_the_setting_only_an_error_counts(outcome: Outcome, failed: set[str] | None) -> None:
    assert failed_items(outcome, ["a"], reports=False) == failed


def records(names: str, arrived: float = 0.0) -> tuple[StreamRecord, ...]:
    return tuple(StreamRecord(name, name, arrived, {}) for name in names)


def shown(pieces: tuple[Piece, ...]) -> list[tuple[str, int]]:
    return [("".join(one.sequence for one in piece.records), piece.attempts) for piece in pieces]


@pytest.mark.parametrize(
    ("piece", "outcome", "changes", "done", "to_do", "given_up"),
    [
        (("abcd", 0), answer(None), {}, "abcd", [], ""),
        (("abcd", 0), ERROR, {}, "", [("abcd", 1)], ""),
        (("abcd", 0), items("c"), {}, "ab", [("cd", 1)], ""),
        (("abcd", 0), items("d", "b"), {}, "a", [("bcd", 1)], ""),
        (("abcd", 0), ERROR, {"maximum_retry_attempts": 0}, "", [], "abcd"),
        (("abcd", 1), ERROR, {"maximum_retry_attempts": 2}, "", [("abcd", 2)], ""),
        (("abcd", 2), ERROR, {"maximum_retry_attempts": 2}, "", [], "abcd"),
        (("abcd", 0), items("c"), {"maximum_retry_attempts": 0}, "ab", [], "cd"),
        (("abcde", 1), ERROR, {"bisects": True}, "", [("ab", 1), ("cde", 1)], ""),
        (("abcd", 0), items("c"), {"bisects": True}, "ab", [("cd", 0)], ""),
        (("abcd", 0), items("a"), {"bisects": True}, "", [("ab", 0), ("cd", 0)], ""),
        (("a", 0), ERROR, {"bisects": True, "maximum_retry_attempts": 1}, "", [("a", 1)], ""),
        (("a", 1), ERROR, {"bisects": True, "maximum_retry_attempts": 1}, "", [], "a"),
        (("a", 9999), ERROR, {"maximum_retry_attempts": -1}, "", [("a", 10_000)], ""),
    ],
    ids=[
        "success",
        "an error: all again",
        "a report: from it on again",
        "two reports: from the lower on",
        "no retries: given up",
        "the last retry",
        "no retry left: given up",
        "a report without retries: the rest is given up",
        "an error with bisect: halves, no retry spent",
        "a report with bisect: split there",
        "a report of the first with bisect: halves",
        "one record with bisect: a retry",
        "one record with bisect and no retry left: given up",
        "retries without end",
    ],
)
def test_after_an_invocation(
    piece: tuple[str, int], outcome: Outcome, changes: dict[str, Any], done: str, to_do: Any, given_up: str
) -> None:
    step = after_invocation(Piece(records(piece[0]), piece[1]), replace(STREAM, **changes), outcome)
    assert "".join(one.sequence for one in step.done) == done
    assert shown(step.to_do) == to_do
    assert (shown((step.discarded.piece,))[0][0] if step.discarded else "") == given_up
    if step.discarded:
        assert step.discarded.condition == "RetryAttemptsExhausted"


@pytest.mark.parametrize(
    ("limit", "now", "expired", "left"),
    [(-1, 1e9, "", "abcd"), (60, 60, "", "abcd"), (60, 61, "ab", "cd"), (60, 200, "abcd", "")],
    ids=["no limit", "just young enough", "the old ones", "all"],
)
def test_records_that_are_too_old(limit: int, now: float, expired: str, left: str) -> None:
    piece = Piece((*records("ab", 0.0), *records("cd", 100.0)), 3)
    step = without_expired(piece, replace(STREAM, maximum_record_age_seconds=limit), now)
    assert shown(step.to_do) == ([(left, 3)] if left else [])
    assert (shown((step.discarded.piece,))[0][0] if step.discarded else "") == expired
    assert not step.discarded or step.discarded.condition == "RecordAgeExceeded"


@settings(deadline=None)
@given(
    st.lists(st.booleans(), min_size=1, max_size=40),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from(["raises", "reports"]),
)
def test_with_bisect_exactly_the_poison_is_given_up(
    poisoned: list[bool], retries: int, bisects: bool, kind: str
) -> None:
    """The oracle is the list itself: whatever is split, each record is handled or given up once, in order."""
    mapping = replace(STREAM, maximum_retry_attempts=retries, bisects=bisects)
    batch = tuple(StreamRecord(f"{number:03}", "k", 0.0, {}) for number in range(len(poisoned)))
    bad = {record.sequence for record, is_bad in zip(batch, poisoned, strict=True) if is_bad}
    to_do = deque([Piece(batch)])
    ended: list[str] = []
    given_up: set[str] = set()
    while to_do:
        piece = to_do.popleft()
        here = [record.sequence for record in piece.records if record.sequence in bad]
        outcome = answer(None) if not here else (ERROR if kind == "raises" else items(*here))
        step = after_invocation(piece, mapping, outcome)
        ended += [record.sequence for record in step.done]
        if step.discarded:
            ended += [record.sequence for record in step.discarded.piece.records]
            given_up |= {record.sequence for record in step.discarded.piece.records}
        to_do.extendleft(reversed(step.to_do))
    assert ended == [record.sequence for record in batch]
    assert bad <= given_up
    if bisects:
        assert given_up == bad


@settings(deadline=None)
@given(st.data())
def test_the_checkpoint_is_the_last_before_which_everything_is_done(data: st.DataObject) -> None:
    keys = list(range(data.draw(st.integers(1, 30))))
    progress: Progress[int] = Progress()
    begun = 0
    finished: set[int] = set()
    checkpoint = -1
    while len(finished) < len(keys):
        open_keys = [key for key in keys[:begun] if key not in finished]
        if begun < len(keys) and (not open_keys or data.draw(st.booleans())):
            progress.begin([keys[begun]])
            begun += 1
            continue
        some = data.draw(st.lists(st.sampled_from(open_keys), min_size=1, unique=True))
        moved = progress.finish(some)
        finished |= set(some)
        expected = next((key for key in keys if key not in finished), len(keys)) - 1
        assert (moved if moved is not None else checkpoint) == expected
        checkpoint = expected
    assert len(progress) == 0


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (7, 60), (10_000, 60)])
def test_waits_between_attempts(failures: int, seconds: float) -> None:
    assert backoff(failures) == seconds


def test_where_records_are() -> None:
    batch = (StreamRecord("1", "k", 0.25, {}), StreamRecord("9", "k", 1.5, {}))
    assert batch_info(batch, "shardId-000000000000", "arn") == {
        "shardId": "shardId-000000000000",
        "startSequenceNumber": "1",
        "endSequenceNumber": "9",
        "approximateArrivalOfFirstRecord": "1970-01-01T00:00:00.250Z",
        "approximateArrivalOfLastRecord": "1970-01-01T00:00:01.500Z",
        "batchSize": 2,
        "streamArn": "arn",
    }
