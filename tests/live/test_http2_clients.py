"""HTTP/2 clients in front of HTTP/1.1 targets, by a plain h2 client over cleartext (the same door as behind TLS)."""

from __future__ import annotations

import hashlib
import os
import select
import socket
import threading
from contextlib import suppress

import h2.errors
import pytest
from http2_peers import Http2Client, Message
from live_gateway import SHORT_IDLE, wait_until
from scripted_target import OK

import proxy.listen.http2
from proxy.config.model import ConditionConfig, FixedResponseConfig, RuleConfig

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
MEGABYTES = int(os.environ.get("STRANGLER_TEST_MEGABYTES", "5"))
BLOCK = bytes(range(256)) * 4096


@pytest.fixture
def http2(gateway):
    def make(*ports, **options):
        return gateway(*ports, door="http2", **options)

    return make


def test_a_get_reaches_the_target_as_http_1_1(http2, target):
    one = target()
    live = http2(one.port)
    with Http2Client(live.port) as client:
        response = client.ask("GET", "/a?b=%20", [("x-mixed", "One"), ("accept", "*/*")])
    assert (response.status, response.body, response.ended) == (200, b"ok", True)
    request = one.requests[0]
    assert request.first_line == b"GET /a?b=%20 HTTP/1.1"
    names = [name for name, _ in request.headers]
    own = [b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Port", b"X-Amzn-Trace-Id"]
    assert names == [b"Host", b"x-mixed", b"accept", *own]
    record = live.record()
    assert (record.protocol, record.status, record.method) == (b"HTTP/2.0", 200, b"GET")


def test_cookie_crumbs_are_joined(http2, target):
    """RFC 9113 8.2.3."""
    one = target()
    with Http2Client(http2(one.port).port) as client:
        client.ask(headers=[("cookie", "a=1"), ("cookie", "b=2")])
    assert one.requests[0].values("cookie") == [b"a=1; b=2"]


def test_expect_is_neither_answered_nor_passed_on(http2, target):
    """alb.md 6.4."""
    one = target()
    with Http2Client(http2(one.port).port) as client:
        response = client.ask("POST", "/", [("expect", "100-continue"), ("content-length", "3")], b"abc")
    assert (response.status, response.informational) == (200, [])
    assert one.requests[0].value("expect") is None
    assert one.requests[0].body == b"abc"


def test_rules_see_no_framing_that_the_client_did_not_send(http2, target):
    """A body without Content-Length goes to the target in chunks; alb.md 2.5: an absent header satisfies nothing."""
    one = target()
    condition = ConditionConfig("http-header", values=("*",), header_name="Transfer-Encoding")
    rule = RuleConfig("chunked", 1, (condition,), FixedResponseConfig(299))
    with Http2Client(http2(one.port, rules=(rule,)).port) as client:
        assert client.ask("POST", "/", [], b"abc").status == 200
    assert one.requests[0].values("transfer-encoding") == [b"chunked"]


def test_te_trailers_is_taken_and_ends_here(http2, target):
    one = target()
    with Http2Client(http2(one.port).port) as client:
        assert client.ask(headers=[("te", "trailers")]).status == 200
    assert one.requests[0].value("te") is None


PSEUDO = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a"), (b":path", b"/")]


def without(name):
    return [field for field in PSEUDO if field[0] != name]


def with_(name, value):
    return [(key, value if key == name else old) for key, old in PSEUDO]


@pytest.mark.parametrize(
    ("pseudo", "headers", "status"),
    [
        pytest.param(PSEUDO, [("connection", "close")], 400, id="Connection"),
        pytest.param(PSEUDO, [("transfer-encoding", "chunked")], 400, id="Transfer-Encoding"),
        pytest.param(PSEUDO, [("upgrade", "websocket")], 400, id="Upgrade"),
        pytest.param(PSEUDO, [("keep-alive", "1")], 400, id="Keep-Alive"),
        pytest.param(PSEUDO, [("te", "gzip")], 400, id="TE other than trailers"),
        pytest.param(PSEUDO, [("x", "a\r\nX-Forwarded-For: 1.2.3.4")], 400, id="a line break in a value"),
        pytest.param(PSEUDO, [("x", "a\x00")], 400, id="NUL in a value"),
        pytest.param(PSEUDO, [("x y", "a")], 400, id="a blank in a name"),
        pytest.param(PSEUDO, [("x:y", "a")], 400, id="a colon in a name"),
        pytest.param(PSEUDO, [("Upper", "a")], 400, id="an upper-case name"),
        pytest.param(PSEUDO, [("host", "b")], 400, id="Host and :authority differ"),
        pytest.param(PSEUDO, [("content-length", "5")], 400, id="Content-Length and no body"),
        pytest.param(PSEUDO, [("x", "a" * 17_000)], 400, id="a field over 16 K"),
        pytest.param(PSEUDO, [(f"x{n}", "a" * 15_000) for n in range(5)], 400, id="a head over 64 K"),
        pytest.param(with_(b":path", b"/" + b"a" * 17_000), [], 414, id="a path over 16 K"),
        pytest.param(with_(b":path", b"/a b"), [], 400, id="a blank in the path"),
        pytest.param(with_(b":path", b"/ HTTP/1.1\r\nX: y"), [], 400, id="a request line in the path"),
        pytest.param(with_(b":path", b"http://a/"), [], 400, id="a URL as path"),
        pytest.param(with_(b":path", b""), [], 400, id="an empty path"),
        pytest.param(with_(b":method", b"G ET"), [], 400, id="a blank in the method"),
        pytest.param(with_(b":method", b"TRACE"), [], 405, id="TRACE"),
        pytest.param(with_(b":method", b"CONNECT"), [], 405, id="CONNECT"),
        pytest.param(with_(b":authority", b"u@a"), [], 400, id="a user in the authority"),
        pytest.param(without(b":authority"), [], 400, id="no authority"),
        pytest.param(without(b":path"), [], 400, id="no path"),
        pytest.param(without(b":method"), [], 400, id="no method"),
        pytest.param(without(b":scheme"), [], 400, id="no scheme"),
        pytest.param([*PSEUDO, (b":path", b"/b")], [], 400, id="two paths"),
        pytest.param([*PSEUDO, (b":protocol", b"websocket")], [], 400, id="extended CONNECT"),
    ],
)
def test_a_malformed_request_is_refused_and_the_connection_goes_on(http2, target, pseudo, headers, status):
    one = target()
    live = http2(one.port)
    with Http2Client(live.port) as client:
        response = client.response(client.begin(headers=headers, pseudo=pseudo))
        assert (response.status, response.ended) == (status, True)
        assert client.ask(path="/next").status == 200
    assert [request.target for request in one.requests] == [b"/next"]
    live.record(2)
    assert live.records.all[0].status == status


@pytest.mark.parametrize("body", [b"abcdefg", b"ab"], ids=["longer", "shorter"])
def test_a_body_of_another_length_than_content_length_reaches_no_further_request(http2, target, body):
    one = target()
    live = http2(one.port)
    with Http2Client(live.port) as client:
        stream = client.begin("POST", "/", [("content-length", "5")], end=False)
        client.send_body(stream, body)
        client.rest()
    assert live.record().status in (400, 460)
    with Http2Client(live.port) as client:
        assert client.ask(path="/clean").status == 200
    assert [request.target for request in one.requests] == [b"/clean"]


def test_trailers_do_not_hide_a_body_that_is_too_short(http2, target):
    """h2 looks at the length of DATA frames with END_STREAM only."""
    one = target()
    live = http2(one.port)
    with Http2Client(live.port) as client:
        stream = client.begin("POST", "/", [("content-length", "5")], end=False)
        client.send_body(stream, b"ab", end=False)
        client.h2.send_headers(stream, [(b"x-check", b"1")], end_stream=True)
        client.flush()
        assert client.response(stream).status == 400
        assert client.ask(path="/clean").status == 200
    assert [request.target for request in one.requests] == [b"/clean"]


def test_trailers_go_both_ways(http2, target):
    one = target(
        lambda wire: (
            one.take(wire),
            wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"),
        )
    )
    with Http2Client(http2(one.port).port) as client:
        stream = client.begin("POST", "/", end=False)
        client.send_body(stream, b"abc", end=False)
        client.h2.send_headers(stream, [(b"x-check", b"1")], end_stream=True)
        client.flush()
        response = client.response(stream)
    assert (response.body, response.trailers) == (b"ok", [(b"x-sum", b"7")])
    assert response.value("transfer-encoding") is None
    assert (one.requests[0].body, one.requests[0].trailers) == (b"abc", [b"x-check: 1\r\n"])


def test_forbidden_trailers_are_refused(http2, target):
    one = target()
    live = http2(one.port)
    with Http2Client(live.port) as client:
        stream = client.begin("POST", "/", end=False)
        client.h2.send_headers(stream, [(b"host", b"other")], end_stream=True)
        client.flush()
        assert client.response(stream).status == 400
    assert one.requests == []


def test_a_head_response_has_its_length_and_no_body(http2, target):
    one = target(lambda wire: (one.take(wire), wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n")))
    with Http2Client(http2(one.port).port) as client:
        response = client.ask("HEAD")
    assert (response.value("content-length"), response.body) == (b"42", b"")


def test_early_hints_are_passed_on(http2, target):
    one = target(
        lambda wire: (one.take(wire), wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", OK)),
    )
    with Http2Client(http2(one.port).port) as client:
        response = client.ask()
    assert response.informational == [[(b":status", b"103"), (b"link", b"</a>")]]
    assert response.status == 200


def test_a_response_until_close_ends_its_stream_only(http2, target):
    one = target(lambda wire: (one.take(wire), wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")))
    with Http2Client(http2(one.port).port) as client:
        response = client.ask()
        assert (response.body, response.ended, response.value("connection")) == (b"abc", True, None)
        assert client.ask().body == b"abc"


def test_a_cut_response_resets_its_stream_only(http2, target):
    one = target(lambda wire: (one.take(wire), wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")))
    live = http2(one.port)
    with Http2Client(live.port) as client:
        response = client.ask()
        assert (response.ended, response.reset) == (False, h2.errors.ErrorCodes.INTERNAL_ERROR)
        assert client.ask().reset is not None
    assert live.record(2).reason == "Target.ConnectionClosed"


def test_requests_run_side_by_side(http2, target):
    """A slow one does not hold up those after it."""
    go_on = threading.Event()

    def script(wire):
        if one.take(wire).target == b"/slow":
            go_on.wait(10)
        wire.send(OK)

    one = target(script)
    with Http2Client(http2(one.port).port) as client:
        slow = client.begin(path="/slow")
        for _ in range(5):
            assert client.ask(path="/quick").status == 200
        go_on.set()
        assert client.response(slow).status == 200


def test_a_hundred_requests_at_a_time(http2, target):
    one = target()
    live = http2(one.port)
    with Http2Client(live.port) as client:
        streams = [client.begin(path=f"/{number}") for number in range(100)]
        assert {client.response(stream).status for stream in streams} == {200}
    live.record(100)


@LOOPS
def test_big_bodies_both_ways(http2, target, loop):
    def script(wire):
        request = one.take(wire)
        digest = hashlib.sha256(request.body).hexdigest().encode()
        wire.send(b"HTTP/1.1 200 OK\r\nX-Digest: %s\r\nContent-Length: %d\r\n\r\n" % (digest, MEGABYTES << 20))
        for _ in range(MEGABYTES):
            wire.send(BLOCK)

    one = target(script)
    live = http2(one.port, loop=loop)
    with Http2Client(live.port) as client:
        response = client.ask("PUT", "/", [], BLOCK * MEGABYTES)
    assert response.value("x-digest") == hashlib.sha256(BLOCK * MEGABYTES).hexdigest().encode()
    assert hashlib.sha256(response.body).digest() == hashlib.sha256(BLOCK * MEGABYTES).digest()
    assert live.record().reason == ""


def test_a_client_without_credit_pauses_the_target_and_no_other_stream(http2, target):
    sent = []

    def script(wire):
        if one.take(wire).target == b"/quick":
            wire.send(OK)
            return
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 << 20))
        for _ in range(64):
            wire.send(BLOCK)
            sent.append(1)

    one = target(script)
    live = http2(one.port)
    with Http2Client(live.port) as client:
        client.gives_credit = False
        slow = client.begin(path="/slow")
        message = client.messages.setdefault(slow, Message())
        client.until(lambda: len(message.body) >= 65_535)
        for _ in range(3):
            client.h2.increment_flow_control_window(1000)
            assert client.ask(path="/quick").status == 200
        assert len(sent) < 32, "the target could send what the client did not take"
        assert len(message.body) == 65_535
    assert live.record(4).reason == "Client.Closed"


def test_a_target_that_does_not_read_stops_the_client(http2, target):
    go_on = threading.Event()

    def script(wire):
        wire.head()
        go_on.wait(20)
        while b"\r\n0\r\n\r\n" not in wire.buffer[-16:]:
            wire.buffer = wire.buffer[-16:]
            wire.fill()
        wire.send(OK)

    one = target(script, receive_buffer=65536)
    live = http2(one.port)
    with Http2Client(live.port) as client:
        stream = client.begin("POST", "/", end=False)
        client.socket.settimeout(1.0)
        sent = 0
        with suppress(TimeoutError):
            while sent < 64 << 20:
                client.send_body(stream, BLOCK[:16384], end=False)
                sent += 16384
        assert sent < 16 << 20
        client.socket.settimeout(10)
        go_on.set()
        client.send_body(stream, BLOCK)
        assert client.response(stream).status == 200


def test_a_reset_ends_the_request_at_the_target(http2, target):
    closed = threading.Event()

    def script(wire):
        one.take(wire)
        wire.rest()
        closed.set()

    one = target(script)
    live = http2(one.port)
    with Http2Client(live.port) as client:
        stream = client.begin()
        wait_until(lambda: len(one.requests) == 1, "no request")
        client.h2.reset_stream(stream, 8)
        client.flush()
        assert closed.wait(10)
        record = live.record()
        assert (record.status, record.reason) == (460, "Client.Closed")


def test_after_ten_thousand_requests_there_is_a_goaway(http2, target, monkeypatch):
    """alb.md 1.1; the number is lowered here."""
    assert proxy.listen.http2.MAX_REQUESTS == 10_000
    monkeypatch.setattr(proxy.listen.http2, "MAX_REQUESTS", 3)
    one = target()
    with Http2Client(http2(one.port).port) as client:
        streams = [client.begin(path=f"/{number}") for number in range(5)]
        assert [client.response(stream).status for stream in streams[:3]] == [200] * 3
        client.rest()
        assert [(event.error_code, event.last_stream_id) for event in client.goaways] == [(0, streams[2])]
    assert len(one.requests) == 3


def test_a_shutdown_finishes_what_is_in_hand(http2, target):
    go_on = threading.Event()
    one = target(lambda wire: (one.take(wire), go_on.wait(10), wire.send(OK)))
    live = http2(one.port)
    with Http2Client(live.port) as client:
        stream = client.begin()
        wait_until(lambda: len(one.requests) == 1, "no request")
        live.call(lambda: [each.shutdown() for each in list(live._server.server_state.connections)])
        client.until(lambda: bool(client.goaways))
        go_on.set()
        assert client.response(stream).status == 200
        client.rest()


def test_an_idle_connection_is_ended_and_pings_do_not_keep_it(http2, target, quick_clock):
    live = http2(target().port, attributes=SHORT_IDLE)
    with Http2Client(live.port) as client:
        assert client.ask().status == 200
        client.socket.settimeout(0.2)
        for _ in range(100):
            try:
                if not client.fill():
                    break
            except TimeoutError:
                client.h2.ping(b"12345678")
                client.flush()
        assert client.goaways
        assert client.is_closed
        assert client.pongs > 1


def test_a_silent_target_is_a_504_on_its_stream(http2, target, quick_clock):
    one = target(lambda wire: (one.take(wire), wire.rest()))
    live = http2(one.port, attributes=SHORT_IDLE)
    with Http2Client(live.port) as client:
        assert client.ask().status == 504
    assert live.record().reason == "Target.Timeout"


def test_a_client_that_owes_its_body_gets_a_408(http2, target, quick_clock):
    live = http2(target(lambda wire: wire.rest()).port, attributes=SHORT_IDLE)
    with Http2Client(live.port) as client:
        stream = client.begin("POST", "/", end=False)
        response = client.response(stream)
        assert response.status == 408


def flood(client, send):
    """Send until the connection is gone; return what the last GOAWAY said."""
    try:
        for _ in range(200):
            for _ in range(100):
                send()
            client.flush()
            while select.select([client.socket], [], [], 0)[0] and client.fill():
                pass
            if client.is_closed:
                break
        # What was sent last may still be on its way.
        client.rest()
    except OSError:
        client.rest()
    assert client.is_closed, "the flood was borne"
    return client.goaways[-1].error_code if client.goaways else None


def test_a_flood_of_pings_ends_the_connection(http2, target):
    live = http2(target().port)
    with Http2Client(live.port) as client:
        assert flood(client, lambda: client.h2.ping(b"12345678")) in (11, None)


def test_a_flood_of_settings_ends_the_connection(http2, target):
    live = http2(target().port)
    with Http2Client(live.port) as client:
        assert flood(client, lambda: client.h2.update_settings({4: 65_535})) in (11, None)


def test_a_flood_of_empty_data_ends_the_connection(http2, target):
    live = http2(target(lambda wire: wire.rest()).port)
    with Http2Client(live.port) as client:
        stream = client.begin("POST", "/", end=False)
        assert flood(client, lambda: client.h2.send_data(stream, b"")) in (11, None)


def test_rapid_resets_end_the_connection(http2, target):
    """CVE-2023-44487."""
    live = http2(target(lambda wire: wire.rest()).port)
    with Http2Client(live.port) as client:

        def send():
            stream = client.begin()
            client.h2.reset_stream(stream, 8)

        assert flood(client, send) in (11, None)
    wait_until(lambda: not live.in_flight, "requests are left")
    assert len(live.records.all) <= 300


def test_a_flood_of_continuations_ends_the_connection(http2, target):
    """CVE-2024-27316: HEADERS without END_HEADERS, then CONTINUATION for ever."""
    live = http2(target().port)
    with Http2Client(live.port) as client:
        client.until(lambda: client.h2.remote_settings.max_concurrent_streams == 128)
        frames = b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82" + b"\x00\x00\x00\x09\x00\x00\x00\x00\x01" * 100
        client.socket.sendall(frames)
        client.rest()
        assert client.goaways


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", id="HTTP/1.1"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100, id="a frame that is too long"),
        pytest.param(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00", id="0 credit"
        ),
    ],
)
def test_what_is_no_http2_closes_the_connection(http2, target, data):
    live = http2(target().port)
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as plain:
        plain.sendall(data)
        while plain.recv(65536):
            pass


def test_a_fixed_response_and_a_reset_in_the_same_bytes(http2, target):
    rule = RuleConfig("all", 1, (ConditionConfig("path-pattern", ("/*",)),), FixedResponseConfig(200, None, "hello"))
    live = http2(target().port, rules=(rule,))
    with Http2Client(live.port) as client:
        stream = client.h2.get_next_available_stream_id()
        client.h2.send_headers(stream, PSEUDO, end_stream=True)
        client.h2.reset_stream(stream, 8)
        client.flush()
        assert client.ask().body == b"hello"


def test_an_answer_before_the_end_of_the_request_tells_the_client_to_stop(http2, target):
    rule = RuleConfig("all", 1, (ConditionConfig("path-pattern", ("/*",)),), FixedResponseConfig(413, None, "no"))
    live = http2(target().port, rules=(rule,))
    with Http2Client(live.port) as client:
        stream = client.begin("POST", "/", end=False)
        response = client.response(stream)
        client.until(lambda: response.reset is not None)
        assert (response.status, response.body, response.reset) == (413, b"no", 0)
