"""A stream that is resharded, with a stream made up of lists: MiniStack forgets the parents of a split."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any, Literal

import pytest
from function_host import SteppedClock

from proxy.functions.aws import DeliveryError
from proxy.functions.kinesis_poller import KinesisPoller
from proxy.functions.model import Invocation, MappingConfig, Outcome
from proxy.functions.shard import FINISHED
from proxy.functions.store import StoreError

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/s"


class MadeUpStream:
    """Closed shards with one record each; a `DeliveryError` now and then. An iterator is `shard:index`."""

    region = "us-east-1"

    def __init__(self, shards: dict[str, list[str]], records: dict[str, list[str]]) -> None:
        self.shards = shards
        self.records = records
        self.calls = 0

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self.calls += 1
        await asyncio.sleep(0)
        if self.calls % 5 == 3:
            raise DeliveryError("now and then")
        if operation == "list_shards":
            names = ("ParentShardId", "AdjacentParentShardId")
            return {
                "Shards": [
                    {"ShardId": shard, **dict(zip(names, parents, strict=False))}
                    for shard, parents in self.shards.items()
                ]
            }
        if operation == "get_shard_iterator":
            after = parameters.get("StartingSequenceNumber")
            index = int(after.rpartition("-")[2]) + 1 if after else 0
            return {"ShardIterator": f"{parameters['ShardId']}:{index}"}
        shard, _, index_text = parameters["ShardIterator"].partition(":")
        index = int(index_text)
        texts = self.records[shard]
        answer: dict[str, Any] = {"Records": [], "NextShardIterator": f"{shard}:{index + 1}"}
        if index >= len(texts):
            return {"Records": []}
        answer["Records"] = [
            {
                "SequenceNumber": f"{shard}-{index}",
                "PartitionKey": texts[index],
                "Data": texts[index].encode(),
                "ApproximateArrivalTimestamp": 0.0,
            }
        ]
        return answer


class Kept:
    """Checkpoints in memory; the first `failures` are refused, as by a disk that is full."""

    def __init__(self, positions: dict[str, str], failures: int = 0) -> None:
        self.positions = positions
        self.failures = failures

    async def all(self) -> dict[str, str]:
        return dict(self.positions)

    async def put(self, shard: str, position: str) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreError("disk full")
        self.positions[shard] = position


def polled(stream: MadeUpStream, kept: Kept, mapping: MappingConfig) -> list[str]:
    """What the function gets until every shard is finished."""
    got: list[str] = []
    clock = SteppedClock()

    async def invoke(function: str, invocation: Invocation) -> Outcome:
        for record in json.loads(invocation.payload)["Records"]:
            got.append(base64.b64decode(record["kinesis"]["data"]).decode())
        return Outcome(b"null")

    async def send(destination: str, record: dict[str, Any], arn: str, folder: str) -> None:
        raise AssertionError

    async def run() -> None:
        poller = KinesisPoller(mapping, stream, invoke, send, kept, clock)  # type: ignore[arg-type]
        polling = asyncio.create_task(poller.run())
        async with asyncio.timeout(20):
            while set(kept.positions.values()) != {FINISHED} or kept.positions.keys() != stream.shards.keys():
                clock.advance(1)
                await asyncio.sleep(0)
        poller.stop()
        await polling

    asyncio.run(run())
    return got


def test_children_are_read_after_their_parents() -> None:
    shards = {"c": ["a"], "d": ["a"], "a": [], "e": ["c", "d"], "b": []}
    records = {name: [f"{name}{number}" for number in range(4)] for name in shards}
    got = polled(MadeUpStream(shards, records), Kept({}), MappingConfig("f", ARN, batch_size=2))
    assert sorted(got) == sorted(text for texts in records.values() for text in texts)
    assert max(map(got.index, records["a"])) < min(map(got.index, records["c"] + records["d"]))
    assert max(map(got.index, records["c"] + records["d"])) < min(map(got.index, records["e"]))


def test_a_parent_that_has_expired_is_not_waited_for() -> None:
    assert polled(MadeUpStream({"c": ["gone"]}, {"c": ["c0"]}), Kept({}), MappingConfig("f", ARN)) == ["c0"]


def test_a_restart_begins_behind_what_is_done() -> None:
    stream = MadeUpStream({"a": [], "b": ["a"]}, {"a": ["a0", "a1", "a2"], "b": ["b0"]})
    kept = Kept({"a": "a-1"})
    assert polled(stream, kept, MappingConfig("f", ARN, starting_position="LATEST")) == ["a2", "b0"]


@pytest.mark.parametrize("position", ["TRIM_HORIZON", "LATEST"])
def test_reading_goes_on_when_a_checkpoint_could_not_be_kept(position: Literal["TRIM_HORIZON", "LATEST"]) -> None:
    """LATEST keeps its first position before it reads; the other keeps one after its first batch.

    The shard stays open until its last record is done: it never ends by itself.
    """
    stream = MadeUpStream({"a": []}, {"a": ["a0", "a1", "a2"]})
    kept, call = Kept({}, failures=2), stream.call

    async def open_until_done(service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        answer = await call(service, operation, **parameters)
        if operation == "get_records" and kept.positions.get("a") != "a-2":
            answer.setdefault("NextShardIterator", parameters["ShardIterator"])
        return answer

    stream.call = open_until_done  # type: ignore[method-assign]
    got = polled(stream, kept, MappingConfig("f", ARN, batch_size=1, starting_position=position))
    assert sorted(set(got)) == ["a0", "a1", "a2"]
    assert got[-1] == "a2"


def test_a_poll_goes_on_after_an_answer_that_nobody_expects() -> None:
    stream = MadeUpStream({"a": []}, {"a": ["a0"]})
    call, answers = stream.call, iter([{"Shards": [{"Name": "?"}]}, {"Shards": "?"}])

    async def at_first_nonsense(service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        return next(answers, None) or await call(service, operation, **parameters)

    stream.call = at_first_nonsense  # type: ignore[method-assign]
    assert polled(stream, Kept({}), MappingConfig("f", ARN)) == ["a0"]
