"""What destinations and dead-letter queues are told; pure (Lambda guide)."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any

from proxy.functions.logs import timestamp
from proxy.functions.model import VERSION
from proxy.functions.retry import SUCCESS, QueuedEvent
from proxy.strict_json import json_value

MAX_ERROR_MESSAGE_BYTES = 1024
"""What a dead-letter queue's attribute ErrorMessage has room for."""
_NOT_IN_MESSAGES = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What a queue refuses (SQS API, SendMessage). An exception may say it, and would never be told of."""


def invocation_record(event: QueuedEvent, function_arn: str, now: float) -> dict[str, Any]:
    """The invocation record of an event that is over.

    An event that never ran, being too old, has neither `responseContext` nor `responsePayload`.
    """
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": timestamp(now),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": f"{function_arn}:{VERSION}",
            "condition": event.condition,
            "approximateInvokeCount": event.attempts,
        },
        "requestPayload": _json(event.payload),
    }
    if event.response is not None:
        context: dict[str, Any] = {"statusCode": 200, "executedVersion": VERSION}
        if event.failed:
            context["functionError"] = "Unhandled"
        record |= {"responseContext": context, "responsePayload": _json(event.response)}
    return record


def event_bus_entry(record: dict[str, Any], function_arn: str, bus_arn: str) -> dict[str, Any]:
    """An invocation record as an entry of PutEvents."""
    result = "Success" if record["requestContext"]["condition"] == SUCCESS else "Failure"
    return {
        "Source": "lambda",
        "DetailType": f"Lambda Function Invocation Result - {result}",
        "Resources": [f"{function_arn}:{VERSION}"],
        "Detail": json.dumps(record),
        "EventBusName": bus_arn,
    }


def dead_letter_attributes(event: QueuedEvent) -> dict[str, dict[str, str]]:
    """The message attributes beside the bare event in a dead-letter queue or topic."""
    response = _json(event.response) if event.response is not None else None
    message = response.get("errorMessage") if isinstance(response, dict) else None
    text = _NOT_IN_MESSAGES.sub("\ufffd", str(message or event.condition))
    text = text.encode()[:MAX_ERROR_MESSAGE_BYTES].decode("utf-8", "ignore")
    return {
        "RequestID": {"DataType": "String", "StringValue": event.request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": "200" if event.attempts else "429"},
        "ErrorMessage": {"DataType": "String", "StringValue": text},
    }


def batch_record(
    *,
    request_id: str,
    function_arn: str,
    condition: str,
    attempts: int,
    failed: bool,
    batch: dict[str, Any],
    now: float,
    payload: bytes | None = None,
) -> dict[str, Any]:
    """What an on-failure destination of a stream is told: where the records are, and not what is in them.

    Args:
        payload: The event after all, for a bucket, which has room for it.
    """
    record: dict[str, Any] = {
        "requestContext": {
            "requestId": request_id,
            "functionArn": function_arn,
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "version": "1.0",
        "timestamp": timestamp(now),
        "KinesisBatchInfo": batch,
    }
    if attempts:
        context: dict[str, Any] = {"statusCode": 200, "executedVersion": VERSION}
        if failed:
            context["functionError"] = "Unhandled"
        record["responseContext"] = context
    if payload is not None:
        record["payload"] = payload.decode()
    return record


def object_key(folder: str, now: float) -> str:
    """The key of a record in a bucket: aws/lambda/FOLDER/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-UUID (Lambda guide)."""
    return f"aws/lambda/{folder}/{datetime.fromtimestamp(now, UTC):%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"


def _json(payload: bytes) -> Any:
    """The JSON value; what is none as text, also NaN and Infinity, which Python writes and no other reads."""
    try:
        return json_value(payload)
    except ValueError:
        return payload.decode("utf-8", "replace")
