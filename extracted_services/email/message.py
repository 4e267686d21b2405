"""From a message of the queue to what the mail needs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

USER_SIGNED_UP = "user.signed_up"

_EVENT_ID = re.compile(r"[0-9a-zA-Z-]{1,64}")
_ADDRESS = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f]{1,253}")
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")
_ROOT = re.compile(r"(?:^|;)\s*Root=1-([0-9a-f]{8})-([0-9a-f]{24})(?:;|$)")


class MalformedError(ValueError):
    """The message is no event of ours and never will be; the text repeats nothing of it."""


class Message(NamedTuple):
    """A received message; the receipt handle stands for this one receipt of it."""

    message_id: str
    receipt_handle: str
    body: str
    receive_count: int
    trace_id: str


class SignedUp(NamedTuple):
    """A user who has signed up."""

    event_id: str
    email: str
    name: str


def message_of(received: Mapping[str, Any]) -> Message:
    """Read what ReceiveMessage gives (SQS API); its numbers are texts."""
    system = received.get("Attributes", {})
    attributes = {
        name.lower(): value.get("StringValue", "") for name, value in received.get("MessageAttributes", {}).items()
    }
    return Message(
        message_id=received["MessageId"],
        receipt_handle=received["ReceiptHandle"],
        body=received["Body"],
        receive_count=int(system.get("ApproximateReceiveCount", "1")),
        trace_id=trace_id_of({"x-amzn-trace-id": system.get("AWSTraceHeader", ""), **attributes}),
    )


def trace_id_of(attributes: Mapping[str, str]) -> str:
    """The W3C trace id (32 hex digits) of `traceparent`, else of `x-amzn-trace-id`, else empty (X-Ray guide)."""
    if match := _TRACEPARENT.fullmatch(attributes.get("traceparent", "")):
        return match[1]
    match = _ROOT.search(attributes.get("x-amzn-trace-id", ""))
    return match[1] + match[2] if match else ""


def signed_up_of(body: str) -> SignedUp:
    """Read the event; fields that this team does not know are the user team's to add.

    Raises:
        MalformedError
    """
    try:
        content = json.loads(body)
        if content["type"] != USER_SIGNED_UP:
            raise MalformedError("the event has another type")
        event_id, data = content["id"], content["data"]
        email, name = data["email"], data["name"]
    except (ValueError, RecursionError) as error:
        raise MalformedError("the body is no JSON" if not isinstance(error, MalformedError) else str(error)) from None
    except (KeyError, TypeError):
        raise MalformedError("the event lacks a field of user.signed_up") from None
    for field, value, pattern in (("id", event_id, _EVENT_ID), ("email", email, _ADDRESS), ("name", name, _LINE)):
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise MalformedError(f"the event's {field} is not one")
    return SignedUp(event_id, email, name)
