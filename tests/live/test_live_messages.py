"""What goes through unchanged, and what each side gets of the other's HTTP version."""

import pytest
from wire import connect

from proxy.config.model import ConditionConfig, FixedResponseConfig, LoadBalancerAttributes, RuleConfig

DOORS = pytest.mark.parametrize("door", ["listener", "asgi", "asgi-h11"])

TEAPOT = RuleConfig(
    "teapot",
    1,
    (ConditionConfig("path-pattern", ("/teapot*",)),),
    FixedResponseConfig(418, "text/plain", "short and stout"),
)


@DOORS
def test_a_request_goes_through_and_is_recorded_once(gateway, target, door):
    one = target()
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(b"GET /a?b=c HTTP/1.1\r\nHost: x.example\r\n\r\n")
        response = client.response()
    assert (response.status, response.body) == (200, b"ok")
    record = live.record()
    assert (record.status, record.target_status, record.reason) == (200, 200, "")
    assert one.requests[0].first_line == b"GET /a?b=c HTTP/1.1"


@pytest.mark.parametrize(
    "raw",
    [
        b"/a%2Fb//c?x=%20&y=+",
        b"/%e4%bd%a0%E5%A5%BD",
        b"/./a/../b/%2e%2e/c",
        b"/a;b=c,d:@!$&'()*~",
        b"/?",
        b"/?a=b?c=d&&=",
        b"/%",
        b"/%zz%00",
        b"//double//slash//",
        b"/" + b"x" * 8000,
    ],
    ids=lambda raw: raw[:24].decode(),
)
@DOORS
def test_path_and_query_reach_the_target_byte_for_byte(gateway, target, door, raw):
    one = target()
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % raw)
        assert client.response().status == 200
    live.record()
    # ASGI cannot tell `/?` from `/`.
    assert one.requests[0].target in ((raw,) if door == "listener" else (raw, raw.removesuffix(b"?")))


@pytest.mark.parametrize(
    "raw", [b'/"<>\\^`{|}', b"/\xc3\xa9\xff", b"/a#b"], ids=["delimiters", "high bytes", "fragment"]
)
def test_odd_bytes_of_a_path_are_left_to_the_target(gateway, target, raw):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % raw)
        assert client.response().status == 200
    assert one.requests[0].target == raw


@pytest.mark.parametrize("method", ["PURGE", "BREW", "M-SEARCH", "get", "PROPFIND"])
def test_any_method_is_passed_on(gateway, target, method):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(method.encode() + b" / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response().status == 200
    assert one.requests[0].method == method.encode()


@DOORS
def test_repeated_headers_stay_apart_and_in_order_both_ways(gateway, target, door):
    one = target()
    one.script = one.answering(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
        b"Set-Cookie: a=1; Path=/\r\nX-A: 1\r\nSet-Cookie: b=2, c\r\nX-A: 2\r\n\r\n"
    )
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-B: 1\r\nCookie: q=1\r\nX-B: 2\r\nX-B: 1\r\n\r\n")
        response = client.response()
    assert response.values("set-cookie") == [b"a=1; Path=/", b"b=2, c"]
    assert response.values("x-a") == [b"1", b"2"]
    assert one.requests[0].values("x-b") == [b"1", b"2", b"1"]


def test_header_names_keep_their_spelling_and_values_their_bytes(gateway, target):
    one = target()
    one.script = one.answering(b"HTTP/1.1 200 OK\r\nx-OdD: \xff\x80\tq\r\nContent-Length: 0\r\n\r\n")
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(b"GET / HTTP/1.1\r\nhOST: x\r\nX_under.score: \xc3\xa9\x01q\r\nEmpty:\r\n\r\n")
        response = client.response()
    assert (b"x-OdD", b"\xff\x80\tq") in response.headers
    assert (b"X_under.score", b"\xc3\xa9 q") in one.requests[0].headers
    assert (b"Empty", b"") in one.requests[0].headers


# Connections


@DOORS
def test_keep_alive_serves_request_after_request_on_one_target_connection(gateway, target, door):
    one = target()
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        for number in range(20):
            client.send(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
            assert client.response().body == b"ok"
    live.record(20)
    assert [request.target for request in one.requests] == [b"/%d" % number for number in range(20)]
    assert one.accepted == 1


def test_a_hundred_requests_in_one_write_are_answered_in_order(gateway, target):
    one = target()

    def script(wire):
        while True:
            request = one.take(wire)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(request.target), request.target))

    one.script = script
    live = gateway(one.port, rules=(TEAPOT,))
    paths = [b"/teapot%d" % number if number % 3 == 1 else b"/%d" % number for number in range(100)]
    with connect(live.port) as client:
        client.send(*(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in paths))
        for path in paths:
            response = client.response()
            expected = (418, b"short and stout") if b"teapot" in path else (200, path)
            assert (response.status, response.body) == expected
    live.record(100)
    assert [request.target for request in one.requests] == [path for path in paths if b"teapot" not in path]


def test_bodies_and_requests_in_one_write_are_told_apart(gateway, target):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(
            b"\r\nPOST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /",
            b"POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"GET /3 HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        assert [client.response().status for _ in range(3)] == [200, 200, 200]
    assert [(request.target, request.body) for request in one.requests] == [
        (b"/1", b"GET /"),
        (b"/2", b"abc"),
        (b"/3", b""),
    ]
    live.record(3)


def test_connection_close_of_the_client_ends_its_connection_alone(gateway, target):
    one = target()
    live = gateway(one.port)
    for _ in range(2):
        with connect(live.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            response = client.response()
            assert response.value("connection") == b"close"
            assert client.is_at_end()
    live.record(2)
    assert one.accepted == 1
    assert one.requests[0].value("connection") is None


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nConnection: y",
        b"HTTP/1.0 200 OK",
    ],
    ids=["close", "close in the first of two lines", "HTTP/1.0"],
)
def test_connection_close_of_the_target_ends_its_connection_alone(gateway, target, line):
    one = target()
    one.script = one.answering(line + b"\r\nContent-Length: 2\r\n\r\nok")
    live = gateway(one.port)
    with connect(live.port) as client:
        for _ in range(3):
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.response().value("connection") is None
    live.record(3)
    assert one.accepted == 3


@DOORS
def test_http_1_0_without_keep_alive_is_answered_and_closed(gateway, target, door):
    one = target()
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
        assert client.response().body == b"ok"
        assert client.is_at_end()
    assert live.record().protocol == b"HTTP/1.0"
    assert one.requests[0].first_line == b"GET / HTTP/1.1"


def test_http_1_0_with_keep_alive_is_kept(gateway, target):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.0\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n")
            assert client.response().value("connection") == b"keep-alive"
    live.record(2)


def test_http_1_0_without_host_gets_the_gateways_address(gateway, target):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.response().status == 200
    assert one.requests[0].values("host") == [b"127.0.0.1"]


def test_http_1_0_gets_a_chunked_response_without_its_chunks(gateway, target):
    one = target()
    one.script = one.answering(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n"
    )
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(b"GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
        response = client.response()
    assert (response.body, response.value("transfer-encoding")) == (b"abcde", None)
    live.record()


# Framing of responses


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
        b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 99\r\n\r\n',
        b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 999 Odd one\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["204", "304 with a length", "205", "no reason", "unknown status"],
)
def test_responses_without_a_body_leave_the_connection_in_step(gateway, target, head):
    one = target()
    one.script = one.answering(head)
    live = gateway(one.port)
    with connect(live.port) as client:
        for _ in range(3):
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.response().status == int(head[9:12])
    live.record(3)
    assert one.accepted == 1


@pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked", b"X: y"])
@DOORS
def test_head_has_no_body_whatever_its_headers_say(gateway, target, door, framing):
    one = target()
    one.script = one.answering(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        for _ in range(2):
            client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            response = client.response(to="HEAD")
            assert response.status == 200
            if framing.startswith(b"Content-Length"):
                assert response.value("content-length") == b"1000"
    live.record(2)
    assert one.accepted == 1


def test_head_of_a_fixed_response_and_of_an_error_has_no_body(gateway):
    live = gateway(rules=(TEAPOT,))
    with connect(live.port) as client:
        client.send(b"HEAD /teapot HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response(to="HEAD").status == 418
        assert client.response(to="HEAD").status == 503
    live.record(2)


@DOORS
def test_a_response_until_close_is_whole_and_keeps_the_client(gateway, target, door):
    one = target()

    def script(wire):
        one.take(wire)
        wire.send(b"HTTP/1.1 200 OK\r\n\r\nhello ")
        wire.send(b"world")

    one.script = script
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.response().body == b"hello world"
    live.record(2)


def test_a_response_until_close_to_http_1_0_ends_by_closing(gateway, target):
    one = target()

    def script(wire):
        one.take(wire)
        wire.send(b"HTTP/1.0 200 OK\r\n\r\nhello")

    one.script = script
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        response = client.response()
    assert (response.body, response.value("connection")) == (b"hello", b"close")


@DOORS
def test_a_chunked_response_with_a_length_beside_it_loses_the_length(gateway, target, door):
    one = target()
    one.script = one.answering(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        response = client.response()
    assert (response.value("content-length"), response.body) == (None, b"hello")
    live.record()


# 1xx


def test_103_is_passed_on_and_100_is_not(gateway, target):
    one = target()
    one.script = one.answering(
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    )
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [client.response().status for _ in range(3)] == [103, 103, 200]
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.response().status == 200
    live.record(2)


def test_expect_is_answered_at_once_and_not_passed_on(gateway, target):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert client.response().first_line == b"HTTP/1.1 100 Continue"
        client.send(b"data")
        assert client.response().status == 200
    live.record()
    assert (one.requests[0].body, one.requests[0].value("expect")) == (b"data", None)


@pytest.mark.parametrize(
    ("lines", "body"),
    [(b"Content-Length: 4\r\n", b"data"), (b"Content-Length: 0\r\n", b""), (b"", b"")],
    ids=["the body has come already", "an empty body", "no Content-Length"],
)
def test_expect_is_answered_without_looking_at_the_length(gateway, target, lines, body):
    """alb.md 6.4; so it does not depend on how the network cuts the request, either."""
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\n", lines, b"Expect: 100-continue\r\n\r\n", body)
        assert [client.response().status for _ in range(2)] == [100, 200]
    live.record()
    assert one.requests[0].body == body


def test_expect_of_http_1_0_is_not_answered(gateway, target):
    """RFC 9110 10.1.1."""
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(b"POST / HTTP/1.0\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        client.send(b"data")
        assert client.response().status == 200
    live.record()


# Refusals


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET a/b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /" + b"x" * 17000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 17000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 12000 + b"\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + b"1.1.1.1, " * 30 + b"1.1.1.1\r\n\r\n", 463),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x y\r\nHost: z\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: z\r\nHost: x y\r\n\r\n", 400),
    ],
    ids=[
        "no version", "no Host", "space before the colon", "relative target", "TRACE",
        "CONNECT", "long request line", "long header", "long head", "unknown coding", "HTTP/2", "31 addresses",
        "TLS", "LF and CR LF", "a blank in the first Host", "a blank in the last Host",
    ],
)  # fmt: skip
def test_a_refused_request_gets_its_status_and_no_target_hears_of_it(gateway, target, head, status):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(head)
        response = client.response()
        assert response.status == status
        assert b"<center><h1>%d" % status in response.body
    assert live.record().status == status
    assert one.requests == []


def test_a_refusal_of_the_table_keeps_the_connection(gateway):
    live = gateway()
    with connect(live.port) as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.response().status == 503
    assert live.record(2).reason == "Target.None"


def test_forwarded_headers_of_a_plain_request(gateway, target):
    one = target()
    live = gateway(one.port, attributes=LoadBalancerAttributes(xff_client_port=True))
    with connect(live.port) as client:
        name = client.socket.getsockname()
        client.send(b"GET / HTTP/1.1\r\nHost: X.Example\r\n\r\n")
        client.response()
    request = one.requests[0]
    assert request.value("x-forwarded-for") == b"127.0.0.1:%d" % name[1]
    assert request.value("x-forwarded-port") == b"%d" % live.port
    assert request.value("x-forwarded-proto") == b"http"
    assert request.value("host") == b"x.example:%d" % live.port
    assert request.value("x-amzn-trace-id") == live.record().trace_id
