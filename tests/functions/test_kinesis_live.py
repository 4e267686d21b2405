"""Streams as event sources: MiniStack's Kinesis, our poller, real functions."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_endpoint import client, unique
from aws_lambda_powertools.utilities.parser.models import KinesisDataStreamModel
from function_host import RunningHost, SteppedClock, eventually, function, notes, running_host


class Stream:
    """A stream with this many shards."""

    def __init__(self, endpoint: str, shards: int = 1) -> None:
        self.kinesis = client("kinesis", endpoint)
        self.name = unique("s")
        self.kinesis.create_stream(StreamName=self.name, ShardCount=shards)
        eventually(lambda: self._describe()["StreamStatus"] == "ACTIVE", "the stream is not ready")
        self.arn = self._describe()["StreamARN"]

    def _describe(self) -> Any:
        return self.kinesis.describe_stream_summary(StreamName=self.name)["StreamDescriptionSummary"]

    def put(self, *texts: str, key: str | None = None) -> None:
        for text in texts:
            self.kinesis.put_record(StreamName=self.name, Data=text.encode(), PartitionKey=key or text)

    def records(self) -> list[dict[str, Any]]:
        """What is in the first shard."""
        shard = self.kinesis.list_shards(StreamName=self.name)["Shards"][0]["ShardId"]
        first = self.kinesis.get_shard_iterator(StreamName=self.name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        records: list[dict[str, Any]] = self.kinesis.get_records(ShardIterator=first)["Records"]
        return records


@pytest.fixture
def streams(aws: str) -> Iterator[list[Stream]]:
    made: list[Stream] = []
    yield made
    for stream in made:
        stream.kinesis.close()


def consumer(tmp_path: Path, stream: Stream, handler: str = "batches.stream", **mapping: Any) -> dict[str, Any]:
    source = {"event_source_arn": stream.arn, "starting_position": "TRIM_HORIZON", **mapping}
    environment = {"NOTES": str(tmp_path / "notes")}
    return {"work": function(handler, environment=environment, event_sources=[source])}


def seen(tmp_path: Path) -> list[str]:
    return [text for batch in notes(tmp_path / "notes") for text in batch]


def checkpoints(host: RunningHost) -> dict[str, str]:
    (uuid,) = host.host.mappings()
    return host.host._store.checkpoints(uuid)


def test_records_are_handled_in_order(aws: str, streams: list[Stream], tmp_path: Path) -> None:
    streams.append(stream := Stream(aws))
    texts = [f"{number:03}" for number in range(40)]
    stream.put(*texts)
    with running_host(tmp_path, consumer(tmp_path, stream, batch_size=7)):
        eventually(lambda: len(seen(tmp_path)) >= len(texts), "records are missing")
    assert seen(tmp_path) == texts
    assert max(map(len, notes(tmp_path / "notes"))) <= 7


def test_records_that_no_filter_lets_pass_are_passed_over(aws: str, streams: list[Stream], tmp_path: Path) -> None:
    """The checkpoint goes past them, also where the last ones are among them."""
    streams.append(stream := Stream(aws))
    stream.put(*(json.dumps({"n": number}) for number in range(10)), "no JSON", key="k")
    pattern = json.dumps({"data": {"n": [{"numeric": ["<", 3]}, 7]}})
    with running_host(tmp_path, consumer(tmp_path, stream, filter_criteria=[pattern])) as host:
        eventually(lambda: len(seen(tmp_path)) >= 4, "records are missing")
        last = stream.records()[-1]["SequenceNumber"]
        eventually(lambda: last in checkpoints(host).values(), "the checkpoint stays behind")
    assert [json.loads(text)["n"] for text in seen(tmp_path)] == [0, 1, 2, 7]


def test_a_window_ends_though_nothing_more_comes(aws: str, streams: list[Stream], tmp_path: Path) -> None:
    streams.append(stream := Stream(aws))
    stream.put("a", "b", "c")
    with running_host(tmp_path, consumer(tmp_path, stream, "batches.window", tumbling_window_in_seconds=1)):
        eventually(lambda: sum(line[1]["count"] for line in notes(tmp_path / "notes") if line[2]) == 3, "no last call")


def test_every_shard_is_read(aws: str, streams: list[Stream], tmp_path: Path) -> None:
    streams.append(stream := Stream(aws, shards=3))
    texts = {f"{number:03}" for number in range(30)}
    stream.put(*texts)
    with running_host(tmp_path, consumer(tmp_path, stream)):
        eventually(lambda: set(seen(tmp_path)) == texts, "records are missing")
    assert len(seen(tmp_path)) == len(texts)


def test_the_event_is_what_lambda_sends(aws: str, streams: list[Stream], tmp_path: Path) -> None:
    """Powertools' model, made from AWS's documentation, takes it."""
    streams.append(stream := Stream(aws))
    stream.put(json.dumps({"page": "/"}), key="visitor")
    with running_host(tmp_path, consumer(tmp_path, stream, "batches.raw")):
        eventually(lambda: notes(tmp_path / "notes"), "nothing comes")
    (event,) = notes(tmp_path / "notes")
    (record,) = KinesisDataStreamModel.model_validate(event).Records
    assert (record.eventSourceARN, record.kinesis.partitionKey) == (stream.arn, "visitor")
    assert record.kinesis.data in (b'{"page": "/"}', {"page": "/"})
    assert record.eventID == f"shardId-000000000000:{record.kinesis.sequenceNumber}"


def test_what_is_given_up_is_whole_in_a_bucket(aws: str, streams: list[Stream], tmp_path: Path) -> None:
    """Key and `payload` as the Lambda guide has them for S3."""
    streams.append(stream := Stream(aws))
    s3, bucket = client("s3", aws, s3={"addressing_style": "path"}), unique("failed")
    s3.create_bucket(Bucket=bucket)
    stream.put("poison", key="k")
    mapping = {"maximum_retry_attempts": 0, "on_failure": f"arn:aws:s3:::{bucket}"}
    with running_host(tmp_path, consumer(tmp_path, stream, **mapping)) as host:
        (uuid,) = host.host.mappings()
        eventually(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"), "nothing is told")
    (found,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    record = json.loads(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
    s3.close()

    day = r"\d{4}/\d\d/\d\d/\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{36}"
    assert re.fullmatch(f"aws/lambda/{uuid}/shardId-000000000000/{day}", found["Key"])
    assert record["KinesisBatchInfo"]["batchSize"] == 1
    (given_up,) = json.loads(record["payload"])["Records"]
    assert base64.b64decode(given_up["kinesis"]["data"]) == b"poison"


@pytest.mark.parametrize("poison", ["poison", "bad"], ids=["raises", "is reported"])
def test_poison_ends_at_the_destination_and_stops_nothing(
    aws: str, streams: list[Stream], tmp_path: Path, poison: str
) -> None:
    streams.append(stream := Stream(aws))
    sqs = client("sqs", aws)
    url = sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    stream.put("one", "two", poison, "three", "four", key="k")
    mapping = {
        "function_response_types": ["ReportBatchItemFailures"],
        "bisect_batch_on_function_error": True,
        "maximum_retry_attempts": 0,
        "on_failure": arn,
    }
    with running_host(tmp_path, consumer(tmp_path, stream, **mapping)) as host:
        message = eventually(
            lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"), "nobody is told"
        )[0]
        eventually(lambda: "four" in seen(tmp_path), "the shard stands still")
        record = json.loads(message["Body"])
        info = record["KinesisBatchInfo"]
        eventually(lambda: checkpoints(host)["shardId-000000000000"] > info["endSequenceNumber"], "no checkpoint")
        assert sqs.receive_message(QueueUrl=url).get("Messages") is None or len(seen(tmp_path)) > 0
    sqs.close()
    assert (info["batchSize"], info["shardId"], info["streamArn"]) == (1, "shardId-000000000000", stream.arn)
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert "Records" not in record
    handled = [text for batch in notes(tmp_path / "notes") if poison not in batch for text in batch]
    assert [text for text in handled if text != poison][-2:] == ["three", "four"]


def test_a_restart_goes_on_behind_the_checkpoint(aws: str, streams: list[Stream], tmp_path: Path) -> None:
    streams.append(stream := Stream(aws))
    functions = consumer(tmp_path, stream)
    stream.put("one", "two")
    with running_host(tmp_path, functions) as host:
        eventually(lambda: seen(tmp_path) == ["one", "two"], "records are missing")
        eventually(lambda: checkpoints(host), "no checkpoint is kept")
    stream.put("three")
    with running_host(tmp_path, functions):
        eventually(lambda: "three" in seen(tmp_path), "it does not go on")
    assert seen(tmp_path) == ["one", "two", "three"]


def test_latest_passes_over_nothing_that_comes_while_the_host_is_down(
    aws: str, streams: list[Stream], tmp_path: Path
) -> None:
    streams.append(stream := Stream(aws))
    stream.put("before it was first started")
    functions = consumer(tmp_path, stream, starting_position="LATEST")
    with running_host(tmp_path, functions) as host:
        eventually(lambda: checkpoints(host), "the position is not kept")
    stream.put("while it was down")
    with running_host(tmp_path, functions):
        eventually(lambda: "while it was down" in seen(tmp_path), "it is passed over")
    assert seen(tmp_path) == ["while it was down"]


def test_an_error_blocks_the_shard_and_is_tried_again(aws: str, streams: list[Stream], tmp_path: Path) -> None:
    streams.append(stream := Stream(aws))
    stream.put("poison", "good", key="k")
    with running_host(tmp_path, consumer(tmp_path, stream, batch_size=1)):
        eventually(lambda: len(seen(tmp_path)) >= 2, "it is not tried again")
    assert set(seen(tmp_path)) == {"poison"}


def test_too_old_records_are_given_up(aws: str, streams: list[Stream], tmp_path: Path) -> None:
    streams.append(stream := Stream(aws))
    stream.put("old")
    clock = SteppedClock(start=4_000_000_000.0)
    functions = consumer(tmp_path, stream, maximum_record_age_in_seconds=60)
    with running_host(tmp_path, functions, clock=clock) as host:
        eventually(lambda: checkpoints(host), "the shard stands still")
    assert seen(tmp_path) == []


def test_lanes_keep_the_order_of_each_key_and_poison_stops_only_its_own(
    aws: str, streams: list[Stream], tmp_path: Path
) -> None:
    streams.append(stream := Stream(aws))
    stream.put("poison", key="k0")
    keys = [f"k{number}" for number in range(1, 9)]
    for number in range(5):
        for key in keys:
            stream.put(f"{key}:{number}", key=key)
    functions = consumer(tmp_path, stream, parallelization_factor=4, batch_size=2)
    with running_host(tmp_path, functions) as host:
        done = [key for key in keys if _lane(key) != _lane("k0")]
        eventually(lambda: all(f"{key}:4" in seen(tmp_path) for key in done), "a good lane stands still")
        # What is done behind the poison is not in the checkpoint: nothing before it may be passed over.
        assert checkpoints(host) == {}
    for key in done:
        assert [text for text in seen(tmp_path) if text.startswith(f"{key}:")] == [f"{key}:{n}" for n in range(5)]


def _lane(key: str) -> int:
    import zlib

    return zlib.crc32(key.encode()) % 4
