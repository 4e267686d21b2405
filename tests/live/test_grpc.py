"""gRPC with real clients and servers (grpcio), and which client may speak to which target group (alb.md 5.1)."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent import futures

import grpc
import pytest
from http2_peers import Http2Client, Http2Target
from scripted_target import ScriptedTarget, refused_port
from wire import connect

from proxy.observe.alb_lines import AlbLines

GRPC = [("content-type", "application/grpc")]


class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """`/test.Echo/*`: bytes in, bytes out, without protobuf."""

    def service(self, details):
        return {
            "/test.Echo/Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "/test.Echo/Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "/test.Echo/Collect": grpc.stream_unary_rpc_method_handler(self.collect),
            "/test.Echo/Spread": grpc.unary_stream_rpc_method_handler(self.spread),
            "/test.Echo/Both": grpc.stream_stream_rpc_method_handler(self.both),
        }.get(details.method)

    def unary(self, request, context):
        context.set_trailing_metadata([("x-trailer", "t"), *context.invocation_metadata()[:1]])
        return request[::-1]

    def fail(self, request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")

    def collect(self, requests, context):
        return b"".join(requests)

    def spread(self, request, context):
        for byte in request:
            yield bytes([byte])

    def both(self, requests, context):
        for request in requests:
            yield request * 2


@pytest.fixture
def server() -> Iterator[int]:
    serving = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Handlers()])
    port = serving.add_insecure_port("127.0.0.1:0")
    serving.start()
    yield port
    serving.stop(0).wait()


@pytest.fixture
def channel(gateway, server) -> Iterator[Callable[..., grpc.Channel]]:
    made: list[grpc.Channel] = []

    def make(*ports, version="GRPC"):
        live = gateway(*(ports or (server,)), door="http2", protocol_version=version)
        made.append(grpc.insecure_channel(f"127.0.0.1:{live.port}"))
        made[-1].live = live
        return made[-1]

    yield make
    for one in made:
        one.close()


VERSIONS = pytest.mark.parametrize("version", ["GRPC", "HTTP2"])


@VERSIONS
def test_unary(channel, version):
    one = channel(version=version)
    answer, call = one.unary_unary("/test.Echo/Unary").with_call(b"abc", timeout=10, metadata=[("x-own", "1")])
    assert answer == b"cba"
    assert ("x-trailer", "t") in [tuple(pair) for pair in call.trailing_metadata()]
    record = one.live.record()
    assert (record.status, record.method, record.view.path) == (200, b"POST", b"/test.Echo/Unary")
    assert AlbLines().line(record).split()[0] == "grpc"


def test_a_status_in_trailers_comes_through(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel().unary_unary("/test.Echo/Fail")(b"", timeout=10)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, "no such thing")


def test_an_unknown_method_is_the_servers_answer(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel().unary_unary("/test.Echo/None")(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@VERSIONS
def test_client_streaming(channel, version):
    stub = channel(version=version).stream_unary("/test.Echo/Collect")
    assert stub((bytes([number]) for number in range(100)), timeout=10) == bytes(range(100))


@VERSIONS
def test_server_streaming(channel, version):
    stub = channel(version=version).unary_stream("/test.Echo/Spread")
    assert b"".join(stub(bytes(range(100)), timeout=10)) == bytes(range(100))


@VERSIONS
def test_both_streaming_message_by_message(channel, version):
    """A message is only sent when the answer to the one before is there."""
    answers: list[bytes] = []
    one = channel(version=version)

    waiting: queue.Queue[bytes | None] = queue.Queue()
    call = one.stream_stream("/test.Echo/Both")(iter(waiting.get, None), timeout=10)
    for number in range(20):
        waiting.put(b"%d." % number)
        answers.append(next(call))
    waiting.put(None)
    assert list(call) == []
    assert answers == [b"%d." % number * 2 for number in range(20)]


def test_big_messages(channel):
    stub = channel().unary_unary("/test.Echo/Unary")
    message = bytes(range(256)) * 8192
    assert stub(message, timeout=20) == message[::-1]


def test_many_calls_at_a_time(channel):
    stub = channel().unary_unary("/test.Echo/Unary")
    calls = [stub.future(b"%d" % number, timeout=20) for number in range(200)]
    assert [call.result() for call in calls] == [(b"%d" % number)[::-1] for number in range(200)]


def test_a_call_that_is_cancelled_ends_at_the_server(channel):
    one = channel()
    call = one.stream_stream("/test.Echo/Both")(iter(lambda: b"x", None), timeout=10)
    assert next(call) == b"xx"
    call.cancel()
    assert one.live.record().reason == "Client.Closed"


def test_no_server_is_unavailable(channel):
    """alb.md 8: HTTP status and grpc-status 14."""
    with pytest.raises(grpc.RpcError) as caught:
        channel(refused_port()).unary_unary("/test.Echo/Unary")(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_an_error_to_a_grpc_client_on_the_wire(gateway):
    live = gateway(refused_port(), door="http2", protocol_version="GRPC")
    with Http2Client(live.port) as client:
        response = client.ask("POST", "/test.Echo/Unary", GRPC, b"\0\0\0\0\0")
    assert (response.status, response.value("grpc-status"), response.value("grpc-message"), response.body) == (
        502,
        b"14",
        b"unavailable",
        b"",
    )


def ask_1_1(port, method, headers):
    with connect(port) as client:
        lines = b"".join(b"%s: %s\r\n" % (name.encode(), value.encode()) for name, value in headers)
        client.send(b"%s / HTTP/1.1\r\nHost: a\r\n%s\r\n" % (method.encode(), lines))
        return client.response().status


def ask_2(port, method, headers):
    with Http2Client(port) as client:
        return client.ask(method, "/", headers).status


@pytest.mark.parametrize(
    ("client", "method", "headers", "version", "status"),
    [
        pytest.param("1.1", "GET", [], "HTTP1", 200, id="HTTP/1.1 to HTTP1"),
        pytest.param("1.1", "GET", [], "HTTP2", 464, id="HTTP/1.1 to HTTP2"),
        pytest.param("1.1", "POST", GRPC, "HTTP2", 464, id="HTTP/1.1 with gRPC's type to HTTP2"),
        pytest.param("1.1", "GET", [], "GRPC", 464, id="HTTP/1.1 to GRPC"),
        pytest.param("1.1", "POST", GRPC, "GRPC", 464, id="HTTP/1.1 with gRPC's type to GRPC"),
        pytest.param("2", "GET", [], "HTTP1", 200, id="HTTP/2 to HTTP1"),
        pytest.param("2", "GET", [], "HTTP2", 200, id="HTTP/2 to HTTP2"),
        pytest.param("2", "POST", [], "GRPC", 200, id="HTTP/2 POST to GRPC"),
        pytest.param("2", "GET", [], "GRPC", 464, id="HTTP/2 GET to GRPC"),
        pytest.param("2", "PUT", [], "GRPC", 464, id="HTTP/2 PUT to GRPC"),
        pytest.param("2", "POST", GRPC, "HTTP1", 464, id="gRPC to HTTP1"),
        pytest.param("2", "POST", [("content-type", "application/grpc+proto")], "HTTP1", 464, id="gRPC+proto to HTTP1"),
        pytest.param("2", "POST", [("content-type", "application/grpc-web")], "HTTP1", 200, id="gRPC-Web to HTTP1"),
        pytest.param("2", "POST", GRPC, "HTTP2", 200, id="gRPC to HTTP2"),
        pytest.param("2", "POST", GRPC, "GRPC", 200, id="gRPC to GRPC"),
        pytest.param("2", "GET", GRPC, "GRPC", 464, id="gRPC with GET to GRPC"),
    ],
)
def test_who_may_speak_to_whom(gateway, client, method, headers, version, status):
    """alb.md 5.1."""
    one = ScriptedTarget() if version == "HTTP1" else Http2Target()
    try:
        live = gateway(one.port, door="http2" if client == "2" else "listener", protocol_version=version)
        assert (ask_2 if client == "2" else ask_1_1)(live.port, method, headers) == status
        record = live.record()
        assert (record.status, len(one.requests)) == (status, status == 200)
        if status == 464:
            assert (record.reason, record.target_group) == ("Client.ProtocolVersion", "targets")
    finally:
        one.close()
    assert one.failures == []
