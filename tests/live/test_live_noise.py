"""Noise from either side: the gateway answers or closes, keeps no request in flight and serves the next client."""

import contextlib
import random

import pytest
from live_gateway import wait_until
from wire import Closed, connect

PIECES = (
    b"GET / HTTP/1.1\r\n",
    b"POST /a HTTP/1.1\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"Host: x\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"abc",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"\x00\xff",
    b": ",
    b"x" * 3000,
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n",
    b"HTTP/1.1 103 Hints\r\n\r\n",
    b"HTTP/1.1 204 No\r\n\r\n",
)


def _noise(random_):
    return b"".join(random_.choices(PIECES, k=random_.randint(1, 9)))


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("seed", range(3))
def test_noise_from_both_sides(gateway, target, seed, loop):
    random_ = random.Random(seed)
    one = target()

    def script(wire):
        while wire.fill():
            wire.buffer = b""
            wire.send(_noise(random_))
            if random_.random() < 0.3:
                if random_.random() < 0.5:
                    wire.reset()
                return

    one.script = script
    live = gateway(one.port, loop=loop)
    for _ in range(120):
        with connect(live.port) as client, contextlib.suppress(Closed, OSError):
            for _ in range(random_.randint(1, 3)):
                client.send(_noise(random_))
            if random_.random() < 0.5:
                client.socket.settimeout(0.02)
                client.rest()
            elif random_.random() < 0.5:
                client.reset()
    wait_until(lambda: not live.in_flight and not live.gateway._clients, live._state)
    one.script = one.answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    wait_until(lambda: _answers(live.port), "the gateway serves nobody any more")
    wait_until(lambda: not live.in_flight, live._state)
    assert all(record.ended_at and record.status for record in live.records.all)


def _answers(port):
    """Whether a plain request is answered; a target connection still full of noise may spoil the first one."""
    with connect(port) as client, contextlib.suppress(Closed, ValueError, IndexError):
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return client.response().body == b"ok"
    return False
