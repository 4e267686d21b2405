"""Functions as targets over real sockets (alb.md 7)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from http2_peers import Http2Client
from invoke_server import InvokeServer
from live_gateway import PATIENCE, Door, LiveGateway, wait_until
from scripted_target import refused_port
from table_gateway import gateway_with, use_table
from wire import Message, Wire, connect

from proxy.config.model import FunctionConfig, HealthCheckConfig
from proxy.http1.pages import page
from proxy.observe.alb_lines import AlbLines
from proxy.targets.probe import probe
from proxy.targets.target import HealthReason, Target

MIB = 1024 * 1024


def table(port: int, local: str = "", more: str = "") -> str:
    where = f"endpoint: 'http://127.0.0.1:{port}'"
    return f"{{targets: {{target_type: lambda, targets: [users], local: {{{where}{local}}}{more}}}}}"


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Iterator[InvokeServer]:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    server = InvokeServer()
    yield server
    server.close()
    assert server.failures == []


@pytest.fixture
def live(invoke: InvokeServer) -> Iterator[LiveGateway]:
    gateway = gateway_with(table(invoke.port))
    yield gateway
    gateway.close()


def ask(live: LiveGateway, data: bytes, to: str = "GET") -> Message:
    with connect(live.port) as client:
        client.send(data)
        return client.response(to=to)


UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
GET = b"GET /a%20b?x=1%2B2&x=3 HTTP/1.1\r\nHost: shop.example\r\nX-One: 1\r\nX-One: 2\r\n\r\n"


def post(body: bytes, *lines: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in ("POST /p HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *lines))
    return head.encode() + b"\r\n" + body


@pytest.mark.parametrize("door", ["listener", "asgi"])
def test_a_request_is_an_invocation_and_its_result_the_response(invoke: InvokeServer, door: Door) -> None:
    live = gateway_with(table(invoke.port), door=door)
    response = ask(live, GET)
    live.close()

    assert (response.status, response.body) == (200, b"hello")
    assert response.values("content-type") == [b"text/plain"]
    assert response.values("content-length") == [b"5"]
    assert invoke.invocation.first_line == b"POST /2015-03-31/functions/users/invocations HTTP/1.1"
    assert invoke.invocation.values("x-amz-invocation-type") == [b"RequestResponse"]
    event = invoke.event
    trace = event["headers"].pop("x-amzn-trace-id")
    assert invoke.invocation.values("x-amzn-trace-id") == [trace.encode()]
    arn = event.pop("requestContext")["elb"]["targetGroupArn"]
    assert arn.startswith("arn:aws:elasticloadbalancing:local:000000000000:targetgroup/targets/")
    assert event == {
        "httpMethod": "GET",
        "path": "/a%20b",
        "queryStringParameters": {"x": "3"},
        "headers": {
            "host": f"shop.example:{live.port}",
            "x-one": "2",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": str(live.port),
            "x-forwarded-proto": "http",
        },
        "body": "",
        "isBase64Encoded": False,
    }


def test_lists_of_values(invoke: InvokeServer) -> None:
    live = gateway_with(table(invoke.port, more=", attributes: {lambda.multi_value_headers.enabled: true}"))
    invoke.returns(
        {"statusCode": 201, "statusDescription": "201 Made", "multiValueHeaders": {"set-cookie": ["a=1", "b=2"]}}
    )
    response = ask(live, GET)
    live.close()

    assert response.first_line == b"HTTP/1.1 201 Made"
    assert response.values("set-cookie") == [b"a=1", b"b=2"]
    assert invoke.event["multiValueHeaders"]["x-one"] == ["1", "2"]
    assert invoke.event["multiValueQueryStringParameters"] == {"x": ["1%2B2", "3"]}
    assert "headers" not in invoke.event


def test_a_body_in_pieces_is_one_event(live: LiveGateway, invoke: InvokeServer) -> None:
    with connect(live.port) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        )
        client.send(b"2\r\nde\r\n0\r\n\r\n")
        assert client.response().status == 200

    assert (invoke.event["body"], invoke.event["isBase64Encoded"]) == ("abcde", False)
    assert "transfer-encoding" not in invoke.event["headers"]


def test_a_binary_body_is_in_base64(live: LiveGateway, invoke: InvokeServer) -> None:
    body = bytes(range(256))
    assert ask(live, post(body, "Content-Type: image/png")).status == 200

    assert invoke.event["isBase64Encoded"] is True
    assert base64.b64decode(invoke.event["body"]) == body


def test_head_has_the_length_and_no_body(live: LiveGateway, invoke: InvokeServer) -> None:
    with connect(live.port) as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        response = client.response(to="HEAD")
        assert response.values("content-length") == [b"5"]
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response().body == b"hello"
    assert invoke.accepted == 1, "the connection to the function's host is kept"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body(live: LiveGateway, invoke: InvokeServer, status: int) -> None:
    invoke.returns({"statusCode": status, "body": "not sent"})
    with connect(live.port) as client:
        client.send(GET + GET)
        for _ in range(2):
            response = client.response()
            assert (response.status, response.body, response.values("content-length")) == (status, b"", [])


def test_what_belongs_to_the_connection_is_not_taken_from_a_result(live: LiveGateway, invoke: InvokeServer) -> None:
    headers = {"Connection": "close", "Content-Length": "999", "Transfer-Encoding": "chunked", "X-Kept": "1"}
    invoke.returns(
        {"statusCode": 200, "headers": headers, "body": base64.b64encode(b"\x00\xff").decode(), "isBase64Encoded": True}
    )
    with connect(live.port) as client:
        client.send(GET + GET)
        for _ in range(2):
            response = client.response()
            assert response.body == b"\x00\xff"
            assert response.values("x-kept") == [b"1"]
            assert response.values("connection") == response.values("transfer-encoding") == []


def test_a_body_of_a_mebibyte_passes_and_one_byte_more_is_413(live: LiveGateway, invoke: InvokeServer) -> None:
    assert ask(live, post(b"x" * MIB, "Content-Type: text/plain")).status == 200
    assert len(invoke.event["body"]) == MIB
    response = ask(live, post(b"x" * (MIB + 1), "Content-Type: text/plain"))

    assert (response.status, response.body) == (413, page(413))
    assert live.record(2).reason == "LambdaRequestTooLarge"
    assert len(invoke.requests) == 1


def test_chunks_over_a_mebibyte_are_413(live: LiveGateway, invoke: InvokeServer) -> None:
    chunk = b"%x\r\n%s\r\n" % (MIB // 2 + 1, b"x" * (MIB // 2 + 1))
    response = ask(live, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 2 + b"0\r\n\r\n")

    assert response.status == 413
    assert invoke.requests == []


def test_a_result_over_a_mebibyte_is_502(live: LiveGateway, invoke: InvokeServer) -> None:
    invoke.returns({"statusCode": 200, "body": "x" * MIB})
    response = ask(live, GET)

    assert (response.status, response.body) == (502, page(502))
    assert live.record().reason == "LambdaResponseTooLarge"
    invoke.returns({"statusCode": 200, "body": "x"})
    assert ask(live, GET).status == 200


def test_an_upgrade_is_400(live: LiveGateway, invoke: InvokeServer) -> None:
    response = ask(
        live,
        UPGRADE,
    )

    assert response.status == 400
    assert live.record().reason == "LambdaWebsocketNotSupported"
    assert invoke.requests == []


def test_a_body_that_is_not_utf_8_where_its_type_says_text_is_400(live: LiveGateway, invoke: InvokeServer) -> None:
    assert ask(live, post(b"\xff", "Content-Type: text/plain")).status == 400
    assert live.record().reason == "LambdaBadRequest"
    assert invoke.requests == []


REFUSALS = [
    pytest.param(429, "TooManyRequestsException", 502, "LambdaThrottling", id="throttled"),
    pytest.param(429, "", 502, "LambdaThrottling", id="throttled, without the name of the error"),
    pytest.param(404, "ResourceNotFoundException:http://x/", 502, "LambdaResourceNotFound", id="no such function"),
    pytest.param(403, "AccessDeniedException", 502, "LambdaAccessDenied", id="not allowed"),
    pytest.param(403, "InvalidSignatureException", 502, "LambdaAccessDenied", id="signature not accepted"),
    pytest.param(413, "RequestTooLargeException", 413, "LambdaRequestTooLarge", id="event too large"),
    pytest.param(502, "KMSAccessDeniedException", 502, "LambdaKMSAccessDeniedException", id="key not to be used"),
    pytest.param(502, "EC2ThrottledException", 502, "LambdaEC2ThrottledException", id="EC2 throttles"),
    pytest.param(500, "ServiceException", 502, "LambdaServiceException", id="Lambda itself fails"),
    pytest.param(500, "com.amazon#SomethingNewException", 502, "LambdaUnhandledException", id="an error not known yet"),
]


@pytest.mark.parametrize(("status", "error", "answered", "reason"), REFUSALS)
def test_what_the_invoke_api_refuses(
    live: LiveGateway, invoke: InvokeServer, status: int, error: str, answered: int, reason: str
) -> None:
    """The statuses of alb.md 7 and the words of alb.md 9.3."""
    invoke.refuses(status, error)
    response = ask(live, GET)

    assert (response.status, response.body) == (answered, page(answered))
    assert live.record().reason == reason


BAD_RESULTS: list[Any] = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"not json", id="no JSON"),
    pytest.param(b"[" * 100_000, id="JSON without end"),
    pytest.param(b'{"statusCode": NaN}', id="NaN"),
    pytest.param([], id="a list"),
    pytest.param("200", id="a string"),
    pytest.param({}, id="no statusCode"),
    pytest.param({"statusCode": "200"}, id="a string as statusCode"),
    pytest.param({"statusCode": True}, id="a boolean as statusCode"),
    pytest.param({"statusCode": 99}, id="a statusCode below 200"),
    pytest.param({"statusCode": 101}, id="switching protocols"),
    pytest.param({"statusCode": 600}, id="a statusCode over 599"),
    pytest.param({"statusCode": 200, "body": {}}, id="an object as body"),
    pytest.param({"statusCode": 200, "body": "%", "isBase64Encoded": True}, id="a body that is no base64"),
    pytest.param({"statusCode": 200, "isBase64Encoded": "true"}, id="a string as isBase64Encoded"),
    pytest.param({"statusCode": 200, "headers": []}, id="a list as headers"),
    pytest.param({"statusCode": 200, "headers": {"a": 1}}, id="a number as header"),
    pytest.param({"statusCode": 200, "headers": {"a": "b\r\nc: d"}}, id="a header within a header"),
    pytest.param({"statusCode": 200, "headers": {"a b": "c"}}, id="a header name with a blank"),
    pytest.param({"statusCode": 200, "statusDescription": "OK"}, id="a statusDescription without its code"),
    pytest.param({"statusCode": 200, "statusDescription": "200 OK\r\nX: y"}, id="a header in statusDescription"),
    pytest.param(b'{"statusCode": 200, "body": "\\ud800"}', id="half a character"),
]


@pytest.mark.parametrize("result", BAD_RESULTS)
def test_a_result_that_is_no_response_is_502(live: LiveGateway, invoke: InvokeServer, result: Any) -> None:
    invoke.returns(result)
    response = ask(live, GET)

    assert (response.status, response.body) == (502, page(502))
    assert live.record().reason == "LambdaInvalidResponse"


def test_a_function_that_failed_is_502(live: LiveGateway, invoke: InvokeServer) -> None:
    invoke.fails()
    assert ask(live, GET).status == 502
    assert live.record().reason == "LambdaUnhandled"
    assert live.metric("strangler_elb_errors_total") == [{"labels": ["502", "LambdaUnhandled"], "value": 1}]


def test_nobody_at_the_endpoint_is_502(invoke: InvokeServer) -> None:
    live = gateway_with(table(refused_port()))
    assert ask(live, GET).status == 502
    assert live.record().reason == "LambdaConnectionError"
    live.close()


@pytest.mark.parametrize(("method", "status"), [(b"GET", 200), (b"POST", 502)])
def test_a_kept_connection_that_was_closed(live: LiveGateway, invoke: InvokeServer, method: bytes, status: int) -> None:
    """A GET is called again over a new connection; a POST might then be done twice, and is not."""

    def once(wire: Wire) -> None:
        invoke.take(wire)
        wire.send(invoke.reply)
        invoke.take(wire)

    invoke.script = once
    assert ask(live, GET).status == 200
    assert ask(live, method + b" / HTTP/1.1\r\nHost: x\r\n\r\n").status == status
    assert len(invoke.requests) == (3 if status == 200 else 2)


def test_an_endpoint_that_is_none_is_named_in_the_log(
    invoke: InvokeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "localhost:9000")
    live = gateway_with("{targets: {target_type: lambda, targets: [users]}}")
    assert ask(live, GET).status == 502
    assert ask(live, GET).status == 502
    live.close()
    assert "'localhost:9000' is not the URL of an endpoint" in caplog.text


def test_the_environment_names_the_endpoint_and_signs(invoke: InvokeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{invoke.port}/base/")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:users:live"
    live = gateway_with(f"{{targets: {{target_type: lambda, targets: ['{arn}']}}}}")
    assert ask(live, GET).status == 200
    live.close()

    assert invoke.invocation.target == f"/base/2015-03-31/functions/{arn.replace(':', '%3A')}/invocations".encode()
    (authorization,) = invoke.invocation.values("authorization")
    assert b"/eu-west-1/lambda/aws4_request" in authorization
    assert b"secret" not in authorization


def test_async_answers_202_once_the_event_is_queued(invoke: InvokeServer) -> None:
    live = gateway_with(table(invoke.port, ", invocation: async"))
    invoke.returns(b"", status=202)
    response = ask(live, GET)
    assert (response.status, json.loads(response.body)) == (202, {"requestId": "r-1"})
    assert invoke.invocation.values("x-amz-invocation-type") == [b"Event"]
    invoke.refuses(429, "TooManyRequestsException")
    assert ask(live, GET).status == 502
    live.close()


def test_async_does_not_send_an_event_over_a_mebibyte(invoke: InvokeServer) -> None:
    live = gateway_with(table(invoke.port, ", invocation: async"))
    assert ask(live, post(b"x" * MIB)).status == 413
    live.close()
    assert invoke.requests == []


PAYLOADS = [pytest.param("1.0", id="payload 1.0"), pytest.param("2.0", id="payload 2.0")]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    ("prepare", "status", "body"),
    [
        pytest.param(lambda s: s.fails(), 502, "Internal server error", id="the function fails"),
        pytest.param(lambda s: s.returns(b"{"), 502, "Internal server error", id="no JSON"),
        pytest.param(lambda s: s.returns({"statusCode": "x"}), 502, "Internal server error", id="no status"),
        pytest.param(lambda s: s.refuses(429), 500, "Internal server error", id="throttled"),
        pytest.param(lambda s: s.refuses(404), 500, "Internal server error", id="no such function"),
    ],
)
def test_api_gateways_words_for_errors(
    invoke: InvokeServer, payload: str, prepare: Any, status: int, body: str
) -> None:
    live = gateway_with(table(invoke.port, f", payload: '{payload}'"))
    prepare(invoke)
    response = ask(live, GET)
    live.close()

    assert (response.status, json.loads(response.body)) == (status, {"message": body})
    assert response.values("content-type") == [b"application/json"]


def test_payload_2_0_needs_no_status(invoke: InvokeServer) -> None:
    live = gateway_with(table(invoke.port, ", payload: '2.0'"))
    invoke.returns({"a": 1})
    response = ask(live, GET)
    live.close()

    assert (response.status, response.body) == (200, b'{"a": 1}')
    assert invoke.event["rawPath"] == "/a b"
    assert invoke.event["requestContext"]["http"]["sourceIp"] == "127.0.0.1"


def test_the_access_log_tells_no_address_of_a_function(live: LiveGateway, invoke: InvokeServer) -> None:
    """alb.md 7: target:port, target_status_code and the lists are `-`."""
    ask(live, GET)
    line = AlbLines().line(live.record())
    fields = line.split(" ")
    assert (fields[4], fields[8], fields[9]) == ("-", "200", "-")
    assert '"forward" "-" "-" "-" "-"' in line


def test_the_access_log_has_the_reason(live: LiveGateway, invoke: InvokeServer) -> None:
    invoke.refuses(429, "TooManyRequestsException")
    ask(live, GET)
    assert '"forward" "-" "LambdaThrottling" "-" "-"' in AlbLines().line(live.record())


def test_a_client_that_leaves_ends_the_wait(live: LiveGateway, invoke: InvokeServer) -> None:
    def silent(wire: Wire) -> None:
        invoke.take(wire)
        assert wire.is_at_end()

    invoke.script = silent
    with connect(live.port) as client:
        client.send(GET)
        wait_until(lambda: bool(invoke.requests), "the function is not called")
    assert live.record().status == 460


def test_a_reload_calls_the_other_function(live: LiveGateway, invoke: InvokeServer) -> None:
    ask(live, GET)
    use_table(live, table(invoke.port, ", payload: '1.0'"))
    invoke.returns({"statusCode": 200})
    assert ask(live, GET).status == 200
    assert invoke.event["version"] == "1.0"


@pytest.mark.parametrize(
    ("prepare", "status", "detail"),
    [
        pytest.param(lambda s: s.returns({"statusCode": 204}), 204, "", id="healthy"),
        pytest.param(lambda s: s.returns({"statusCode": 500}), 500, "", id="a bad status"),
        pytest.param(lambda s: s.fails(), None, "LambdaUnhandled: the function failed", id="it raises"),
        pytest.param(lambda s: s.refuses(404), None, "LambdaResourceNotFound", id="no such function"),
        pytest.param(lambda s: s.returns(b"?"), None, "LambdaInvalidResponse", id="no JSON"),
    ],
)
def test_a_health_check(invoke: InvokeServer, prepare: Any, status: int | None, detail: str) -> None:
    """alb.md 7: the event has nothing but its user agent."""
    prepare(invoke)
    config = FunctionConfig("users", "targets", endpoint=f"http://127.0.0.1:{invoke.port}", invocation="async")
    check = HealthCheckConfig(path="/up", function=config)
    result = asyncio.run(probe(Target("lambda", "users", 0), check))

    assert result.status == status
    assert result.detail.startswith(detail)
    assert invoke.event["headers"] == {"user-agent": "ELB-HealthChecker/2.0"}
    assert (invoke.event["path"], invoke.event["httpMethod"]) == ("/up", "GET")
    assert invoke.invocation.values("x-amz-invocation-type") == [b"RequestResponse"]


def test_a_health_check_with_nobody_there() -> None:
    config = FunctionConfig("users", "targets", endpoint=f"http://127.0.0.1:{refused_port()}")
    result = asyncio.run(probe(Target("lambda", "users", 0), HealthCheckConfig(function=config)))

    assert (result.failure, result.detail) == (HealthReason.FAILED_HEALTH_CHECKS, "connection refused while connecting")


def test_a_client_that_speaks_http_2(invoke: InvokeServer) -> None:
    live = gateway_with(table(invoke.port, ", payload: '2.0'"), door="http2")
    with Http2Client(live.port) as client:
        response = client.ask("POST", "/p", [("content-type", "text/plain")], b"abc")
    live.close()

    assert (response.status, response.body) == (200, b"hello")
    assert (invoke.event["body"], invoke.event["isBase64Encoded"]) == ("abc", False)
    assert invoke.event["requestContext"]["http"]["protocol"] == "HTTP/2.0"
    assert "transfer-encoding" not in invoke.event["headers"]


def test_a_mebibyte_in_tiny_chunks_costs_no_more_than_it_has(live: LiveGateway, invoke: InvokeServer) -> None:
    """What was received is not looked at again with each piece: a client cannot make that grow."""
    with connect(live.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(256):
            client.send(b"1\r\nx\r\n" * 400)
        client.send(b"0\r\n\r\n")
        assert client.response().status == 200
    assert invoke.event["body"] == "x" * 256 * 400


def test_a_reload_does_not_cut_a_call(live: LiveGateway, invoke: InvokeServer) -> None:
    """A function has no deregistration delay (alb.md 5.4): what was called is waited for."""
    may_answer = threading.Event()

    def slow(wire: Wire) -> None:
        invoke.take(wire)
        assert may_answer.wait(PATIENCE)
        wire.send(invoke.reply)

    invoke.script = slow
    with connect(live.port) as client:
        client.send(GET)
        wait_until(lambda: bool(invoke.requests), "the function is not called")
        use_table(live, table(invoke.port).replace("[users]", "[others]"))
        may_answer.set()
        assert client.response().status == 200


class OneAtATime:
    """A function that answers when it may, and counts how many of its calls there are at once."""

    def __init__(self, invoke: InvokeServer) -> None:
        self._invoke = invoke
        self._may_answer = threading.Semaphore(0)
        self._running = 0
        self.most = 0
        invoke.script = self._script

    def _script(self, wire: Wire) -> None:
        while True:
            self._invoke.take(wire)
            self._running += 1
            self.most = max(self.most, self._running)
            assert self._may_answer.acquire(timeout=PATIENCE)
            self._running -= 1
            wire.send(self._invoke.reply)

    def answer(self, calls: int) -> None:
        self._may_answer.release(calls)


@pytest.fixture
def limited(invoke: InvokeServer) -> Iterator[tuple[LiveGateway, OneAtATime]]:
    gateway = gateway_with(table(invoke.port, ", maximum_concurrency: 1"))
    yield gateway, OneAtATime(invoke)
    gateway.close()


def refused_at_once(live: LiveGateway) -> None:
    """A request that needs no call is answered: what came before it has been read."""
    assert ask(live, UPGRADE).status == 400


def test_calls_beyond_the_limit_wait_for_their_turn(
    limited: tuple[LiveGateway, OneAtATime], invoke: InvokeServer
) -> None:
    live, function = limited
    with contextlib.ExitStack() as clients:
        wires = [clients.enter_context(connect(live.port)) for _ in range(6)]
        for wire in wires:
            wire.send(GET)
        refused_at_once(live)
        function.answer(6)
        assert [wire.response().status for wire in wires] == [200] * 6
    assert (len(invoke.requests), function.most) == (6, 1)


def test_a_call_whose_client_leaves_keeps_its_turn_to_its_end(
    limited: tuple[LiveGateway, OneAtATime], invoke: InvokeServer
) -> None:
    """The function goes on all the same: a second call would be one beside it."""
    live, function = limited
    with connect(live.port) as leaving:
        leaving.send(GET)
        wait_until(lambda: bool(invoke.requests), "the function is not called")
    assert live.record().status == 460
    with connect(live.port) as client:
        client.send(GET)
        refused_at_once(live)
        function.answer(2)
        assert client.response().status == 200
    assert (len(invoke.requests), function.most) == (2, 1)


def test_a_client_that_leaves_the_line_is_not_called_for(
    limited: tuple[LiveGateway, OneAtATime], invoke: InvokeServer
) -> None:
    live, function = limited
    with connect(live.port) as first, connect(live.port) as last:
        first.send(GET)
        wait_until(lambda: bool(invoke.requests), "the function is not called")
        with connect(live.port) as leaving:
            leaving.send(GET)
            refused_at_once(live)
        wait_until(lambda: any(each.status == 460 for each in live.records.all), "the client is still there")
        last.send(GET)
        function.answer(2)
        assert [first.response().status, last.response().status] == [200, 200]
    assert (len(invoke.requests), function.most) == (2, 1)


def test_a_call_that_fails_ends_its_turn() -> None:
    live = gateway_with(table(refused_port(), ", maximum_concurrency: 1"))
    assert [ask(live, GET).status for _ in range(3)] == [502] * 3
    live.close()
