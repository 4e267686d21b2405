"""Either side may go, fall silent or talk nonsense at any moment: one answer where one can be given, one record."""

import contextlib
import select
import socket
import threading

import pytest
from live_gateway import SHORT_IDLE, wait_until
from scripted_target import refused_port
from wire import Closed, connect

from proxy.config.model import LoadBalancerAttributes

DOORS = pytest.mark.parametrize("door", ["listener", "asgi"])
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


# The client goes


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHo"], ids=["nothing", "a byte", "half a head"])
def test_a_client_that_goes_before_its_request_leaves_no_record(gateway, target, sent, how):
    one = target()
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(sent)
        wait_until(lambda: len(live.gateway._clients) == 1, "not connected")
        client.reset() if how == "reset" else client.close()
    wait_until(lambda: not live.gateway._clients, "the gateway keeps a connection that is gone")
    assert live.records.all == []
    assert one.accepted == 0


@pytest.mark.parametrize("how", ["close", "reset", "half close"])
@DOORS
def test_a_client_that_goes_within_its_body_is_recorded_as_400_and_the_target_sees_the_cut(gateway, target, door, how):
    cut = threading.Event()
    begun = threading.Event()
    one = target()

    def script(wire):
        wire.head()
        wire.exactly(3)
        begun.set()
        with contextlib.suppress(Closed):
            wire.rest()
        cut.set()

    one.script = script
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(POST, b"abc")
        assert begun.wait(10)
        _leave(client, how)
        record = live.record()
    assert (record.status, record.target_status, record.reason) == (400, 0, "Client.Closed")
    assert cut.wait(10)


@pytest.mark.parametrize("how", ["close", "reset", "half close"])
@DOORS
def test_a_client_that_goes_before_the_response_is_recorded_as_460(gateway, target, door, how):
    cut = threading.Event()
    begun = threading.Event()
    one = target()

    def script(wire):
        one.take(wire)
        begun.set()
        with contextlib.suppress(Closed):
            wire.rest()
        cut.set()

    one.script = script
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(GET)
        assert begun.wait(10)
        _leave(client, how)
        record = live.record()
    assert (record.status, record.target_status, record.reason) == (460, 0, "Client.Closed")
    assert cut.wait(10)
    wait_until(lambda: live.open_target_connections == 0, "the connection to the target is kept")


@pytest.mark.parametrize("how", ["close", "reset"])
@DOORS
def test_a_client_that_goes_within_the_response_stops_the_target(gateway, target, door, how):
    cut = threading.Event()
    one = target()

    def script(wire):
        one.take(wire)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        try:
            while True:
                wire.send(b"x" * 65536)
        except OSError:
            cut.set()

    one.script = script
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(GET)
        client.head()
        client.exactly(100_000)
        _leave(client, how)
    record = live.record()
    assert (record.status, record.reason) == (200, "Client.Closed")
    assert cut.wait(10)


def test_a_client_that_goes_while_its_target_is_being_connected_to(gateway):
    with socket.socket() as full:
        # A backlog that is full leaves further connections unanswered.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        live = gateway(full.getsockname()[1])
        with connect(live.port) as client:
            client.send(GET)
            wait_until(lambda: live.in_flight == 1, "no request in flight")
        record = live.record()
        for filler in fillers:
            filler.close()
    assert (record.status, record.reason) == (460, "Client.Closed")


# The target goes


def _sends(data, *, then="close"):
    def script(wire):
        wire.head()
        wire.send(data)
        if then == "reset":
            wire.reset()

    return script


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "data",
    [b"", b"H", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 103 Early Hints\r\n\r\n"],
    ids=["nothing", "a byte", "half a head", "103 alone"],
)
@DOORS
def test_a_target_that_goes_before_its_response_is_502_and_asked_once(gateway, target, door, data, method, then):
    one = target(_sends(data, then=then))
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(b"%s / HTTP/1.1\r\nHost: x\r\n\r\n" % method.encode())
        response = client.response()
        if response.status == 103:
            response = client.response()
        assert response.status == 502
    record = live.record()
    assert (record.status, record.target_status, record.reason) == (502, 0, "Target.ConnectionClosed")
    assert one.accepted == 1


@DOORS
def test_a_target_that_closes_as_soon_as_it_accepts_is_502(gateway, target, door):
    one = target(lambda wire: None)
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        for _ in range(3):
            client.send(GET)
            assert client.response().status == 502
    live.record(3)


@DOORS
def test_a_target_that_refuses_is_502_and_the_client_is_kept(gateway, door):
    live = gateway(refused_port(), door=door)
    with connect(live.port) as client:
        for _ in range(2):
            client.send(GET)
            assert client.response().status == 502
    assert live.record(2).reason == "Target.ConnectionRefused"


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n",
    ],
    ids=["before the body", "within a sized body", "within a chunk", "before the last chunk", "within the trailers"],
)
@DOORS
def test_a_target_that_goes_within_its_response_cuts_the_client(gateway, target, door, data, then):
    one = target(_sends(data, then=then))
    live = gateway(one.port, door=door)
    with connect(live.port) as client:
        client.send(GET)
        with pytest.raises(Closed):
            client.response()
    record = live.record()
    assert record.reason == "Target.ConnectionClosed"
    assert record.status in (200, 502)


def test_a_reset_within_a_response_until_close_cuts_the_client(gateway, target):
    ready = threading.Event()
    one = target()

    def script(wire):
        wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        assert ready.wait(10)
        wire.reset()

    one.script = script
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(GET)
        client.head()
        assert client.chunk() == b"abc"
        ready.set()
        with pytest.raises(Closed):
            client.chunk()
    assert live.record().reason == "Target.ConnectionClosed"


@pytest.mark.parametrize(
    "garbage",
    [
        b"not HTTP at all\r\n\r\n",
        b"\x00\x01\x02",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 6000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 40000,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    ],
    ids=lambda garbage: repr(garbage[:60]),
)
def test_a_response_that_makes_no_sense_is_502(gateway, target, garbage):
    one = target(_sends(garbage))
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(GET)
        response = client.response()
        while response.status == 103:
            response = client.response()
        assert response.status == 502
        client.send(GET)
        client.head()
    record = live.record(2)
    assert record.status == 502
    assert record.reason in ("Target.MalformedResponse", "Target.Failed")
    wait_until(lambda: live.open_target_connections == 0, "a connection that is out of step is kept")


def test_response_headers_up_to_32_k_pass(gateway, target):
    filler = b"A: " + b"x" * (32 * 1024 - 44) + b"\r\n"
    one = target()
    one.script = one.answering(b"HTTP/1.1 200 OK\r\n" + filler + b"Content-Length: 0\r\n\r\n")
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(GET)
        assert client.response().status == 200


@pytest.mark.parametrize("when", ["with the response", "later"])
def test_bytes_that_nobody_asked_for_end_the_connection(gateway, target, when):
    one = target()
    surplus = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"
    answered = threading.Event()

    def script(wire):
        one.take(wire)
        response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        if when == "later":
            wire.send(response)
            assert answered.wait(10)
            wire.send(surplus)
        else:
            wire.send(response, surplus)
        wire.rest()

    one.script = script
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(GET)
        assert client.response().body == b"ok"
        answered.set()
        wait_until(lambda: live.open_target_connections == 0, "the connection is kept")
        client.send(GET)
        assert client.response().body == b"ok"
    live.record(2)
    assert one.accepted == 2


# Silence


def test_a_client_that_says_nothing_gets_408(gateway, quick_clock):
    live = gateway(attributes=SHORT_IDLE)
    with connect(live.port) as client:
        assert client.response().status == 408
        assert client.is_at_end()
    assert live.record().reason == "Client.Timeout"


@pytest.mark.parametrize("sent", [b"GET / HT", POST[:-2]], ids=["half a line", "half a head"])
def test_a_client_that_stops_within_its_head_gets_408(gateway, quick_clock, sent):
    live = gateway(attributes=SHORT_IDLE)
    with connect(live.port) as client:
        client.send(sent)
        assert client.response().status == 408
    live.record()


def test_a_client_that_stops_within_its_body_gets_408_and_the_target_is_let_go(gateway, target, quick_clock):
    one = target(lambda wire: (wire.head(), wire.rest()))
    live = gateway(one.port, attributes=SHORT_IDLE)
    with connect(live.port) as client:
        client.send(POST, b"abc")
        response = client.response()
        assert (response.status, response.value("connection")) == (408, b"close")
        assert client.is_at_end()
    live.record()
    wait_until(lambda: live.open_target_connections == 0, "the connection to the target is kept")


def test_a_client_that_is_done_is_closed_without_a_word(gateway, target, quick_clock):
    one = target()
    live = gateway(one.port, attributes=SHORT_IDLE)
    with connect(live.port) as client:
        client.send(GET)
        client.response()
        assert client.is_at_end()
    live.record()


@DOORS
def test_a_target_that_says_nothing_is_504(gateway, target, quick_clock, door):
    one = target(lambda wire: (wire.head(), wire.rest()))
    live = gateway(one.port, attributes=SHORT_IDLE, door=door)
    with connect(live.port) as client:
        client.send(GET)
        assert client.response().status == 504
    record = live.record()
    assert (record.status, record.reason) == (504, "Target.Timeout")
    assert one.accepted == 1, "a request that timed out must not be repeated"


@DOORS
def test_a_target_that_stops_within_its_body_cuts_the_client(gateway, target, quick_clock, door):
    one = target(lambda wire: (wire.head(), wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), wire.rest()))
    live = gateway(one.port, attributes=SHORT_IDLE, door=door)
    with connect(live.port) as client:
        client.send(GET)
        with pytest.raises(Closed):
            client.response()
    assert live.record().reason == "Target.Timeout"


def test_a_target_that_reads_nothing_of_an_upload_is_504(gateway, target, quick_clock):
    done = threading.Event()
    one = target(lambda wire: done.wait(10), receive_buffer=65536)
    live = gateway(one.port, attributes=SHORT_IDLE)
    with connect(live.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        threading.Thread(target=_push, args=(client,), daemon=True).start()
        assert client.response().status == 504
        record = live.record()
    done.set()
    assert record.reason == "Target.Timeout"


def test_a_client_that_reads_nothing_of_its_response_is_cut(gateway, target, quick_clock):
    one = target()
    one.script = one.answering(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 50_000_000)
    live = gateway(one.port, attributes=SHORT_IDLE)
    with connect(live.port, receive_buffer=65536) as client:
        client.send(GET)
        record = live.record()
        wait_until(lambda: not live.gateway._clients, "the client is kept")
    assert (record.status, record.reason) == (200, "Client.Closed")


@pytest.mark.parametrize("head", [b"", b"Connection: close\r\n"], ids=["keep-alive", "close"])
def test_a_client_that_leaves_the_end_of_its_last_response_is_cut(gateway, target, quick_clock, head):
    """The exchange is over, but its last bytes wait in the gateway for a client that never takes them."""
    size = 60_000
    one = target()
    one.script = one.answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    live = gateway(one.port, attributes=SHORT_IDLE, send_buffer=4096)
    with connect(live.port, receive_buffer=4096) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n", head, b"\r\n")
        assert live.record().reason == ""
        wait_until(lambda: not live.gateway._clients, "the client is kept")
    live.record()


def test_a_slow_trickle_is_not_idle(gateway, target, quick_clock):
    one = target()

    def script(wire):
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            threading.Event().wait(0.25)
            wire.send(b"x")

    one.script = script
    live = gateway(one.port, attributes=SHORT_IDLE)
    with connect(live.port) as client:
        for part in (b"POST / HTTP/1.1\r\n", b"Host: x\r\n", b"Content-Length: 3\r\n\r\n", b"a", b"b", b"c"):
            threading.Event().wait(0.4)
            client.send(part)
        assert client.response().body == b"x" * 8
    live.record()


def test_a_head_in_trickles_does_not_outlast_the_lifetime(gateway, target, quick_clock):
    """Each line resets the idle timeout; 64 K of them would hold a connection for weeks."""
    attributes = LoadBalancerAttributes(idle_timeout_seconds=1, client_keep_alive_seconds=1)
    live = gateway(target().port, attributes=attributes)
    with connect(live.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        for _ in range(40):
            if select.select([client.socket], [], [], 0.25)[0]:
                break
            client.send(b"A: b\r\n")
        else:
            pytest.fail("the head may go on for ever")
        assert client.response().status == 408
        assert client.is_at_end()
    assert live.record().reason == "Client.Timeout"


def test_a_client_connection_ends_with_its_lifetime_between_requests(gateway, target, quick_clock):
    one = target()
    live = gateway(one.port, attributes=LoadBalancerAttributes(client_keep_alive_seconds=1))
    with connect(live.port) as client:
        client.send(GET)
        client.response()
        assert client.is_at_end()
    live.record()


# The gateway goes


def test_shutdown_lets_a_response_end(gateway, target):
    begun, end = threading.Event(), threading.Event()
    one = target()

    def script(wire):
        one.take(wire)
        begun.set()
        assert end.wait(10)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    one.script = script
    live = gateway(one.port)
    with connect(live.port) as client, connect(live.port) as idle:
        client.send(GET)
        assert begun.wait(10)
        live._server.should_exit = True
        assert idle.is_at_end()
        end.set()
        response = client.response()
        assert (response.status, response.value("connection")) == (200, b"close")
        assert client.is_at_end()
    live.record()


def _leave(client, how):
    if how == "reset":
        client.reset()
    elif how == "close":
        client.close()
    else:
        client.end_writing()


def _push(client):
    try:
        while True:
            client.socket.sendall(b"x" * 65536)
    except OSError:
        pass
