"""A forwarding loop that does nothing: python -m bench.floor PORT TARGET_PORT [--parse | --answer]

Every client connection has a target connection of its own, open as long as it is: what comes on one is written to
the other. With `--parse` each message's head is parsed first (httptools, as uvicorn does), and the message is written
at its end, as bytes. With `--answer` there is no target: whatever comes is answered. It decides nothing, adds nothing,
limits nothing and counts nothing: what a proxy on this event loop costs more than this is what it does.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from typing import cast

import httptools
import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ntarget"


class Side(asyncio.Protocol):
    """One connection; what comes here leaves there, once there is a `transport` there."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiting: list[bytes] = []
        self.there: Side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.writelines(self.waiting)

    def data_received(self, data: bytes) -> None:
        if self.there.transport is None:
            self.there.waiting.append(data)
        else:
            self.there.transport.write(data)

    def connection_lost(self, exception: Exception | None) -> None:
        if self.there.transport is not None:
            self.there.transport.close()


class ParsingSide(Side):
    """A message is written as soon as the parser has seen its end."""

    def __init__(self, parser: Callable[[object], httptools.HttpRequestParser | httptools.HttpResponseParser]) -> None:
        super().__init__()
        self.parser = parser(self)
        self.parts: list[bytes] = []
        self.fields: list[tuple[bytes, bytes]] = []
        self.url = b""

    def data_received(self, data: bytes) -> None:
        self.parts.append(data)
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_message_complete(self) -> None:
        message = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        self.parts = []
        self.fields = []
        self.url = b""
        super().data_received(message)


class AnsweringSide(asyncio.Protocol):
    """Answers whatever comes."""

    __slots__ = ("transport",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER)


async def answer(port: int) -> None:
    """Answer until cancelled."""
    server = await asyncio.get_running_loop().create_server(AnsweringSide, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


async def serve(port: int, target_port: int, *, parse: bool) -> None:
    """Serve until cancelled."""
    loop = asyncio.get_running_loop()

    def accept() -> Side:
        client = ParsingSide(httptools.HttpRequestParser) if parse else Side()
        target = ParsingSide(httptools.HttpResponseParser) if parse else Side()
        client.there, target.there = target, client
        opening = loop.create_task(loop.create_connection(lambda: target, "127.0.0.1", target_port))
        openings.add(opening)
        opening.add_done_callback(openings.discard)
        return client

    openings: set[asyncio.Task[object]] = set()
    server = await loop.create_server(accept, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.floor", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("target_port", type=int)
    parser.add_argument("--parse", action="store_true", help="parse heads with httptools")
    parser.add_argument("--answer", action="store_true", help="answer instead of forwarding")
    options = parser.parse_args()
    if options.answer:
        uvloop.run(answer(options.port))
    else:
        uvloop.run(serve(options.port, options.target_port, parse=options.parse))
