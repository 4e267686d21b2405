"""From a message of the queue to what the mail needs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from extracted_services.email.tracing import Trace, trace_of

USER_SIGNED_UP = "user.signed_up"

_EVENT_ID = re.compile(r"[0-9a-zA-Z-]{1,64}")
_ADDRESS = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f]{1,253}")
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


class MalformedError(ValueError):
    """The message is no event of ours and never will be; the text repeats nothing of it."""


class Message(NamedTuple):
    """A received message; the receipt handle stands for this one receipt of it."""

    message_id: str
    receipt_handle: str
    body: str
    receive_count: int
    trace: Trace


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
        trace=trace_of({"x-amzn-trace-id": system.get("AWSTraceHeader", ""), **attributes}),
    )


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
