"""Storage first: a request is put on a bus, a queue, a topic or a stream, and answered when it is kept there.

A client gets its 202 only with the id that the service gave the event. Everything else is an error to the client, an
entry that EventBridge refuses within a 200 too (API Gateway guide; EventBridge API).
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from proxy.config.events import SUBTYPES
from proxy.config.model import EventConfig, EventSubtype
from proxy.errors import IntegrationError
from proxy.integrations.mapping import BadValueError, value_of
from proxy.integrations.message import JSON, Answer, HttpRequest, Reply
from proxy.integrations.service import Service
from proxy.strict_json import json_value

MIB: Final = 1024 * 1024
MAX_DETAIL_TYPE: Final = 128
"""Characters (EventBridge API, PutEventsRequestEntry); refused here, since not all that stands in for a bus does."""
_MESSAGES: Final = {
    400: "Bad Request",
    413: "Request Too Long",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Endpoint request timed out",
}

Values = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Put:
    """How one subtype is called.

    Attributes:
        service, variable: The service's name in signatures, and in AWS_ENDPOINT_URL_<NAME>.
        headers: Of the call.
        max_bytes: Most that `measured` may have together.
        payload: The call's body.
        id_of: The id in a reply, None if there is none; raise `IntegrationError` where the reply says no.
    """

    service: str
    variable: str
    headers: Mapping[str, str]
    max_bytes: int
    measured: tuple[str, ...]
    payload: Callable[[Values], bytes]
    id_of: Callable[[bytes], str | None]


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BadValueError("it is not UTF-8") from error


def _texts(values: Values) -> dict[str, Any]:
    return {name: _text(value) for name, value in values.items()}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _put_events(values: Values) -> bytes:
    """The entry; a Detail that is no JSON object is refused here, since not all that stands in for a bus does."""
    entry = _texts(values)
    try:
        is_object = isinstance(json_value(entry["Detail"]), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise BadValueError("Detail is not a JSON object")
    if len(entry["DetailType"]) > MAX_DETAIL_TYPE:
        raise BadValueError(f"DetailType has more than {MAX_DETAIL_TYPE} characters")
    if "Resources" in entry:
        entry["Resources"] = entry["Resources"].split(",")
    if "Time" in entry:
        if not re.fullmatch(r"[0-9]{1,12}(?:\.[0-9]{1,6})?", entry["Time"]):
            raise BadValueError("Time is not in seconds since 1970")
        entry["Time"] = float(entry["Time"])
    return _json({"Entries": [entry]})


def _event_id(payload: bytes) -> str | None:
    """The event's id. A refused entry comes with HTTP 200."""
    reply = _object(payload)
    entries = reply.get("Entries")
    entry = entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], dict) else {}
    if reply.get("FailedEntryCount") or entry.get("ErrorCode"):
        raise _refusal(400, str(entry.get("ErrorCode") or "InternalFailure"))
    return _string(entry.get("EventId"))


def _send_message(values: Values) -> bytes:
    call = _texts(values)
    if "DelaySeconds" in call:
        if not re.fullmatch(r"[0-9]{1,4}", call["DelaySeconds"]):
            raise BadValueError("DelaySeconds is not a number")
        call["DelaySeconds"] = int(call["DelaySeconds"])
    return _json(call)


def _message_id(payload: bytes) -> str | None:
    return _string(_object(payload).get("MessageId"))


def _publish(values: Values) -> bytes:
    return urlencode({"Action": "Publish", "Version": "2010-03-31", **_texts(values)}).encode()


def _published_id(payload: bytes) -> str | None:
    match = re.search(rb"<MessageId>([^<]{1,200})</MessageId>", payload)
    return match[1].decode("latin-1") if match else None


def _put_record(values: Values) -> bytes:
    others = {name: value for name, value in values.items() if name != "Data"}
    return _json({**_texts(others), "Data": base64.b64encode(values["Data"]).decode()})


def _sequence_number(payload: bytes) -> str | None:
    return _string(_object(payload).get("SequenceNumber"))


def _headers(target: str, version: str) -> dict[str, str]:
    return {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": target}


PUTS: Final[Mapping[EventSubtype, Put]] = {
    "EventBridge-PutEvents": Put(
        "events",
        "EVENTBRIDGE",
        _headers("AWSEvents.PutEvents", "1.1"),
        MIB - 1,
        ("Source", "DetailType", "Detail", "Resources"),
        _put_events,
        _event_id,
    ),
    "SQS-SendMessage": Put(
        "sqs", "SQS", _headers("AmazonSQS.SendMessage", "1.0"), MIB, ("MessageBody",), _send_message, _message_id
    ),
    "SNS-Publish": Put(
        "sns",
        "SNS",
        {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
        256 * 1024,
        ("Message",),
        _publish,
        _published_id,
    ),
    "Kinesis-PutRecord": Put(
        "kinesis",
        "KINESIS",
        _headers("Kinesis_20131202.PutRecord", "1.1"),
        MIB,
        ("Data", "PartitionKey"),
        _put_record,
        _sequence_number,
    ),
}
"""By `integration_subtype`. Limits are those of AWS quotas."""


class EventIntegration:
    """Requests that are put where they are kept."""

    prefix = "Event."
    is_repeatable = True
    """At least once: all that takes an event may get it twice."""
    max_body_bytes = MIB
    max_reply_bytes = 256 * 1024
    timeout_seconds = 30.0

    def __init__(self, config: EventConfig, environ: Mapping[str, str]) -> None:
        self.config = config
        self._put = put = PUTS[config.subtype]
        self.service = Service.of(put.service, environ, url=config.endpoint, variable=put.variable)
        self._required = SUBTYPES[config.subtype].required

    def ask(self, request: HttpRequest) -> bytes:
        values = self._values(request)
        size = sum(len(values.get(name, b"")) for name in self._put.measured)
        if size > self._put.max_bytes:
            message = f"the event has {size} bytes, {self._put.max_bytes} may be"
            raise self.told(IntegrationError("Event.RequestTooLarge", message, status=413))
        try:
            payload = self._put.payload(values)
        except BadValueError as error:
            raise self._bad(f"the event cannot be sent: {error}") from error
        headers = dict(self._put.headers)
        trace_id = request.value(b"x-amzn-trace-id")
        if trace_id:
            headers["X-Amzn-Trace-Id"] = trace_id.decode("latin-1")
        return self.service.post("/", headers, payload)

    def answer(self, reply: Reply) -> Answer:
        if reply.status < 400 and reply.status != 200:
            raise IntegrationError("Event.InvalidResponse", f"{self.config.subtype} answered {reply.status}")
        if reply.status != 200:
            raise _refusal(reply.status, _error_code(reply))
        event_id = self._put.id_of(reply.payload)
        if event_id is None:
            raise IntegrationError("Event.InvalidResponse", f"{self.config.subtype} answered 200 without an id")
        return Answer(202, [(b"Content-Type", JSON)], _json({"id": event_id}))

    def told(self, error: IntegrationError) -> IntegrationError:
        """The error with a body that says what the client may know."""
        if error.answer is None:
            message = _MESSAGES.get(error.status, "Internal Server Error")
            error.answer = (((b"Content-Type", JSON),), _json({"message": message}))
        return error

    def _values(self, request: HttpRequest) -> dict[str, bytes]:
        """The parameters of the call; those that the request has nothing for are left out."""
        request_id = str(uuid.uuid4())
        values: dict[str, bytes] = {}
        for name, expression in self.config.parameters:
            try:
                value = value_of(expression, request, request_id)
            except BadValueError as error:
                raise self._bad(f"{name}: {error}") from error
            if value is not None:
                values[name] = value
        missing = [name for name in self._required if not values.get(name)]
        if missing:
            raise self._bad(f"the request has nothing for {', '.join(missing)}")
        return values

    def _bad(self, why: str) -> IntegrationError:
        """The client's own fault, of which it may know everything."""
        error = IntegrationError("Event.BadRequest", why, status=400)
        error.answer = (((b"Content-Type", JSON),), _json({"message": why}))
        return error


def _refusal(status: int, code: str) -> IntegrationError:
    """What the client is told of the service's error: whether to come again, or to send something else."""
    if _THROTTLES.search(code) or status == 429:
        return IntegrationError("Event.Throttled", f"the service is asked too often: {code}", status=503)
    if status >= 500 or _FAILS.search(code):
        return IntegrationError("Event.ServiceException", f"the service answered {status} {code}", status=503)
    if _NOT_OURS.search(code) or status in (401, 403, 404):
        return IntegrationError("Event.AccessDenied", f"the service answered {status} {code}", status=500)
    return IntegrationError("Event.Refused", f"the service refused the event: {status} {code}", status=400)


_THROTTLES: Final = re.compile(r"Throttl|ThroughputExceeded|TooManyRequests|RequestLimit|LimitExceeded|OverLimit")
_FAILS: Final = re.compile(r"InternalFailure|InternalError|InternalException|ServiceUnavailable|ServiceFailure")
_NOT_OURS: Final = re.compile(
    r"AccessDenied|NotAuthorized|AuthorizationError|Signature|Credential|Token|UnrecognizedClient|NotFound|NonExistent"
    r"|DoesNotExist|KMS"
)
_ERROR_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9.]{1,100})</Code>")


def _error_code(reply: Reply) -> str:
    """The error's name, in JSON or in XML; empty if there is none."""
    match = _ERROR_CODE.search(reply.payload)
    if match:
        return match[1].decode()
    try:
        kind = _object(reply.payload).get("__type", "")
    except IntegrationError:
        kind = reply.fields.get(b"x-amzn-errortype", b"").decode("latin-1").partition(":")[0]
    return str(kind).rpartition("#")[2][:100]


def _object(payload: bytes) -> dict[str, Any]:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise IntegrationError("Event.InvalidResponse", "the service answered no JSON object")
    return value


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
