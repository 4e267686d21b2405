"""Target groups with protocol version HTTP2: few shared connections, and what can happen on them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from http2_peers import Http2Client, Http2Target, Message
from live_gateway import SHORT_IDLE, wait_until
from scripted_target import refused_port

import proxy.forward.http2
from proxy.runtime import build

BLOCK = bytes(range(256)) * 4096
MEGABYTES = 5


@pytest.fixture
def http2_target() -> Iterator[Callable[..., Http2Target]]:
    made: list[Http2Target] = []

    def make(*arguments, **options):
        made.append(Http2Target(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert [failure for one in made for failure in one.failures] == []


@pytest.fixture
def http2(gateway):
    def make(*ports, **options):
        return gateway(*ports, door="http2", protocol_version="HTTP2", **options)

    return make


def test_a_request_and_its_response(http2, http2_target):
    one = http2_target(lambda peer, number, _: peer.reply(number, 201, [("x-a", "1")], b"made"))
    live = http2(one.port)
    with Http2Client(live.port) as client:
        response = client.ask("POST", "/a?b", [("x-c", "2"), ("te", "trailers")], b"hello")
    assert (response.status, response.value("x-a"), response.body) == (201, b"1", b"made")
    request = one.requests[0]
    assert request.headers[:4] == [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", b"example.com:%d" % live.port),
        (b":path", b"/a?b"),
    ]
    assert {b"x-c", b"x-forwarded-for", b"x-amzn-trace-id"} <= {name for name, _ in request.headers}
    assert b"transfer-encoding" not in {name for name, _ in request.headers}
    assert request.body == b"hello"
    record = live.record()
    assert (record.status, record.target_status, record.target_id) == (201, 201, f"127.0.0.1:{one.port}")


def test_requests_share_a_connection(http2, http2_target):
    one = http2_target()
    live = http2(one.port)
    with Http2Client(live.port) as client:
        streams = [client.begin(path=f"/{number}") for number in range(50)]
        assert {client.response(stream).status for stream in streams} == {200}
    assert one.accepted == 1


def test_trailers_and_early_hints_come_through(http2, http2_target):
    def script(peer, number, request):
        peer.h2.send_headers(number, [(b":status", b"103"), (b"link", b"</a>")])
        peer.reply(number, 200, [], b"ok", [("x-sum", "7")])

    one = http2_target(script)
    with Http2Client(http2(one.port).port) as client:
        stream = client.begin("POST", end=False)
        client.send_body(stream, b"abc", end=False)
        client.h2.send_headers(stream, [(b"x-check", b"1")], end_stream=True)
        client.flush()
        response = client.response(stream)
    assert (response.body, response.trailers) == (b"ok", [(b"x-sum", b"7")])
    assert response.informational == [[(b":status", b"103"), (b"link", b"</a>")]]
    assert (one.requests[0].body, one.requests[0].trailers) == (b"abc", [(b"x-check", b"1")])


def test_a_head_response_has_its_length_and_no_body(http2, http2_target):
    one = http2_target(lambda peer, number, _: peer.reply(number, 200, [("content-length", "42")]))
    with Http2Client(http2(one.port).port) as client:
        assert client.ask("HEAD").value("content-length") == b"42"


def test_big_bodies_both_ways(http2, http2_target):
    def script(peer, number, request):
        digest = hashlib.sha256(request.body).hexdigest()
        threading.Thread(target=peer.reply, args=(number, 200, [("x-digest", digest)], BLOCK * MEGABYTES)).run()

    one = http2_target(script)
    live = http2(one.port)
    with Http2Client(live.port) as client:
        response = client.ask("PUT", "/", [], BLOCK * MEGABYTES)
    digest = hashlib.sha256(BLOCK * MEGABYTES)
    assert response.value("x-digest") == digest.hexdigest().encode()
    assert hashlib.sha256(response.body).digest() == digest.digest()


def test_the_response_streams_while_the_request_does(http2, http2_target):
    """Each message is answered before the next one is sent: nothing is held back for more to come."""

    def script(peer, number, request):
        peer.h2.send_headers(number, [(b":status", b"200")])

    one = http2_target(script, at_once=True)
    live = http2(one.port)
    with Http2Client(live.port) as client:
        stream = client.begin("POST", end=False)
        message = client.messages.setdefault(stream, Message())
        client.until(lambda: message.status == 200)
        peer = one.peers[0]
        for count in range(1, 4):
            client.send_body(stream, b"ping", end=False)
            wait_until(lambda count=count: len(one.requests[0].body) == 4 * count, "no ping")
            peer.h2.send_data(1, b"pong")
            peer.flush()
            client.until(lambda count=count: len(message.body) == 4 * count)
        peer.h2.end_stream(1)
        peer.flush()
        client.response(stream)
        client.until(lambda: message.reset is not None)
    assert message.reset == 0, "nobody reads the rest of the request"
    live.record()


def test_a_client_without_credit_pauses_its_stream_only(http2, http2_target):
    def script(peer, number, request):
        if request.value(":path") == b"/slow":
            peer.h2.send_headers(number, [(b":status", b"200")])
            sent.append((peer, number))
        else:
            peer.reply(number, body=b"ok")

    sent = []
    one = http2_target(script)
    live = http2(one.port)
    with Http2Client(live.port) as client:
        client.gives_credit = False
        slow = client.begin(path="/slow")
        message = client.messages.setdefault(slow, Message())
        client.until(lambda: message.status == 200)
        peer, number = sent[0]
        written = 0
        for _ in range(200):
            size = min(peer.h2.local_flow_control_window(number), 16384)
            if not size:
                client.h2.increment_flow_control_window(1000)
                assert client.ask(path="/quick").body == b"ok"
                if not peer.h2.local_flow_control_window(number):
                    break
                continue
            peer.h2.send_data(number, bytes(size))
            peer.flush()
            written += size
        assert written <= 1 << 20, "the target could send what the client did not take"
        assert client.ask(path="/quick").body == b"ok"


def test_what_a_goaway_does_not_take_is_sent_to_a_new_connection(http2, http2_target):
    """RFC 9113 6.8: streams above the last one were not looked at, so even a POST is repeated; those below finish."""
    held = []

    def script(peer, number, request):
        if len(one.requests) == 1:
            held.append((peer, number))
        elif len(one.requests) == 2:
            frame = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + (1).to_bytes(4, "big") + bytes(4)
            peer.socket.sendall(frame)
        else:
            peer.reply(number, body=b"new")

    one = http2_target(script)
    live = http2(one.port)
    with Http2Client(live.port) as client:
        first = client.begin("POST", "/first")
        wait_until(lambda: len(held) == 1, "no request")
        assert client.ask("POST", "/second").body == b"new"
        peer, number = held[0]
        peer.reply(number, body=b"old")
        assert client.response(first).body == b"old"
    assert one.accepted == 2
    live.record(2)


def test_a_refused_stream_is_sent_again(http2, http2_target):
    def script(peer, number, request):
        if len(one.requests) == 1:
            peer.h2.reset_stream(number, 7)
            peer.flush()
        else:
            peer.reply(number, body=b"ok")

    one = http2_target(script)
    with Http2Client(http2(one.port).port) as client:
        assert client.ask("POST").body == b"ok"


@pytest.mark.parametrize(("method", "asked"), [("POST", 1), ("GET", 2)])
def test_a_reset_before_the_response_is_a_502_unless_it_may_be_repeated(http2, http2_target, method, asked):
    def script(peer, number, request):
        peer.h2.reset_stream(number, 2)
        peer.flush()

    one, other = http2_target(script), http2_target(script)
    live = http2(one.port, other.port)
    with Http2Client(live.port) as client:
        assert client.ask(method).status == 502
    assert len(one.requests + other.requests) == asked
    assert live.record().reason == "Target.ConnectionClosed"


def test_a_reset_within_the_response_cuts_it(http2, http2_target):
    def script(peer, number, request):
        peer.h2.send_headers(number, [(b":status", b"200")])
        peer.h2.send_data(number, b"half")
        peer.h2.reset_stream(number, 2)
        peer.flush()

    one = http2_target(script)
    with Http2Client(http2(one.port).port) as client:
        response = client.ask()
        assert (response.status, response.ended, response.reset) == (200, False, 2)


def test_a_lost_connection_fails_all_its_requests(http2, http2_target):
    def script(peer, number, request):
        if len(one.requests) == 3:
            peer.socket.close()

    one = http2_target(script)
    live = http2(one.port)
    with Http2Client(live.port) as client:
        streams = [client.begin("POST", f"/{number}") for number in range(3)]
        assert [client.response(stream).status for stream in streams] == [502] * 3
    live.record(3)


def test_a_client_reset_is_passed_on_and_the_connection_kept(http2, http2_target):
    one = http2_target(lambda peer, number, request: request.value(":path") == b"/" and peer.reply(number))
    live = http2(one.port)
    with Http2Client(live.port) as client:
        stream = client.begin(path="/never")
        wait_until(lambda: len(one.requests) == 1, "no request")
        client.h2.reset_stream(stream, 8)
        client.flush()
        wait_until(lambda: one.requests[0].reset == 8, "no reset")
        assert client.ask().status == 200
    assert one.accepted == 1


def test_requests_wait_for_a_place_in_order(http2, http2_target, monkeypatch):
    monkeypatch.setattr(proxy.forward.http2, "MAX_CONNECTIONS", 2)
    most = []

    def script(peer, number, request):
        most.append(sum(not each.ended or each not in answered for each in peer.messages.values()))
        answered.append(request)
        peer.reply(number)

    answered = []
    one = http2_target(script, max_streams=1)
    live = http2(one.port)
    with Http2Client(live.port) as client:
        streams = [client.begin("POST", f"/{number}") for number in range(20)]
        assert {client.response(stream).status for stream in streams} == {200}
    assert one.accepted == 2
    assert max(most) == 1
    live.record(20)


def test_a_silent_target_is_a_504_and_its_stream_is_given_up(http2, http2_target, quick_clock):
    one = http2_target(lambda *_: None)
    live = http2(one.port, attributes=SHORT_IDLE)
    with Http2Client(live.port) as client:
        assert client.ask().status == 504
        wait_until(lambda: one.requests[0].reset == 8, "no reset")


def test_a_target_that_answers_no_ping_is_given_up(http2, target, quick_clock, monkeypatch):
    """Its connection is everybody's."""
    monkeypatch.setattr(proxy.forward.http2, "SILENCE_SECONDS", 0.3)

    def script(wire):
        wire.send(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        wire.rest()

    live = http2(target(script).port)
    with Http2Client(live.port) as client:
        assert client.ask("POST").status == 502


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", id="speaks HTTP/1.1"),
        pytest.param(b"", id="closes"),
    ],
)
def test_a_target_that_speaks_no_http2_is_a_502(http2, target, answer):
    def script(wire):
        wire.fill()
        wire.send(answer)

    live = http2(target(script).port)
    with Http2Client(live.port) as client:
        assert client.ask().status == 502
    assert live.record().reason == "Target.ConnectionRefused"


def test_a_target_that_refuses_is_passed_over(http2, http2_target):
    one = http2_target()
    with Http2Client(http2(refused_port(), one.port).port) as client:
        assert [client.ask("POST").status for _ in range(4)] == [200] * 4


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([(b":status", b"200"), (b"connection", b"close")], id="a connection-specific field"),
        pytest.param([(b":status", b"200"), (b"x", b"a\r\nSet-Cookie: b")], id="a line break in a value"),
        pytest.param([(b":status", b"200"), (b"X", b"a")], id="an upper-case name"),
        pytest.param([(b":status", b"999999")], id="a status of six digits"),
        pytest.param([(b"x", b"a")], id="no status"),
        pytest.param([(b":status", b"200"), *((b"x%d" % n, b"a" * 9000) for n in range(4))], id="over 32 K"),
        pytest.param([(b":status", b"200"), (b"content-length", b"5")], id="Content-Length and no body"),
    ],
)
def test_a_malformed_response_is_a_502_and_the_connection_goes_on(http2, http2_target, fields):
    def script(peer, number, request):
        if len(one.requests) == 1:
            peer.h2.send_headers(number, fields, end_stream=True)
            peer.flush()
        else:
            peer.reply(number)

    one = http2_target(script)
    live = http2(one.port)
    with Http2Client(live.port) as client:
        assert client.ask("POST").status == 502
        assert client.ask("POST").status == 200
    live.record(2)


def test_after_a_reload_to_another_version_targets_are_spoken_to_in_it(gateway, http2_target):
    one = http2_target()
    live = gateway(one.port, door="http2", protocol_version="HTTP1")
    with Http2Client(live.port) as client:
        assert client.ask("POST").status == 502
        one.settled()  # It got no HTTP/2, if it got anything before the reset.
        config = live.gateway.runtime.config
        group = replace(config.target_groups["targets"], protocol_version="HTTP2")
        after = replace(config, target_groups={"targets": group})
        live.call(lambda: live.gateway.replace(build(after, live.gateway.metrics)))
        assert client.ask().status == 200
