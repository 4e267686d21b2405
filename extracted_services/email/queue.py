"""The team's queue, in five calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from extracted_services.email.message import Message, message_of

LONG_POLL_SECONDS = 20
BATCH = 10
"""The most that one call takes (SQS API)."""


class QueueError(Exception):
    """A call failed; the text says which and why."""


class Queue:
    """One SQS queue. Safe to use from several threads."""

    def __init__(self, name: str) -> None:
        self._name = name
        try:
            self._sqs: Any = boto3.client("sqs")
        except (BotoCoreError, ValueError) as error:  # no region, no such profile; an endpoint that is no address
            raise QueueError(f"queue {name}: {error}") from error
        self._url = self._call("get_queue_url", QueueName=name)["QueueUrl"]
        attributes = self._attributes("VisibilityTimeout")
        self.visibility_seconds = int(attributes["VisibilityTimeout"])

    def receive(self, wait_seconds: int = LONG_POLL_SECONDS) -> list[Message]:
        """Up to `BATCH` messages, none after `wait_seconds`."""
        answer = self._call(
            "receive_message",
            QueueUrl=self._url,
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=wait_seconds,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["ApproximateReceiveCount", "AWSTraceHeader"],
        )
        return [message_of(received) for received in answer.get("Messages", ())]

    def delete(self, messages: Sequence[Message]) -> list[str]:
        """Delete them; return the ids of those that are not deleted, and so come again."""
        if not messages:
            return []
        answer = self._call("delete_message_batch", QueueUrl=self._url, Entries=_entries(messages))
        return [messages[int(failed["Id"])].message_id for failed in answer.get("Failed", ())]

    def hide(self, messages: Sequence[Message], seconds: int) -> None:
        """Keep them from being received for so long, counted from now (SQS API); 0: they may come at once."""
        if messages:
            entries = [{**entry, "VisibilityTimeout": seconds} for entry in _entries(messages)]
            self._call("change_message_visibility_batch", QueueUrl=self._url, Entries=entries)

    def _attributes(self, *names: str) -> dict[str, str]:
        attributes: dict[str, str] = self._call("get_queue_attributes", QueueUrl=self._url, AttributeNames=list(names))[
            "Attributes"
        ]
        return attributes

    def _call(self, operation: str, **parameters: Any) -> Any:
        try:
            return getattr(self._sqs, operation)(**parameters)
        except ClientError as error:
            raise QueueError(f"queue {self._name}: {operation}: {error.response['Error']['Code']}") from error
        except Exception as error:
            raise QueueError(f"queue {self._name}: {operation}: {type(error).__name__}") from error


def _entries(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"Id": str(number), "ReceiptHandle": each.receipt_handle} for number, each in enumerate(messages)]
