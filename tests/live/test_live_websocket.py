"""A WebSocket is a tunnel of bytes from the 101 on, until either side ends it."""

import asyncio
import contextlib
import threading

import pytest
from live_gateway import SHORT_IDLE, wait_until
from websockets.asyncio.client import connect as open_websocket
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from wire import Closed, connect

ASK = (
    b"GET /chat?x=%20 HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: q\r\n\r\n"
)


@contextlib.contextmanager
def websocket_server(handler):
    """A server of the `websockets` package on a free port, in a thread."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    ports = []
    started = threading.Event()

    async def main():
        async with serve(handler, "127.0.0.1", 0) as server:
            ports.append(server.sockets[0].getsockname()[1])
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def test_messages_go_both_ways_and_the_client_closes(gateway):
    async def echo(websocket):
        async for message in websocket:
            await websocket.send(message)

    async def talk(port):
        async with open_websocket(f"ws://127.0.0.1:{port}/chat", max_size=None, compression=None) as websocket:
            for message in ("hello", b"\x00\xff" * 300_000, "", "bye"):
                await websocket.send(message)
                assert await websocket.recv() == message

    with websocket_server(echo) as port:
        live = gateway(port)
        asyncio.run(talk(live.port))
        record = live.record()
    assert (record.status, record.tunnel, record.reason) == (101, True, "")
    assert record.response_bytes > 600_000


def test_the_server_closes_with_a_code(gateway):
    async def leave(websocket):
        await websocket.send("one")
        await websocket.close(4001, "enough")

    async def talk(port):
        async with open_websocket(f"ws://127.0.0.1:{port}/") as websocket:
            assert await websocket.recv() == "one"
            with pytest.raises(ConnectionClosed) as closed:
                await websocket.recv()
            assert closed.value.rcvd.code == 4001

    with websocket_server(leave) as port:
        live = gateway(port)
        asyncio.run(talk(live.port))
        live.record()


def test_a_refused_upgrade_is_an_ordinary_response(gateway, target):
    one = target()
    one.script = one.answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    live = gateway(one.port)

    async def ask(port):
        async with open_websocket(f"ws://127.0.0.1:{port}/"):
            pass

    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(ask(live.port))
    assert refused.value.response.status_code == 403
    with connect(live.port) as client:
        for _ in range(2):
            client.send(ASK)
            response = client.response()
            assert (response.status, response.body) == (403, b"no")
    assert live.record(3).tunnel is False


def test_the_handshake_reaches_the_target_and_bytes_sent_early_are_not_lost(gateway, target):
    one = target()

    def script(wire):
        one.take(wire)
        wire.send(SWITCH, b"early from target")
        assert wire.exactly(22) == b"early from clientlater"
        wire.send(b"done")
        wire.rest()

    one.script = script
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(ASK, b"early from client")
        head = client.head()
        assert head.first_line == b"HTTP/1.1 101 Switching Protocols"
        assert (head.value("upgrade"), head.value("connection")) == (b"websocket", b"Upgrade")
        assert head.value("sec-websocket-accept") == b"q"
        assert client.exactly(17) == b"early from target"
        client.send(b"later")
        assert client.exactly(4) == b"done"
    live.record()
    request = one.requests[0]
    assert request.target == b"/chat?x=%20"
    assert (request.value("connection"), request.value("upgrade")) == (b"Upgrade", b"WebSocket")


def test_each_direction_of_a_tunnel_ends_by_itself(gateway, target):
    one = target()

    def script(wire):
        one.take(wire)
        wire.send(SWITCH)
        assert wire.rest() == b"last words"
        wire.send(b"answer")

    one.script = script
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(ASK)
        client.head()
        client.send(b"last words")
        client.end_writing()
        assert client.rest() == b"answer"
    record = live.record()
    assert (record.status, record.reason) == (101, "")


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_target_that_goes_ends_the_tunnel(gateway, target, how):
    one = target()
    open_ = threading.Event()

    def script(wire):
        one.take(wire)
        wire.send(SWITCH, b"x")
        assert open_.wait(10)
        if how == "reset":
            wire.reset()

    one.script = script
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(ASK)
        client.head()
        client.exactly(1)
        open_.set()
        assert client.is_at_end()
    live.record()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_goes_ends_the_tunnel(gateway, target, how):
    one = target()
    ended = threading.Event()

    def script(wire):
        one.take(wire)
        wire.send(SWITCH, b"x")
        with contextlib.suppress(Closed):
            wire.rest()
        ended.set()

    one.script = script
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(ASK)
        client.head()
        client.exactly(1)
        client.reset() if how == "reset" else client.close()
    assert ended.wait(10)
    live.record()
    wait_until(lambda: live.open_target_connections == 0, "the tunnel is kept")


def test_a_silent_tunnel_ends_with_the_idle_timeout(gateway, target, quick_clock):
    one = target(lambda wire: (wire.head(), wire.send(SWITCH), wire.rest()))
    live = gateway(one.port, attributes=SHORT_IDLE)
    with connect(live.port) as client:
        client.send(ASK)
        client.head()
        assert client.is_at_end()
    live.record()


@pytest.mark.parametrize("slow", ["client", "target"])
def test_a_slow_side_of_a_tunnel_slows_the_other_down(gateway, target, slow):
    total = 30 << 20
    read_on = threading.Event()
    one = target(receive_buffer=65536)
    sent = [0]

    def pump(connection):
        while sent[0] < total:
            sent[0] += connection.send(b"x" * 65536)

    def script(wire):
        one.take(wire)
        wire.send(SWITCH)
        if slow == "client":
            pump(wire.socket)
        else:
            assert read_on.wait(30)
            while wire.fill():
                wire.buffer = b""
                read[0] = True

    read = [False]
    one.script = script
    live = gateway(one.port)
    with connect(live.port, receive_buffer=65536) as client:
        client.send(ASK)
        client.head()
        sender = None
        if slow == "target":
            sender = threading.Thread(target=pump, args=(client.socket,), daemon=True)
            sender.start()
        before = -1
        while sent[0] != before:
            before = sent[0]
            threading.Event().wait(0.3)
        assert 0 < sent[0] < total
        read_on.set()
        if slow == "client":
            client.exactly(total)
        else:
            sender.join(30)
            assert sent[0] >= total
    live.record()


def test_a_tunnel_ends_when_the_gateway_stops(gateway, target):
    one = target(lambda wire: (wire.head(), wire.send(SWITCH), wire.rest()))
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(ASK)
        client.head()
        live._server.should_exit = True
        assert client.is_at_end()
    live.record()


def test_a_websocket_by_the_asgi_door_is_refused_and_not_opened(gateway, target):
    one = target()
    live = gateway(one.port, door="asgi")
    with connect(live.port) as client:
        client.send(ASK)
        assert client.response().status == 200  # uvicorn without WebSockets takes it for a plain request
    live.record()
    assert not one.requests[0].values("upgrade")
