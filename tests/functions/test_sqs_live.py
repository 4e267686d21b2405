"""Queues as event sources: MiniStack's SQS, our poller, real functions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_endpoint import client, unique
from aws_lambda_powertools.utilities.parser.models import SqsModel
from function_host import eventually, function, notes, running_host


class Queue:
    """A queue whose messages come again after `visibility` seconds."""

    def __init__(self, endpoint: str, visibility: int = 30, **attributes: str) -> None:
        self.sqs = client("sqs", endpoint)
        suffix = ".fifo" if attributes.get("FifoQueue") else ""
        self.url = self.sqs.create_queue(
            QueueName=unique("q") + suffix, Attributes={"VisibilityTimeout": str(visibility), **attributes}
        )["QueueUrl"]
        self.arn = self.attribute("QueueArn")

    def attribute(self, name: str) -> str:
        value: str = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"][name]
        return value

    def send(self, *bodies: str, **more: Any) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **more)

    def left(self) -> int:
        """Messages that are there, hidden or not."""
        return int(self.attribute("ApproximateNumberOfMessages")) + int(
            self.attribute("ApproximateNumberOfMessagesNotVisible")
        )

    def drained(self) -> None:
        eventually(lambda: self.left() == 0, "messages are left")


@pytest.fixture
def queues(aws: str) -> Iterator[list[Queue]]:
    made: list[Queue] = []
    yield made
    for queue in made:
        queue.sqs.close()


def source(queue: Queue, **more: Any) -> dict[str, Any]:
    return {"event_source_arn": queue.arn, **more}


def consumer(tmp_path: Path, queue: Queue, handler: str = "batches.queue", **mapping: Any) -> dict[str, Any]:
    environment = {"NOTES": str(tmp_path / "notes")}
    return {"work": function(handler, environment=environment, event_sources=[source(queue, **mapping)])}


def test_messages_are_handled_and_deleted(aws: str, queues: list[Queue], tmp_path: Path) -> None:
    queues.append(queue := Queue(aws))
    bodies = [f"message {number}" for number in range(25)]
    queue.send(*bodies)
    with running_host(tmp_path, consumer(tmp_path, queue)):
        queue.drained()
    batches = notes(tmp_path / "notes")
    assert sorted(body for batch in batches for body in batch) == sorted(bodies)
    assert max(map(len, batches)) <= 10


def test_messages_that_no_filter_lets_pass_are_deleted(aws: str, queues: list[Queue], tmp_path: Path) -> None:
    queues.append(queue := Queue(aws))
    queue.send(*(json.dumps({"n": number}) for number in range(12)), "no JSON")
    pattern = json.dumps({"body": {"n": [{"numeric": [">=", 6]}]}})
    with running_host(tmp_path, consumer(tmp_path, queue, filter_criteria=[pattern], batch_size=4)):
        queue.drained()
    batches = notes(tmp_path / "notes")
    assert sorted(json.loads(body)["n"] for batch in batches for body in batch) == list(range(6, 12))
    assert max(map(len, batches)) <= 4


def test_the_event_is_what_lambda_sends(aws: str, queues: list[Queue], tmp_path: Path) -> None:
    """Powertools' model, made from AWS's documentation, takes it."""
    queues.append(queue := Queue(aws))
    queue.send(
        "hello",
        MessageAttributes={
            "kind": {"DataType": "String", "StringValue": "greeting"},
            "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
    )
    with running_host(tmp_path, consumer(tmp_path, queue, "batches.raw")):
        queue.drained()
    (event,) = notes(tmp_path / "notes")
    (record,) = SqsModel.model_validate(event).Records
    assert (record.body, record.eventSourceARN, record.awsRegion) == ("hello", queue.arn, "us-east-1")
    assert event["Records"][0]["messageAttributes"]["raw"] == {
        "binaryValue": "AP8=", "dataType": "Binary", "stringListValues": [], "binaryListValues": [],
    }  # fmt: skip
    assert event["Records"][0]["attributes"]["ApproximateReceiveCount"] == "1"


def test_a_reported_failure_comes_again_and_the_others_do_not(aws: str, queues: list[Queue], tmp_path: Path) -> None:
    queues.append(queue := Queue(aws, visibility=2))
    queue.send("good 1", "bad", "good 2")
    mapping = {"function_response_types": ["ReportBatchItemFailures"]}
    with running_host(tmp_path, consumer(tmp_path, queue, **mapping)):
        eventually(lambda: queue.left() == 1, "the good ones are not deleted")
        before = _seen(tmp_path)["bad"]
        eventually(lambda: _seen(tmp_path)["bad"] > before, "the bad one does not come again")
        assert notes(tmp_path / "notes")[-1] == ["bad"]
    assert queue.left() == 1


def _seen(tmp_path: Path) -> Counter[str]:
    return Counter(body for batch in notes(tmp_path / "notes") for body in batch)


def test_without_the_setting_a_report_is_ignored(aws: str, queues: list[Queue], tmp_path: Path) -> None:
    queues.append(queue := Queue(aws))
    queue.send("bad")
    with running_host(tmp_path, consumer(tmp_path, queue)):
        queue.drained()
    assert _seen(tmp_path) == {"bad": 1}


def test_a_poisoned_message_ends_in_the_dead_letter_queue(aws: str, queues: list[Queue], tmp_path: Path) -> None:
    queues.append(dead := Queue(aws))
    redrive = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": "2"})
    queues.append(queue := Queue(aws, visibility=1, RedrivePolicy=redrive))
    queue.send("poison")
    with running_host(tmp_path, consumer(tmp_path, queue, batch_size=1)):
        eventually(lambda: dead.left() == 1, "it is not moved")
        queue.send("good")
        queue.drained()
    assert _seen(tmp_path)["poison"] == 2


def test_a_window_gathers_a_batch(aws: str, queues: list[Queue], tmp_path: Path) -> None:
    queues.append(queue := Queue(aws))
    bodies = [str(number) for number in range(30)]
    queue.send(*bodies)
    mapping = {"batch_size": 100, "maximum_batching_window_in_seconds": 2}
    with running_host(tmp_path, consumer(tmp_path, queue, **mapping)):
        queue.drained()
    assert [sorted(batch) for batch in notes(tmp_path / "notes")] == [sorted(bodies)]


def test_a_fifo_queue_keeps_its_order(aws: str, queues: list[Queue], tmp_path: Path) -> None:
    queues.append(queue := Queue(aws, FifoQueue="true", ContentBasedDeduplication="true"))
    for number in range(12):
        queue.send(f"{number:02}", MessageGroupId="a")
    with running_host(tmp_path, consumer(tmp_path, queue, batch_size=3)):
        queue.drained()
    assert [body for batch in notes(tmp_path / "notes") for body in batch] == [f"{n:02}" for n in range(12)]


def test_a_throttled_batch_waits_and_is_not_lost(aws: str, queues: list[Queue], tmp_path: Path) -> None:
    queues.append(queue := Queue(aws))
    queue.send(*(str(number) for number in range(20)))
    functions = consumer(tmp_path, queue, batch_size=2)
    functions["work"]["reserved_concurrency"] = 1
    with running_host(tmp_path, functions):
        queue.drained()
    assert _seen(tmp_path) == {str(number): 1 for number in range(20)}


def test_mappings_through_the_api_outlive_a_restart(aws: str, queues: list[Queue], tmp_path: Path) -> None:
    queues.append(queue := Queue(aws))
    functions = {"work": function("batches.queue", environment={"NOTES": str(tmp_path / "notes")})}
    with running_host(tmp_path, functions) as host:
        made = host.client.create_event_source_mapping(
            EventSourceArn=queue.arn,
            FunctionName="work",
            BatchSize=5,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
        with pytest.raises(host.client.exceptions.ResourceConflictException):
            host.client.create_event_source_mapping(EventSourceArn=queue.arn, FunctionName="work")
        queue.send("before")
        queue.drained()
    with running_host(tmp_path, functions) as host:
        (found,) = host.client.list_event_source_mappings(FunctionName="work")["EventSourceMappings"]
        assert (found["UUID"], found["BatchSize"], found["State"]) == (made["UUID"], 5, "Enabled")
        queue.send("after")
        queue.drained()
        paused = host.client.update_event_source_mapping(UUID=made["UUID"], Enabled=False, BatchSize=3)
        assert (paused["BatchSize"], paused["State"]) == (3, "Updating")
        assert host.client.get_event_source_mapping(UUID=made["UUID"])["State"] == "Disabled"
        with pytest.raises(host.client.exceptions.InvalidParameterValueException):
            host.client.update_event_source_mapping(UUID=made["UUID"], BatchSize=11)
        assert host.client.delete_event_source_mapping(UUID=made["UUID"])["State"] == "Deleting"
        with pytest.raises(host.client.exceptions.ResourceNotFoundException):
            host.client.get_event_source_mapping(UUID=made["UUID"])
        queue.send("too late")
        assert host.client.list_event_source_mappings()["EventSourceMappings"] == []
    assert queue.left() == 1
    assert _seen(tmp_path) == {"before": 1, "after": 1}


def test_a_queue_that_is_not_there_yet_is_polled_once_it_is(aws: str, queues: list[Queue], tmp_path: Path) -> None:
    name = unique("late")
    environment = {"NOTES": str(tmp_path / "notes")}
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    functions = {"work": function("batches.queue", environment=environment, event_sources=[{"event_source_arn": arn}])}
    with running_host(tmp_path, functions):
        sqs = client("sqs", aws)
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="one")
        eventually(lambda: _seen(tmp_path) == {"one": 1}, "it is not polled")
        sqs.close()
