"""Messages and records as events of Lambda (SQS API; Kinesis API); pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})


def sqs_record(message: dict[str, Any], queue_arn: str) -> dict[str, Any]:
    """A message as ReceiveMessage gives it, as a record of the event."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {
            name: _message_attribute(value) for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }


def _message_attribute(value: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        shown["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        shown["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return shown


def kinesis_record(record: dict[str, Any], shard: str, stream_arn: str) -> dict[str, Any]:
    """A record as GetRecords gives it, as a record of the event."""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": arrival(record),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::{stream_arn.split(':')[4]}:role/lambda",
        "awsRegion": stream_arn.split(":")[3],
        "eventSourceARN": stream_arn,
    }


def arrival(record: dict[str, Any]) -> float:
    """When a record came, in seconds since the epoch."""
    arrived = record["ApproximateArrivalTimestamp"]
    return round(arrived.timestamp() if isinstance(arrived, datetime) else float(arrived), 3)


def payload(records: Sequence[dict[str, Any]], members: Mapping[str, Any] = NOTHING) -> bytes:
    """Records as the event of one invocation, with further members beside them."""
    return json.dumps({"Records": records, **members}, separators=(",", ":"), ensure_ascii=False).encode()


def size(record: dict[str, Any]) -> int:
    """How many bytes a record adds to the event."""
    return len(json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()) + 1
