"""What destinations and dead-letter queues are told (Lambda guide)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from proxy.functions.records import batch_record, dead_letter_attributes, event_bus_entry, invocation_record
from proxy.functions.retry import QueuedEvent

ARN = "arn:aws:lambda:us-east-1:000000000000:function:resize"
OVER = QueuedEvent(
    "7e7c0d43", "resize", b'{"key":"a.jpg"}', "Root=1", 0, 0, attempts=3, condition="RetriesExhausted",
    response=b'{"errorMessage":"no such key","errorType":"KeyError"}', failed=True,
)  # fmt: skip


def record(event: QueuedEvent) -> dict[str, Any]:
    return invocation_record(event, ARN, 1_573_755_365.568)


def test_a_failure() -> None:
    assert record(OVER) == {
        "version": "1.0",
        "timestamp": "2019-11-14T18:16:05.568Z",
        "requestContext": {
            "requestId": "7e7c0d43",
            "functionArn": f"{ARN}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"key": "a.jpg"},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorMessage": "no such key", "errorType": "KeyError"},
    }


def test_a_success() -> None:
    told = record(replace(OVER, attempts=1, condition="Success", response=b"null", failed=False))
    assert told["requestContext"]["condition"] == "Success"
    assert told["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
    assert told["responsePayload"] is None


def test_one_that_never_ran() -> None:
    told = record(replace(OVER, attempts=0, condition="EventAgeExceeded", response=None, failed=False))
    assert told["requestContext"]["approximateInvokeCount"] == 0
    assert "responseContext" not in told
    assert "responsePayload" not in told


@pytest.mark.parametrize(("condition", "word"), [("Success", "Success"), ("EventAgeExceeded", "Failure")])
def test_on_a_bus(condition: str, word: str) -> None:
    entry = event_bus_entry(record(replace(OVER, condition=condition)), ARN, "arn:bus")
    assert (entry["Source"], entry["DetailType"]) == ("lambda", f"Lambda Function Invocation Result - {word}")


@pytest.mark.parametrize(
    ("event", "attributes"),
    [
        (OVER, ("7e7c0d43", "200", "no such key")),
        (replace(OVER, response=b'{"errorMessage":"%s"}' % (b"\xc3\xbc" * 1000)), ("7e7c0d43", "200", "ü" * 512)),
        (replace(OVER, response=None, attempts=0), ("7e7c0d43", "429", "RetriesExhausted")),
    ],
    ids=["the error's message", "at most 1 KB of it, in whole characters", "the condition when it never ran"],
)
def test_beside_a_dead_letter(event: QueuedEvent, attributes: tuple[str, str, str]) -> None:
    given = dead_letter_attributes(event)
    assert tuple(given[name]["StringValue"] for name in ("RequestID", "ErrorCode", "ErrorMessage")) == attributes


def test_of_a_batch_there_is_no_data() -> None:
    told = batch_record(
        request_id="r", function_arn=ARN, condition="RetryAttemptsExhausted", attempts=2, failed=True,
        batch={"shardId": "shardId-000000000000"}, now=0.0,
    )  # fmt: skip
    assert told == {
        "version": "1.0",
        "timestamp": "1970-01-01T00:00:00.000Z",
        "requestContext": {
            "requestId": "r",
            "functionArn": ARN,
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 2,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "KinesisBatchInfo": {"shardId": "shardId-000000000000"},
    }


@pytest.mark.parametrize(
    ("said", "told"),
    [("no \ud800 key", "no \ufffd key"), ("\x1b[31mred\x00", "\ufffd[31mred\ufffd"), ("a\tb\n\u00e9\U0001f600", None)],
    ids=["half a character", "control characters", "what a queue takes"],
)
def test_a_dead_letter_says_only_what_a_queue_takes(said: str, told: str | None) -> None:
    event = replace(OVER, response=json.dumps({"errorMessage": said}).encode())
    assert dead_letter_attributes(event)["ErrorMessage"]["StringValue"] == (told or said)


def test_a_result_that_only_python_reads_is_text() -> None:
    told = record(replace(OVER, condition="Success", response=b'{"mean": NaN}', failed=False))
    assert told["responsePayload"] == '{"mean": NaN}'
