"""The protocol of the benchmarks' own targets: HTTP/1.1 with kept connections and bodies of known length."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from bench.client import parse_fields

Protocol = Callable[[], asyncio.Protocol]


class Target(asyncio.Protocol):
    """One connection. A subclass says what it answers; requests are taken one after the other."""

    def __init__(self) -> None:
        self.received = bytearray()

    def answer(self, method: str, target: str, body: bytes) -> None:
        """Called with each complete request; calls `send`, now or later."""
        raise NotImplementedError

    def send(self, body: bytes, method: str = "GET", status: str = "200 OK") -> None:
        """Send a response unless the connection has gone."""
        if not self.transport.is_closing():
            fields = f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
            head = f"HTTP/1.1 {status}\r\n{fields}".encode()
            self.transport.write(head if method == "HEAD" else head + body)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            first, fields = parse_fields(bytes(self.received[: end + 4]))
            if "transfer-encoding" in fields:
                self.send(b"a body needs a Content-Length here\n", status="411 Length Required")
                self.transport.close()
                return
            start = end + 4
            stop = start + int(fields.get("content-length", "0"))
            if len(self.received) < stop:
                return
            method, target, _ = first.split(" ")
            body = bytes(self.received[start:stop])
            del self.received[:stop]
            self.answer(method, target, body)


async def serve(protocol: Protocol, ports: Sequence[int]) -> None:
    """Serve the protocol on ports of 127.0.0.1 until cancelled."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(protocol, "127.0.0.1", port, backlog=1024) for port in ports]
    await asyncio.gather(*(server.serve_forever() for server in servers))
