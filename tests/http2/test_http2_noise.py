"""Whatever bytes come after the preface: no exception leaves the connection, and it stays open or is closed."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.model import Config, FixedResponseConfig, ListenerConfig
from proxy.gateway import Gateway
from proxy.listen.http2 import ClientHttp2Connection
from proxy.observe.metrics import Metrics
from proxy.runtime import build

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
GET = b"\x82\x87\x84\x41\x01a"  # :method GET, :scheme https, :path /, :authority a


class Transport:
    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 80) if name.endswith("name") else None


@st.composite
def frame(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 12))
    body = draw(
        st.sampled_from([GET, b"", b"12345678", b"\0\0\0\0", b"\0\0\0\x08", b"\0\4\0\0\0\0"]) | st.binary(max_size=20)
    )
    flags = draw(st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x25, 0xFF]))
    stream = draw(st.sampled_from([0, 1, 3, 5, 7, 2, 2**31 - 1]))
    length = draw(st.sampled_from([len(body)] * 8 + [0, len(body) + 1, 0xFFFFFF]))
    return length.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


@settings(max_examples=400, deadline=None)
@given(st.lists(frame(), max_size=12), st.integers(1, 40))
def test_noise(frames: list[bytes], piece: int) -> None:
    metrics = Metrics()
    config = Config((ListenerConfig("web", 80, FixedResponseConfig(200, None, "hello")),), {})

    async def run() -> None:
        gateway = Gateway(build(config, metrics), metrics)
        connection = ClientHttp2Connection(gateway, set())
        transport = Transport()
        connection.connection_made(transport)  # type: ignore[arg-type]
        data = PREFACE + b"".join(frames)
        for start in range(0, len(data), piece):
            connection.data_received(data[start : start + piece])
        connection.check_time(connection.active_at + 100, 1.0, 10.0)
        connection.connection_lost(None)
        assert not connection.streams or all(stream.is_answered for stream in connection.streams.values())

    asyncio.run(run())
