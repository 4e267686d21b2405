"""Tumbling windows: a state goes from batch to batch of a shard (Lambda guide, Kinesis)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from function_host import SteppedClock

from proxy.functions.model import Invocation, MappingConfig, Outcome
from proxy.functions.shard import FINISHED, Shard
from proxy.functions.windows import Window, checkpoint, from_checkpoint, state_of

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
Handler = Callable[[dict[str, Any]], Any]


class ClosedShard:
    """A shard that has ended; each record is the moment at which it came."""

    region = "us-east-1"

    def __init__(self, moments: list[float]) -> None:
        self._moments = moments

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        if operation == "get_shard_iterator":
            after = parameters.get("StartingSequenceNumber")
            return {"ShardIterator": str(int(after) + 1 if after else 0)}
        records = [
            {
                "SequenceNumber": str(number),
                "PartitionKey": "k",
                "Data": b"-",
                "ApproximateArrivalTimestamp": moment,
            }
            for number, moment in enumerate(self._moments)
        ]
        return {"Records": records[int(parameters["ShardIterator"]) :]}


class Work:
    """A shard that is read to its end, or until the handler stops it.

    Attributes:
        events: That the function got.
        positions: The checkpoints that were written.
        told: Conditions of which the on-failure destination was told.
    """

    def __init__(self, moments: list[float], handler: Handler, position: str = "TRIM_HORIZON", **mapping: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self.positions: list[str] = []
        self.told: list[str] = []
        self.stopping = asyncio.Event()
        self._handler = handler
        config = MappingConfig("f", ARN, on_failure="destination", tumbling_seconds=10, **mapping)
        self._clock = SteppedClock()
        self._shard = Shard(
            "shard", position, config, ClosedShard(moments), self._invoke, self._send, self, self._clock, self.stopping
        )  # fmt: skip  # type: ignore[arg-type]

    def run(self) -> Work:
        async def until_done() -> None:
            reading = asyncio.create_task(self._shard.run())
            async with asyncio.timeout(20):
                while not reading.done():
                    self._clock.advance(1)
                    await asyncio.sleep(0)
            await reading

        asyncio.run(until_done())
        return self

    async def all(self) -> dict[str, str]:
        raise AssertionError

    async def put(self, shard: str, position: str) -> None:
        self.positions.append(position)

    async def _send(self, destination: str, record: dict[str, Any], arn: str, folder: str) -> None:
        self.told.append(record["requestContext"]["condition"])

    async def _invoke(self, function: str, invocation: Invocation) -> Outcome:
        event = json.loads(invocation.payload)
        self.events.append(event)
        try:
            return Outcome(json.dumps(self._handler(event)).encode())
        except ArithmeticError:
            return Outcome(b'{"errorType": "ArithmeticError"}', failed=True)


def counting(event: dict[str, Any]) -> Any:
    return {"state": {"count": event["state"].get("count", 0) + len(event["Records"])}}


def shown(event: dict[str, Any]) -> tuple[str, int, Any, bool]:
    """Start of the window, records, the state that came, and whether it is the last time."""
    return event["window"]["start"][11:19], len(event["Records"]), event["state"], event["isFinalInvokeForWindow"]


def test_a_state_goes_through_its_window() -> None:
    work = Work([0, 1, 9.9, 10, 31], counting, batch_size=2).run()

    assert [shown(event) for event in work.events] == [
        ("00:00:00", 2, {}, False),
        ("00:00:00", 1, {"count": 2}, False),
        ("00:00:00", 0, {"count": 3}, True),
        ("00:00:10", 1, {}, False),
        ("00:00:10", 0, {"count": 1}, True),
        ("00:00:30", 1, {}, False),
        ("00:00:30", 0, {"count": 1}, True),
    ]
    first = work.events[0]
    assert first["window"] == {"start": "1970-01-01T00:00:00Z", "end": "1970-01-01T00:00:10Z"}
    assert (first["shardId"], first["eventSourceARN"]) == ("shard", ARN)
    assert not any(event["isWindowTerminatedEarly"] for event in work.events)
    assert work.positions[-1] == FINISHED


def test_a_state_over_1_mb_ends_the_window_early() -> None:
    def growing(event: dict[str, Any]) -> Any:
        return {"state": {"text": "x" * 1024 * 1024}} if event["Records"][:1] else None

    work = Work([0, 1], growing, batch_size=1).run()
    flags = [(event["isFinalInvokeForWindow"], event["isWindowTerminatedEarly"]) for event in work.events]

    assert flags == [(False, False), (True, True), (False, False), (True, True), (True, False)]
    assert work.events[2]["state"] == work.events[4]["state"] == {}
    assert {event["window"]["start"] for event in work.events} == {"1970-01-01T00:00:00Z"}


@pytest.mark.parametrize("answer", [None, {}, {"state": None}, {"state": "x"}, []], ids=repr)
def test_an_answer_without_a_state_has_failed(answer: Any) -> None:
    work = Work([0], lambda event: answer, maximum_retry_attempts=1).run()

    assert [len(event["Records"]) for event in work.events] == [1, 1, 0]
    assert work.told == ["RetryAttemptsExhausted"]


def test_a_failed_batch_leaves_the_state_as_it_was() -> None:
    def poisoned(event: dict[str, Any]) -> Any:
        if any(record["kinesis"]["sequenceNumber"] == "1" for record in event["Records"]):
            raise ArithmeticError
        return counting(event)

    work = Work([0, 1, 2], poisoned, batch_size=1, maximum_retry_attempts=0).run()

    assert [shown(event)[1:] for event in work.events] == [
        (1, {}, False),
        (1, {"count": 1}, False),
        (1, {"count": 1}, False),
        (0, {"count": 2}, True),
    ]


def test_a_window_is_not_left_before_its_last_call_has_succeeded() -> None:
    failures = iter([True, True, False, False, False])

    def failing_at_the_end(event: dict[str, Any]) -> Any:
        if event["isFinalInvokeForWindow"] and next(failures):
            raise ArithmeticError
        return counting(event)

    work = Work([0, 10], failing_at_the_end).run()

    assert [shown(event)[0] for event in work.events] == ["00:00:00"] * 4 + ["00:00:10"] * 2


def test_a_restart_goes_on_with_the_state() -> None:
    def stopping_after_one(event: dict[str, Any]) -> Any:
        work.stopping.set()
        return counting(event)

    work = Work([0, 1, 2], stopping_after_one, batch_size=1)
    work.run()
    again = Work([0, 1, 2], counting, work.positions[-1], batch_size=5).run()

    assert [shown(event)[1:] for event in work.events] == [(1, {}, False)]
    assert [shown(event)[1:] for event in again.events] == [(2, {"count": 1}, False), (0, {"count": 3}, True)]


def test_checkpoints() -> None:
    window = Window(60, 10, {"a b": [1, 2]})
    assert from_checkpoint(checkpoint("495", window), 10) == ("495", window)
    assert from_checkpoint(checkpoint("495", None), 10) == ("495", None)
    assert from_checkpoint(checkpoint("495", window), 20) == ("495", None)
    assert from_checkpoint("AT_TIMESTAMP:1.5", 0) == ("AT_TIMESTAMP:1.5", None)


def test_an_error_object_is_no_state() -> None:
    assert state_of(Outcome(b'{"state": {}}', failed=True)) is None
    assert state_of(Outcome(b"[" * 100_000)) is None
