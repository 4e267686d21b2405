"""A target that answers a request with the request's body: `python -m bench.echo_target PORT...`.

It takes part in every run and must not be what limits it: of a head it looks for the length alone.
"""

from __future__ import annotations

import asyncio
import sys
from functools import lru_cache
from typing import cast

import uvloop

from bench.target import serve


class Echo(asyncio.Protocol):
    """One connection, whose requests have a Content-Length or no body."""

    def __init__(self) -> None:
        self.received = b""
        self.expected = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received = self.received + data if self.received else data
        while self.received and len(self.received) >= self.expected:
            end = self.received.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            answer, length = answer_to(shape(self.received[:end]))
            self.expected = end + length
            if len(self.received) < self.expected:
                return
            self.transport.write(answer + self.received[end : self.expected])
            self.received = self.received[self.expected :]
            self.expected = 0


def shape(head: bytes) -> bytes:
    """Return the Content-Length line of a head: all that the answer depends on."""
    start = head.lower().find(b"\r\ncontent-length:")
    return head[start : head.find(b"\r\n", start + 2)] if start >= 0 else b""


@lru_cache
def answer_to(line: bytes) -> tuple[bytes, int]:
    """Return the head of the answer, and the length of the body."""
    length = int(line.partition(b":")[2] or 0)
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n".encode(), length


if __name__ == "__main__":
    uvloop.run(serve(Echo, [int(port) for port in sys.argv[1:]]))
