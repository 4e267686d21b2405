"""Storage first before a real MiniStack: what is answered 202 is there, under the id that the client has got."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from aws_endpoint import client, unique
from table_gateway import gateway_with
from wire import connect

from proxy.functions.embedded_aws import REGION, aws_environment, embedded_aws

ACCOUNT = "000000000000"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nX-Key: k-7\r\nContent-Length: %d\r\n\r\n%s"
EVENT = {"user": 7}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with embedded_aws() as address:
        yield address


def put(endpoint: str, monkeypatch: pytest.MonkeyPatch, subtype: str, **parameters: str) -> tuple[int, dict[str, Any]]:
    """Send one event through a gateway; return the status and the answer."""
    for name, value in aws_environment(endpoint).items():
        monkeypatch.setenv(name, value)
    event = {"integration_subtype": subtype, "request_parameters": parameters}
    live = gateway_with(json.dumps({"targets": {"local": {"event": event, "endpoint": endpoint}}}))
    body = json.dumps(EVENT).encode()
    with connect(live.port) as sender:
        sender.send(POST % (len(body), body))
        response = sender.response()
    live.close()
    return response.status, json.loads(response.body)


class Queue:
    """A queue that is read."""

    def __init__(self, endpoint: str) -> None:
        self._sqs = client("sqs", endpoint)
        name = unique("events")
        self.url: str = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"

    def message(self) -> dict[str, Any]:
        (message,) = self._sqs.receive_message(QueueUrl=self.url, WaitTimeSeconds=20)["Messages"]
        return dict(message)


def test_in_a_queue(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(endpoint)
    status, answer = put(endpoint, monkeypatch, "SQS-SendMessage", QueueUrl=queue.url, MessageBody="$request.body")

    message = queue.message()
    assert (status, answer) == (202, {"id": message["MessageId"]})
    assert json.loads(message["Body"]) == EVENT


def test_behind_a_topic(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, sns = Queue(endpoint), client("sns", endpoint)
    topic = sns.create_topic(Name=unique("events"))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn)
    status, answer = put(endpoint, monkeypatch, "SNS-Publish", TopicArn=topic, Message="$request.body")

    notification = json.loads(queue.message()["Body"])
    assert (status, answer) == (202, {"id": notification["MessageId"]})
    assert json.loads(notification["Message"]) == EVENT


def test_behind_a_bus(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, events, name = Queue(endpoint), client("events", endpoint), unique("events")
    events.create_event_bus(Name=name)
    events.put_rule(Name="all", EventBusName=name, EventPattern='{"source": ["shop"]}')
    events.put_targets(Rule="all", EventBusName=name, Targets=[{"Id": "queue", "Arn": queue.arn}])
    parameters = {"Source": "shop", "DetailType": "clicked", "Detail": "$request.body", "EventBusName": name}
    status, answer = put(endpoint, monkeypatch, "EventBridge-PutEvents", **parameters)

    event = json.loads(queue.message()["Body"])
    assert (status, answer) == (202, {"id": event["id"]})
    assert event["detail"] == EVENT


def test_in_a_stream(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kinesis, name = client("kinesis", endpoint), unique("events")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    parameters = {"StreamName": name, "Data": "$request.body", "PartitionKey": "$request.header.x-key"}
    status, answer = put(endpoint, monkeypatch, "Kinesis-PutRecord", **parameters)

    (shard,) = kinesis.list_shards(StreamName=name)["Shards"]
    iterator = kinesis.get_shard_iterator(StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    (record,) = kinesis.get_records(ShardIterator=iterator)["Records"]
    assert (status, answer) == (202, {"id": record["SequenceNumber"]})
    assert (record["PartitionKey"], json.loads(record["Data"])) == ("k-7", EVENT)


NOWHERE = {
    "SQS-SendMessage": {"QueueUrl": "http://127.0.0.1/000000000000/absent", "MessageBody": "$request.body"},
    "SNS-Publish": {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:absent", "Message": "$request.body"},
    "Kinesis-PutRecord": {"StreamName": "absent", "Data": "$request.body", "PartitionKey": "k"},
}


@pytest.mark.parametrize("subtype", NOWHERE)
def test_nothing_is_kept_where_nothing_is(endpoint: str, monkeypatch: pytest.MonkeyPatch, subtype: str) -> None:
    status, _ = put(endpoint, monkeypatch, subtype, **NOWHERE[subtype])
    assert status == 500
