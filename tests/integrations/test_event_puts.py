"""Storage first, without sockets: calls are botocore's, and only an id is an acknowledgement."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.model import EventConfig, EventSubtype
from proxy.errors import IntegrationError
from proxy.integrations.event import EventIntegration
from proxy.integrations.message import HttpRequest, Reply

CALLS: dict[EventSubtype, tuple[str, str]] = {
    "EventBridge-PutEvents": ("events", "put_events"),
    "SQS-SendMessage": ("sqs", "send_message"),
    "SNS-Publish": ("sns", "publish"),
    "Kinesis-PutRecord": ("kinesis", "put_record"),
}
PARAMETERS: dict[EventSubtype, dict[str, str]] = {
    "EventBridge-PutEvents": {
        "Source": "shop.signup",
        "DetailType": "user.signed_up",
        "Detail": "$request.body",
        "EventBusName": "users",
        "Resources": "a,b",
        "TraceHeader": "Root=1-2-3",
    },
    "SQS-SendMessage": {"QueueUrl": "http://q/1/mails", "MessageBody": "$request.body", "DelaySeconds": "5"},
    "SNS-Publish": {"TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": "$request.body", "Subject": "hello & bye"},
    "Kinesis-PutRecord": {
        "StreamName": "clicks",
        "Data": "$request.body",
        "PartitionKey": "$context.identity.sourceIp",
    },
}


def put(subtype: EventSubtype, **parameters: str) -> EventIntegration:
    config = EventConfig(subtype, tuple((parameters or PARAMETERS[subtype]).items()), "http://127.0.0.1:1")
    return EventIntegration(config, {})


def sent(data: bytes) -> tuple[dict[str, str], bytes]:
    head, _, payload = data.partition(b"\r\n\r\n")
    lines = [line.decode().partition(": ") for line in head.split(b"\r\n")[1:]]
    return {name.lower(): value for name, _, value in lines}, payload


@cache
def recording_client(subtype: EventSubtype) -> tuple[Any, list[Any]]:
    """A client of the SDK, and the requests that it would have sent."""
    service, _ = CALLS[subtype]
    session = botocore.session.Session()
    session.set_credentials("a", "b")
    client = session.create_client(service, region_name="us-east-1", endpoint_url="http://127.0.0.1:1")
    requests: list[Any] = []

    def take(request: Any, **_: Any) -> AWSResponse:
        requests.append(request)
        response = AWSResponse(request.url, 200, {}, None)
        empty = b"<PublishResponse><PublishResult/></PublishResponse>" if service == "sns" else b"{}"
        response._content = empty  # type: ignore[attr-defined]
        return response

    client.meta.events.register(f"before-send.{service}.*", take)
    return client, requests


def botocore_sends(subtype: EventSubtype, parameters: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    """What the SDK puts on the wire for these parameters."""
    client, requests = recording_client(subtype)
    getattr(client, CALLS[subtype][1])(**parameters)
    request = requests.pop()
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
    }
    return headers, request.body if isinstance(request.body, bytes) else request.body.encode()


@settings(deadline=None)
@given(body=st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3).map(json.dumps))
@pytest.mark.parametrize("subtype", CALLS)
def test_a_call_is_what_botocore_would_send(subtype: EventSubtype, body: str) -> None:
    request = HttpRequest(b"POST", b"/", [], body.encode(), client="10.0.0.2")
    headers, payload = sent(put(subtype).ask(request))
    parameters: dict[str, Any] = {**PARAMETERS[subtype]}
    for name, value in parameters.items():
        if value == "$request.body":
            parameters[name] = body
        elif value.startswith("$context"):
            parameters[name] = "10.0.0.2"
    if "Resources" in parameters:
        parameters["Resources"] = parameters["Resources"].split(",")
    if "DelaySeconds" in parameters:
        parameters["DelaySeconds"] = int(parameters["DelaySeconds"])
    if subtype == "EventBridge-PutEvents":
        parameters = {"Entries": [parameters]}
    if subtype == "Kinesis-PutRecord":
        parameters["Data"] = body.encode()
    their_headers, theirs = botocore_sends(subtype, parameters)

    for name in ("content-type", "x-amz-target"):
        assert headers.get(name) == their_headers.get(name)
    if subtype == "SNS-Publish":
        assert sorted(parse_qsl(payload.decode(), True)) == sorted(parse_qsl(theirs.decode(), True))
    else:
        assert json.loads(payload) == json.loads(theirs)


REQUEST = HttpRequest(
    b"POST",
    b"/signup/7?ref=a%20b&ref=c&empty=",
    [(b"Host", b"api.x"), (b"X-Type", b"one"), (b"x-type", b"two")],
    json.dumps({"user": {"id": 7, "tags": ["x", {"y": True}], "name": "Ö", "none": None}}).encode(),
    client="10.0.0.2",
    received_at=1_700_000_000.5,
    token=b"e30." + base64.urlsafe_b64encode(b'{"sub": "u-1", "n": 5}').rstrip(b"=") + b".c2ln",
)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("text as it stands", "text as it stands"),
        ("$request.header.x-type", "one,two"),
        ("$request.header.X-TYPE", "one,two"),
        ("$request.querystring.ref", "a b,c"),
        ("$request.path", "/signup/7"),
        ("$request.body.user.id", "7"),
        ("$request.body.user.name", "Ö"),
        ("$request.body.user.tags", '["x", {"y": true}]'),
        ("$request.body.user.tags.1.y", "true"),
        ("$context.identity.sourceIp", "10.0.0.2"),
        ("$context.requestTime", "2023-11-14T22:13:20Z"),
        ("$context.requestTimeEpoch", "1700000000500"),
        ("$context.httpMethod", "POST"),
        ("$context.domainName", "api.x"),
        ("$context.authorizer.claims.sub", "u-1"),
        ("$context.authorizer.claims.n", "5"),
    ],
)
def test_what_an_expression_stands_for(expression: str, value: str) -> None:
    _, payload = sent(put("SQS-SendMessage", QueueUrl="q", MessageBody=expression).ask(REQUEST))

    assert json.loads(payload)["MessageBody"] == value


@pytest.mark.parametrize(
    "expression",
    [
        "$request.header.absent",
        "$request.querystring.absent",
        "$request.querystring.empty",
        "$request.body.user.absent",
        "$request.body.user.none",
        "$request.body.user.tags.9",
        "$context.authorizer.claims.absent",
    ],
)
def test_what_the_request_does_not_have(expression: str) -> None:
    """A parameter that the call needs is the client's fault, one that it does not need is left out."""
    with pytest.raises(IntegrationError) as caught:
        put("SQS-SendMessage", QueueUrl="q", MessageBody=expression).ask(REQUEST)
    assert (caught.value.status, caught.value.reason) == (400, "Event.BadRequest")
    assert caught.value.answer is not None
    assert json.loads(caught.value.answer[1]) == {"message": "the request has nothing for MessageBody"}

    _, payload = sent(put("SNS-Publish", TopicArn="t", Message="m", Subject="$request.header.absent").ask(REQUEST))
    assert b"Subject" not in payload


BUS_ENTRY = {"Source": "shop", "DetailType": "x", "Detail": "$request.body"}


@pytest.mark.parametrize(
    ("subtype", "parameters", "body"),
    [
        pytest.param("SQS-SendMessage", {"MessageBody": "$request.body.a"}, b"{", id="a part of what is no JSON"),
        pytest.param(
            "SQS-SendMessage", {"MessageBody": "$request.body.a"}, b'{"a": NaN}', id="a part that only Python reads"
        ),
        pytest.param("SQS-SendMessage", {"MessageBody": "$request.body.a"}, b"[" * 100_000, id="JSON without end"),
        pytest.param("SQS-SendMessage", {"MessageBody": "$request.body"}, b"\xff", id="no UTF-8"),
        pytest.param("SQS-SendMessage", {"MessageBody": "$request.body"}, b"", id="no body"),
        pytest.param("EventBridge-PutEvents", BUS_ENTRY, b"nope", id="a detail that is no JSON"),
        pytest.param("EventBridge-PutEvents", BUS_ENTRY, b"[]", id="a detail that is no object"),
        pytest.param(
            "EventBridge-PutEvents", BUS_ENTRY | {"DetailType": "x" * 129}, b"{}", id="a detail type that is too long"
        ),
        pytest.param("EventBridge-PutEvents", BUS_ENTRY, b'{"a": NaN}', id="a detail with what only Python reads"),
        pytest.param(
            "SQS-SendMessage", {"MessageBody": "m", "DelaySeconds": "$request.body"}, b"soon", id="a delay in words"
        ),
    ],
)
def test_what_cannot_be_sent(subtype: EventSubtype, parameters: dict[str, str], body: bytes) -> None:
    with pytest.raises(IntegrationError) as caught:
        put(subtype, **{"QueueUrl": "q", **parameters}).ask(HttpRequest(b"POST", b"/", [], body))

    assert (caught.value.status, caught.value.reason) == (400, "Event.BadRequest")


def test_a_record_may_be_binary() -> None:
    _, payload = sent(put("Kinesis-PutRecord").ask(HttpRequest(b"POST", b"/", [], b"\xff\x00")))

    assert base64.b64decode(json.loads(payload)["Data"]) == b"\xff\x00"


@pytest.mark.parametrize(
    ("subtype", "limit"),
    [
        pytest.param("EventBridge-PutEvents", 1024 * 1024 - 1 - len("shop.signupuser.signed_upa,b"), id="a bus"),
        pytest.param("SQS-SendMessage", 1024 * 1024, id="a queue"),
        pytest.param("SNS-Publish", 256 * 1024, id="a topic"),
        pytest.param("Kinesis-PutRecord", 1024 * 1024 - len("10.0.0.2"), id="a stream"),
    ],
)
def test_size_is_checked_before_anything_is_sent(subtype: EventSubtype, limit: int) -> None:
    """AWS quotas."""
    integration = put(subtype)
    integration.ask(HttpRequest(b"POST", b"/", [], b'{"a":"%s"}' % (b"x" * (limit - 8)), client="10.0.0.2"))
    with pytest.raises(IntegrationError) as caught:
        integration.ask(HttpRequest(b"POST", b"/", [], b'{"a":"%s"}' % (b"x" * (limit - 7)), client="10.0.0.2"))

    assert (caught.value.status, caught.value.reason) == (413, "Event.RequestTooLarge")


ACKNOWLEDGED = [
    ("EventBridge-PutEvents", b'{"FailedEntryCount": 0, "Entries": [{"EventId": "e-1"}]}'),
    ("SQS-SendMessage", b'{"MessageId": "e-1"}'),
    ("SNS-Publish", b"<PublishResponse><PublishResult><MessageId>e-1</MessageId></PublishResult></PublishResponse>"),
    ("Kinesis-PutRecord", b'{"SequenceNumber": "e-1", "ShardId": "s"}'),
]


@pytest.mark.parametrize(("subtype", "payload"), ACKNOWLEDGED)
def test_an_id_is_an_acknowledgement(subtype: EventSubtype, payload: bytes) -> None:
    answer = put(subtype).answer(Reply(200, {}, payload))

    assert (answer.status, json.loads(answer.body)) == (202, {"id": "e-1"})


BUS, QUEUE, TOPIC, STREAM = CALLS
WITHOUT_ID = (b"", b"{}", b"[]", b"<html>", b'{"MessageId": 1, "Entries": [], "SequenceNumber": ""}')
NOT_ACKNOWLEDGED: list[Any] = [
    pytest.param(subtype, 200, payload, 502, "Event.InvalidResponse", id=f"{subtype}: 200 and {payload!r}")
    for subtype in CALLS
    for payload in WITHOUT_ID
]


def _failed(count: int, **entry: str) -> bytes:
    return json.dumps({"FailedEntryCount": count, "Entries": [entry]}).encode()


def _type(name: str) -> bytes:
    return json.dumps({"__type": name}).encode()


NOT_ACKNOWLEDGED += [
    pytest.param(
        BUS, 200, _failed(1, ErrorCode="MalformedDetail"), 400, "Event.Refused", id="a refused entry in a 200"
    ),
    pytest.param(BUS, 200, _failed(1, EventId="e"), 503, "Event.ServiceException", id="a failed entry with an id"),
    pytest.param(
        BUS,
        200,
        _failed(0, ErrorCode="InternalFailure"),
        503,
        "Event.ServiceException",
        id="a fault that is not counted",
    ),
    pytest.param(BUS, 200, _failed(1, ErrorCode="ThrottlingException"), 503, "Event.Throttled", id="a throttled entry"),
    pytest.param(
        QUEUE, 400, _type("com.amazonaws.sqs#QueueDoesNotExist"), 500, "Event.AccessDenied", id="no such queue"
    ),
    pytest.param(
        QUEUE, 400, _type("com.amazonaws.sqs#InvalidMessageContents"), 400, "Event.Refused", id="characters not taken"
    ),
    pytest.param(QUEUE, 403, b"", 500, "Event.AccessDenied", id="not allowed"),
    pytest.param(TOPIC, 400, b"<Error><Code>Throttling</Code></Error>", 503, "Event.Throttled", id="a throttled topic"),
    pytest.param(TOPIC, 404, b"<Code>NotFound</Code>", 500, "Event.AccessDenied", id="no such topic"),
    pytest.param(
        STREAM, 400, _type("ProvisionedThroughputExceededException"), 503, "Event.Throttled", id="a full shard"
    ),
    pytest.param(STREAM, 500, b"?", 503, "Event.ServiceException", id="the stream fails"),
    pytest.param(STREAM, 202, b'{"SequenceNumber": "1"}', 502, "Event.InvalidResponse", id="another status"),
]


@pytest.mark.parametrize(("subtype", "status", "payload", "told", "reason"), NOT_ACKNOWLEDGED)
def test_everything_else_is_an_error(
    subtype: EventSubtype, status: int, payload: bytes, told: int, reason: str
) -> None:
    integration = put(subtype)
    with pytest.raises(IntegrationError) as caught:
        integration.answer(Reply(status, {}, payload))

    error = integration.told(caught.value)
    assert (error.status, error.reason) == (told, reason)
    assert error.answer is not None
    assert json.loads(error.answer[1]).keys() == {"message"}
