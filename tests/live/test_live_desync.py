"""What is not plain, on the wire: passed in a plain form, closed after, or refused, by mode (alb.md 6.4, 6.8)."""

import pytest
from http2_peers import Http2Client
from live_gateway import wait_until
from wire import Closed, connect

from proxy.config.model import ListenerAttributes, LoadBalancerAttributes

LISTENER_HEADERS = ListenerAttributes(
    (("Strict-Transport-Security", "max-age=9"), ("X-Frame-Options", "DENY")), server_header=False
)


def _counted(live, family):
    return {tuple(each["labels"]): each["value"] for each in live.metric(family)}


@pytest.mark.parametrize(
    ("data", "target_line", "closes"),
    [
        (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /a%20b HTTP/1.1", False),
        (b"GET /a HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /a%20HTTP/1.1 HTTP/1.1", False),
        (b"GET / HTTP/1.2\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1", False),
        (b"GET / HTTP/0.9\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"GET / HTTP/1.1", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", b"GET / HTTP/1.1", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"GET / HTTP/1.1", True),
        (b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /%01 HTTP/1.1", True),
        (b"GET / HTTP/1.1\nHost: x\n\n", b"GET / HTTP/1.1", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", b"GET / HTTP/1.1", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer_Encoding: chunked\r\n\r\n", b"GET / HTTP/1.1", True),
    ],
    ids=["blank in the target", "two versions", "HTTP/1.2", "HTTP/0.9", "GET with an empty body", "GET with a body",
         "GET with chunks", "control byte in the target", "LF alone", "folded line", "lookalike of a framing header"],
)  # fmt: skip
def test_defensive_passes_it_plainly(gateway, target, data, target_line, closes):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(data)
        assert client.response().status == 200
        assert one.requests[0].first_line == target_line
        if closes:
            assert client.is_at_end()
        else:
            client.send(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.response().status == 200
    record = live.record(1 if closes else 2)
    record = live.records.all[0]
    assert record.classification in ("Acceptable", "Ambiguous")
    assert record.classification_reason


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET /\r\n", id="as HTTP/0.9 has it: the line alone"),
        pytest.param(b"GET /\n", id="the line alone, with LF"),
        pytest.param(b"GET /\r\n\r\n", id="and an empty line"),
        pytest.param(b"GET /\r\nHost: x\r\n\r\n", id="and headers"),
        pytest.param(b"GET http://x/\r\n", id="absolute"),
    ],
)
@pytest.mark.parametrize("mode", ["monitor", "defensive", "strictest"])
def test_a_request_line_without_a_version_is_refused_at_once(gateway, target, data, mode):
    """Nobody is kept waiting for the rest of a head that HTTP/0.9 does not have."""
    one = target()
    live = gateway(one.port, attributes=LoadBalancerAttributes(desync_mitigation_mode=mode))
    with connect(live.port) as client:
        client.send(data)
        response = client.response()
        assert (response.status, response.first_line) == (400, b"HTTP/1.1 400 Bad Request")
        assert client.is_at_end()
    assert live.record().status == 400
    assert one.requests == []


def test_monitor_keeps_the_connection_and_strictest_refuses(gateway, target):
    twice = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab"
    one = target()
    live = gateway(one.port, attributes=LoadBalancerAttributes(desync_mitigation_mode="monitor"))
    with connect(live.port) as client:
        for _ in range(2):
            client.send(twice)
            assert client.response().status == 200
    assert [request.values("content-length") for request in one.requests] == [[b"2"], [b"2"]]
    live.record(2)
    strict = gateway(one.port, attributes=LoadBalancerAttributes(desync_mitigation_mode="strictest"))
    with connect(strict.port) as client:
        client.send(twice)
        assert client.response().status == 400
        with pytest.raises(Closed):
            client.response()
    record = strict.record()
    assert (record.classification, record.classification_reason) == ("Ambiguous", "DuplicateContentLength")
    assert _counted(strict, "strangler_desync_noncompliant_requests_total") == {
        ("web", "Ambiguous", "DuplicateContentLength"): 1
    }


@pytest.mark.parametrize("door", ["listener", "http2", "asgi"])
@pytest.mark.parametrize("drops", [True, False])
def test_invalid_names_are_counted_and_dropped_if_so_set(gateway, target, drops, door):
    one = target()
    live = gateway(one.port, attributes=LoadBalancerAttributes(drop_invalid_header_fields=drops), door=door)
    if door == "http2":
        with Http2Client(live.port) as client:
            assert client.ask(headers=[("x_y", "1"), ("x-y", "2")]).status == 200
    else:
        with connect(live.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX_y: 1\r\nX-y: 2\r\n\r\n")
            assert client.response().status == 200
    assert one.requests[0].values("x_y") == ([] if drops else [b"1"])
    assert one.requests[0].values("x-y") == [b"2"]
    live.record()
    assert _counted(live, "strangler_invalid_header_requests_total") == {
        ("web", "dropped" if drops else "forwarded"): 1
    }


@pytest.mark.parametrize("door", ["listener", "asgi"])
@pytest.mark.parametrize("path", [b"/", b"/refused"], ids=["of a target", "of the gateway"])
def test_a_listener_sets_headers_on_every_response(gateway, target, path, door):
    one = target()
    one.script = one.answering(
        b"HTTP/1.1 500 No\r\nx-frame-options: SAMEORIGIN\r\nServer: s\r\nContent-Length: 0\r\n\r\n"
    )
    live = gateway(one.port, listener_attributes=LISTENER_HEADERS, door=door)
    with connect(live.port) as client:
        client.send(b"%s %s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"TRACE" if path != b"/" else b"GET", path))
        response = client.response()
    assert response.status == (500 if path == b"/" else 405)
    assert response.value("x-frame-options") == b"DENY"
    assert response.value("strict-transport-security") == b"max-age=9"
    assert response.values("server") == ([b"s"] if path == b"/" else [])
    wait_until(lambda: live.records.all, "no record")


@pytest.mark.parametrize(
    ("sent", "gone", "kept"),
    [
        (b"204 No Content\r\nContent-Length: 0\r\nA: b", ["content-length"], ["a"]),
        (b"204 No Content\r\nTransfer-Encoding: chunked\r\nA: b", ["transfer-encoding"], ["a"]),
        (b"304 Not Modified\r\nTransfer-Encoding: chunked\r\nA: b", ["transfer-encoding"], ["a"]),
        (b"304 Not Modified\r\nContent-Length: 5\r\nA: b", [], ["a", "content-length"]),
    ],
    ids=["204 with a length", "204 with a coding", "304 with a coding", "304 with a length"],
)
def test_a_response_without_a_body_has_no_framing(gateway, target, sent, gone, kept):
    one = target()
    one.script = one.answering(b"HTTP/1.1 " + sent + b"\r\n\r\n")
    live = gateway(one.port)
    with connect(live.port) as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            response = client.response()
            assert [name for name in gone if response.values(name)] == []
            assert [name for name in kept if not response.values(name)] == []
    live.record(2)


def test_only_100_continue_is_answered_with_100(gateway, target):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: other\r\nContent-Length: 2\r\n\r\n")
        client.send(b"ab")
        assert client.response().status == 200
    assert one.requests[0].values("expect") == []
    live.record()
