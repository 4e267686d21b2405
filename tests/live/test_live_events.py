"""Storage first over real sockets: what is acknowledged is kept, and what is not kept is an error."""

from __future__ import annotations

import base64
import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from invoke_server import InvokeServer
from live_gateway import Door
from oidc_provider import OidcProvider, sign
from scripted_target import ScriptedTarget, refused_port
from table_gateway import gateway_with
from wire import Wire, connect

from proxy.config.model import JwtValidationConfig
from proxy.observe.alb_lines import AlbLines
from proxy.runtime import build

POST = b"POST /clicks HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"


def table(port: int, subtype: str, parameters: str) -> str:
    return (
        f"{{targets: {{local: {{endpoint: 'http://127.0.0.1:{port}', event: "
        f"{{integration_subtype: {subtype}, request_parameters: {parameters}}}}}}}}}"
    )


BUS = "{Source: shop, DetailType: clicked, Detail: $request.body}"
STREAM = "{StreamName: clicks, Data: $request.body, PartitionKey: $context.requestId}"


@pytest.fixture
def service() -> Iterator[InvokeServer]:
    """It answers as it is told, whichever service it is taken for."""
    server = InvokeServer()
    yield server
    server.close()
    assert server.failures == []


@pytest.mark.parametrize("door", ["listener", "asgi"])
def test_an_event_is_put_on_the_bus_and_answered_with_its_id(service: InvokeServer, door: Door) -> None:
    live = gateway_with(table(service.port, "EventBridge-PutEvents", BUS), door=door)
    service.returns({"FailedEntryCount": 0, "Entries": [{"EventId": "e-1"}]})
    with connect(live.port) as client:
        client.send(POST % (11, b'{"user": 7}'))
        response = client.response()
    record = live.record()
    live.close()

    assert (response.status, json.loads(response.body)) == (202, {"id": "e-1"})
    assert service.invocation.first_line == b"POST / HTTP/1.1"
    assert service.invocation.values("x-amz-target") == [b"AWSEvents.PutEvents"]
    assert service.event == {"Entries": [{"Source": "shop", "DetailType": "clicked", "Detail": '{"user": 7}'}]}
    assert '"forward" "-" "-" "-" "-"' in AlbLines().line(record)


def test_what_the_bus_refuses_within_a_200_is_an_error(service: InvokeServer) -> None:
    live = gateway_with(table(service.port, "EventBridge-PutEvents", BUS))
    service.returns({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "MalformedDetail"}]})
    with connect(live.port) as client:
        client.send(POST % (2, b"{}"))
        response = client.response()
    record = live.record()
    live.close()

    assert (response.status, json.loads(response.body)) == (400, {"message": "Bad Request"})
    assert record.reason == "Event.Refused"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        pytest.param(b"", 400, "Event.BadRequest", id="nothing to put"),
        pytest.param(b"x" * (1024 * 1024 + 1), 413, "Event.RequestTooLarge", id="a body over 1 MiB"),
        pytest.param(b"x" * (1024 * 1024), 413, "Event.RequestTooLarge", id="an event over 1 MiB"),
    ],
)
def test_what_is_not_sent(service: InvokeServer, body: bytes, status: int, reason: str) -> None:
    live = gateway_with(table(service.port, "EventBridge-PutEvents", BUS))
    with connect(live.port) as client:
        client.send(POST % (len(body), body))
        assert client.response().status == status
    assert live.record().reason == reason
    live.close()
    assert service.requests == []


def test_a_bus_that_is_not_there_is_a_502() -> None:
    live = gateway_with(table(refused_port(), "EventBridge-PutEvents", BUS))
    with connect(live.port) as client:
        client.send(POST % (2, b"{}"))
        response = client.response()
    assert (response.status, json.loads(response.body)) == (502, {"message": "Bad Gateway"})
    assert live.record().reason == "Event.ConnectionError"
    live.close()


def test_nothing_unauthorized_reaches_the_bus(service: InvokeServer) -> None:
    """Only a token that jwt-validation lets pass; what it claims can be part of the event."""
    provider = OidcProvider()
    live = gateway_with(
        table(service.port, "EventBridge-PutEvents", f"{BUS[:-1]}, Resources: $context.authorizer.claims.sub}}")
    )
    runtime = live.gateway.runtime
    listener = replace(
        runtime.config.listeners[0],
        default_authentication=JwtValidationConfig(provider.url, f"{provider.url}/jwks"),
    )
    config = replace(runtime.config, listeners=(listener,))
    live.call(lambda: live.gateway.replace(build(config, live.gateway.metrics)))
    service.returns({"FailedEntryCount": 0, "Entries": [{"EventId": "e-1"}]})
    statuses = []
    for token in (
        "",
        sign(provider.claims(exp=1)),
        sign(provider.claims(), by="second"),
        sign(provider.claims(sub="u-7")),
    ):
        with connect(live.port) as client:
            line = f"Authorization: Bearer {token}\r\n" if token else ""
            client.send(f"POST / HTTP/1.1\r\nHost: x\r\n{line}Content-Length: 2\r\n\r\n{{}}".encode())
            statuses.append(client.response().status)
    live.close()
    provider.close()

    assert statuses == [401, 401, 401, 202]
    assert [json.loads(request.body)["Entries"][0]["Resources"] for request in service.requests] == [["u-7"]]


class FragileStream:
    """Takes records as Kinesis does, and dies again and again: before it keeps a record, after it, or in its answer."""

    def __init__(self, draw: Callable[[], float]) -> None:
        self.kept: list[str] = []
        self._lock = threading.Lock()
        self._draw = draw
        self.target = ScriptedTarget(self._serve)

    def _serve(self, wire: Wire) -> None:
        while True:
            request = self.target.take(wire)
            fate = self._draw()
            if fate < 0.1:
                return
            with self._lock:
                self.kept.append(json.loads(request.body)["Data"])
                number = len(self.kept)
            if fate < 0.2:
                return
            payload = json.dumps({"SequenceNumber": str(number), "ShardId": "s"}).encode()
            response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(payload), payload)
            if fate < 0.25:
                wire.send(response[: len(response) // 2])
                return
            if fate < 0.3:
                wire.send(b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n{}")
            else:
                wire.send(response)


def test_what_is_acknowledged_is_kept_though_the_stream_dies_under_load() -> None:
    """Eight clients send records; each 202 stands for a record that is there, everything else is an error."""
    stream = FragileStream(random.Random(7).random)
    live = gateway_with(table(stream.target.port, "Kinesis-PutRecord", STREAM))

    def send(worker: int) -> list[tuple[str, int]]:
        outcomes = []
        client = connect(live.port)
        for number in range(60):
            body = f"{worker:03}{number:03}"
            client.send(POST % (6, body.encode()))
            outcomes.append((body, client.response().status))
        client.close()
        return outcomes

    with ThreadPoolExecutor(8) as pool:
        outcomes = [outcome for each in pool.map(send, range(8)) for outcome in each]
    live.close()
    stream.target.close()
    kept = {base64.b64decode(data).decode() for data in stream.kept}

    assert stream.target.failures == []
    assert {status for _, status in outcomes} <= {202, 502, 503}
    acknowledged = {body for body, status in outcomes if status == 202}
    assert len(acknowledged) > 200
    assert len(acknowledged) < len(outcomes)
    assert acknowledged <= kept


def test_a_closed_connection_is_tried_once_more(service: InvokeServer) -> None:
    """All that takes events may get one twice, so a kept connection that was closed is not the client's business."""

    def once(wire: Wire) -> None:
        service.take(wire)
        wire.send(service.reply)
        service.take(wire)

    service.script = once
    service.returns({"SequenceNumber": "1"})
    live = gateway_with(table(service.port, "Kinesis-PutRecord", STREAM))
    with connect(live.port) as client:
        for _ in range(2):
            client.send(POST % (2, b"{}"))
            assert client.response().status == 202
    live.close()
    assert len(service.requests) == 3
