"""Bodies stream through both ways, and a slow side slows the other down."""

import hashlib
import os
import socket
import threading
import time

import pytest
from live_gateway import wait_until
from wire import connect

import proxy.listen.protocol
from proxy.config.model import ConditionConfig, FixedResponseConfig, RuleConfig
from proxy.forward.connection import TargetConnection

DOORS = pytest.mark.parametrize("door", ["listener", "asgi", "asgi-h11"])
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
MEGABYTES = int(os.environ.get("STRANGLER_TEST_MEGABYTES", "100"))
"""Size of the big bodies; 2000 shows the same in a minute."""
BLOCK = bytes(range(256)) * 4096
BOUND = 24 << 20
"""Bytes that the process may grow by for one body that is not taken: buffers of two connections and the allocator's."""


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@DOORS
def test_a_chunked_upload_byte_by_byte_arrives_whole(gateway, target, door):
    one = target()
    live = gateway(one.port, door=door)
    body = b"3\r\nabc\r\nA\r\n0123456789\r\n1\r\n\r\r\n0\r\n\r\n"
    with connect(live.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for byte in body:
            client.send(bytes([byte]))
        assert client.response().status == 200
    live.record()
    assert one.requests[0].body == b"abc0123456789\r"


def test_a_whole_request_byte_by_byte_arrives_whole(gateway, target):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        for byte in b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc":
            client.send(bytes([byte]))
        assert client.response().status == 200
    assert one.requests[0].body == b"abc"


def test_a_chunked_upload_is_passed_on_as_framed_with_extensions_and_trailers(gateway, target):
    one = target()
    live = gateway(one.port)
    body = b'3;name="v;\x01";x\r\nabc\r\n0;last\r\nX-Check: 1\r\nX-More: 2\r\n\r\n'
    with connect(live.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n", body)
        assert client.response().status == 200
    assert one.requests[0].raw_body == body
    assert one.requests[0].trailers == [b"X-Check: 1\r\n", b"X-More: 2\r\n"]


@DOORS
@pytest.mark.parametrize("cut", [1, 2, 3, 7, 50])
def test_a_chunked_response_in_pieces_arrives_whole(gateway, target, door, cut):
    response = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"5\r\nhello\r\n6;x\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    one = target()

    def script(wire):
        for _ in range(2):
            one.take(wire)
            for start in range(0, len(response), cut):
                wire.send(response[start : start + cut])

    one.script = script
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            received = client.response()
            assert received.body == b"hello world"
            if door == "listener":
                assert received.trailers == [b"X-Sum: 1\r\n"]
    live.record(2)
    assert one.accepted == 1


@DOORS
def test_each_event_arrives_before_the_next_is_sent(gateway, target, door):
    one = target()
    taken = threading.Semaphore(0)

    def script(wire):
        one.take(wire)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            event = b"data: %d\n\n" % number
            wire.send(b"%x\r\n%s\r\n" % (len(event), event))
            assert taken.acquire(timeout=10)
        wire.send(b"0\r\n\r\n")

    one.script = script
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.head().status == 200
        for number in range(5):
            assert client.chunk() == b"data: %d\n\n" % number
            taken.release()
        assert client.chunk() == b""
    live.record()


@DOORS
def test_the_target_gets_the_first_of_a_body_before_the_client_sends_the_rest(gateway, target, door):
    one = target()
    came = threading.Event()

    def script(wire):
        wire.head()
        assert wire.exactly(5) == b"first"
        came.set()
        assert wire.exactly(4) == b"rest"
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    one.script = script
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nfirst")
        assert came.wait(10)
        client.send(b"rest")
        assert client.response().status == 200
    live.record()


@DOORS
def test_both_directions_stream_at_once(gateway, target, door):
    one = target()

    def script(wire):
        wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n")
        for _ in range(10):
            wire.send(wire.exactly(4))

    one.script = script
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n0000")
        assert client.head().status == 200
        for number in range(1, 10):
            assert client.exactly(4) == b"%04d" % (number - 1)
            client.send(b"%04d" % number)
        assert client.exactly(4) == b"0009"
    live.record()


# Back-pressure


@LOOPS
@pytest.mark.parametrize("connection", ["new", "kept"])
@pytest.mark.parametrize("door", ["listener", "asgi"])
def test_an_upload_to_a_target_that_does_not_read_stops_and_is_not_buffered(gateway, target, door, connection, loop):
    read_on = threading.Event()
    total = MEGABYTES << 20
    digest = hashlib.sha256()

    def script(wire):
        if connection == "kept":
            one.take(wire)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        wire.head()
        assert read_on.wait(30)
        missing = total
        while missing:
            data = wire.exactly(min(missing, 1 << 20))
            digest.update(data)
            missing -= len(data)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    one = target(script, receive_buffer=65536)
    live = gateway(one.port, door=door, loop=loop)
    with connect(live.port) as client:
        if connection == "kept":
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            client.response()
        before = resident()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % total)
        sent = _send_until_stuck(client, total)
        assert sent < total, "nothing slows the client down"
        assert resident() - before < BOUND
        read_on.set()
        while sent < total:
            start = sent % len(BLOCK)
            sent += client.socket.send(BLOCK[start : start + total - sent])
        assert client.response().status == 200
    assert resident() - before < BOUND
    assert digest.digest() == _digest_of_blocks(total)
    live.record(2 if connection == "kept" else 1)


@LOOPS
def test_an_upload_that_fills_a_new_connection_at_once_stops_too(gateway, target, monkeypatch, loop):
    """The bytes that came while the connection was opened are more than it takes."""
    read_on = threading.Event()
    total = 20 << 20
    opened = TargetConnection.connection_made

    def open_small(self, transport):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        opened(self, transport)

    monkeypatch.setattr(TargetConnection, "connection_made", open_small)

    def script(wire):
        wire.head()
        assert read_on.wait(30)
        wire.exactly(total)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    one = target(script, receive_buffer=4096)
    live = gateway(one.port, loop=loop)
    with connect(live.port) as client:
        first = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % total + BLOCK[:200_000]
        client.send(first)
        sent = 200_000 + _send_until_stuck(client, total - 200_000)
        assert sent < total, "nothing slows the client down"
        read_on.set()
        client.send(b"x" * (total - sent))
        assert client.response().status == 200
    live.record()


@LOOPS
@pytest.mark.parametrize("framing", ["sized", "chunked", "until close"])
@pytest.mark.parametrize("door", ["listener", "asgi"])
def test_a_download_that_the_client_does_not_read_stops_and_is_not_buffered(gateway, target, door, framing, loop):
    total = MEGABYTES << 20
    sent = [0]

    def script(wire):
        one.take(wire)
        head = {
            "sized": b"Content-Length: %d\r\n" % total,
            "chunked": b"Transfer-Encoding: chunked\r\n",
            "until close": b"",
        }
        wire.send(b"HTTP/1.1 200 OK\r\n", head[framing], b"\r\n")
        data = b"%x\r\n%s\r\n" % (len(BLOCK), BLOCK) if framing == "chunked" else BLOCK
        for _ in range(total // len(BLOCK)):
            wire.send(data)
            sent[0] += len(BLOCK)
        if framing == "chunked":
            wire.send(b"0\r\n\r\n")

    one = target(script)
    live = gateway(one.port, door=door, loop=loop)
    with connect(live.port, receive_buffer=65536) as client:
        before = resident()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        message = client.head()
        _wait_until_still(lambda: sent[0])
        assert sent[0] < total, "nothing slows the target down"
        assert resident() - before < BOUND
        digest = hashlib.sha256()
        received = 0
        if message.values("transfer-encoding"):
            while data := client.chunk():
                digest.update(data)
                received += len(data)
        else:
            while received < total:
                data = client.exactly(min(total - received, 1 << 20))
                digest.update(data)
                received += len(data)
    assert received == total
    assert digest.digest() == _digest_of_blocks(total)
    assert resident() - before < BOUND
    live.record()


@LOOPS
@pytest.mark.parametrize("size", [100, 40_000, 1 << 20])
def test_pipelined_responses_that_the_client_does_not_read_are_not_buffered(gateway, target, loop, size):
    body = b"x" * size
    one = target()
    one.script = one.answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (size, body))
    live = gateway(one.port, loop=loop)
    _pipeline_without_reading(live, body, max(100, (16 << 20) // size // 4))


@LOOPS
def test_pipelined_fixed_responses_that_the_client_does_not_read_are_not_buffered(gateway, loop):
    body = "x" * 1000
    rule = RuleConfig(
        "all", 1, (ConditionConfig("path-pattern", ("*",)),), FixedResponseConfig(200, "text/plain", body)
    )
    live = gateway(rules=(rule,), loop=loop)
    _pipeline_without_reading(live, body.encode(), 16_000)


def _pipeline_without_reading(live, body, count):
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(live.port, receive_buffer=4096) as client:
        sender = threading.Thread(target=client.send, args=(request * count,), daemon=True)
        sender.start()
        wait_until(lambda: len(live.records.all) > 1, "nothing is answered")
        _wait_until_still(lambda: len(live.records.all))
        unsent = live.call(lambda: max(one._transport.get_write_buffer_size() for one in live.gateway._clients))
        assert unsent < (1 << 20)
        for _ in range(count):
            assert client.response().body == body
        sender.join()
    live.record(count)


# The response comes first


def test_an_early_response_is_passed_on_and_a_small_rest_of_the_body_dropped(gateway, target):
    one = target()

    def script(wire):
        wire.head()
        wire.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        wire.rest()

    one.script = script
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
        assert client.response().status == 413
        one.script = one.answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        client.send(b"56789GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response().status == 200
    live.record(2)
    assert one.accepted == 2, "a target that still waits for a body must not get a request"
    assert one.requests[0].target == b"/next"


@pytest.mark.parametrize("framing", ["sized", "chunked"])
def test_an_early_response_to_a_big_upload_arrives_and_the_connection_closes(gateway, target, framing, monkeypatch):
    monkeypatch.setattr(proxy.listen.protocol, "LINGER_SECONDS", 0.2)
    one = target()

    def script(wire):
        wire.head()
        wire.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        wire.rest()

    one.script = script
    live = gateway(one.port)
    with connect(live.port) as client:
        head = b"Content-Length: 100000000" if framing == "sized" else b"Transfer-Encoding: chunked"
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\n", head, b"\r\n\r\n")
        if framing == "chunked":
            client.send(b"5F5E100\r\n")
        response = client.response()
        assert (response.status, response.value("connection")) == (413, b"close")
        client.send(b"x" * 200_000)
        assert client.is_at_end()
    live.record()


def test_a_fixed_response_to_an_upload_does_not_take_the_body_for_a_request(gateway):
    rule = RuleConfig("all", 1, (ConditionConfig("path-pattern", ("*",)),), FixedResponseConfig(403))
    live = gateway(rules=(rule,))
    hidden = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(live.port) as client:
        client.send(b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(hidden))
        assert client.response().status == 403
        client.send(hidden, b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response().status == 403
    live.record(2)
    assert [record.view.target for record in live.records.all] == [b"/1", b"/2"]


def _send_until_stuck(client, total):
    """Send blocks until nothing is taken for half a second; return the bytes that were taken."""
    client.socket.settimeout(0.5)
    sent = 0
    try:
        while sent < total:
            start = sent % len(BLOCK)
            sent += client.socket.send(BLOCK[start : start + total - sent])
    except TimeoutError:
        pass
    client.socket.settimeout(15)
    return sent


def _wait_until_still(value, seconds=0.5):
    """Wait until a value has not changed for a while: proof that something has stopped needs a time."""
    last, since = value(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.01)
        if value() != last:
            last, since = value(), time.monotonic()


def _digest_of_blocks(total):
    digest = hashlib.sha256()
    for _ in range(total // len(BLOCK)):
        digest.update(BLOCK)
    return digest.digest()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_response_before_a_reset_is_not_lost_to_the_next_write(gateway, target, loop):
    """The event loop is held while the target answers and resets, so that the write comes before the read."""
    may_answer, has_reset = threading.Event(), threading.Event()

    def script(wire):
        wire.head()
        may_answer.wait(5)
        wire.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        wire.reset()
        has_reset.set()

    one = target(script)
    live = gateway(one.port, loop=loop)
    with connect(live.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", b"a" * 10)
        wait_until(lambda: live.open_target_connections == 1, "not connected")
        client.send(b"b" * 10)
        pool = live.targets[0].pool

        def write_after_the_reset():
            (connection,) = pool._connections
            connection.send_more(b"c")
            may_answer.set()
            assert has_reset.wait(5)
            for _ in range(3):
                connection.send_more(b"d")

        live.call(write_after_the_reset)
        response = client.response()
    assert (response.status, response.body) == (413, b"no")
    assert live.record().target_status == 413
