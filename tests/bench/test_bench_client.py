"""The client accounts for every request, whatever the other side does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bench.client import Client, End, Outcome, read_chunked

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def against(*answers: bytes, method: str = "GET", times: int = 1, timeout_seconds: float = 5.0) -> list[Outcome]:
    """Return the outcomes of requests to a server that gives each answer once, then closes the connection.

    An answer of `b"-"` keeps silent.
    """

    async def run() -> list[Outcome]:
        left = list(answers)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            answer = left.pop(0) if left else b""
            if answer == b"-":
                await reader.read()
            writer.write(answer)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            client = Client(server.sockets[0].getsockname()[1], timeout_seconds=timeout_seconds)
            outcomes = [await client.request(method, "/") for _ in range(times)]
            await client.close()
        return outcomes

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "method", "expected"),
    [
        pytest.param(OK, "GET", Outcome(End.ANSWERED, 200, b"ok"), id="a body of known length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n",
            "GET",
            Outcome(End.ANSWERED, 200, b"abcde"),
            id="a chunked body with trailers",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD", Outcome(End.ANSWERED, 200), id="HEAD has no body"
        ),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", "GET", Outcome(End.ANSWERED, 204), id="204 has no body"),
        pytest.param(
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            "POST",
            Outcome(End.ANSWERED, 502),
            id="an error is an answer",
        ),
        pytest.param(OK[:-1], "GET", Outcome(End.CUT), id="a body that ends early"),
        pytest.param(b"HTTP/1.1 200", "GET", Outcome(End.CUT), id="a head that ends early"),
        pytest.param(b"", "GET", Outcome(End.LOST), id="no byte of a response"),
    ],
)
def test_how_a_request_ends(answer: bytes, method: str, expected: Outcome) -> None:
    assert against(answer, method=method) == [expected]


def test_silence_ends_as_hung() -> None:
    assert against(b"-", timeout_seconds=0.05) == [Outcome(End.HUNG)]


def test_a_refused_connection_is_lost() -> None:
    async def run() -> Outcome:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return await Client(port).request("GET", "/")

    assert asyncio.run(run()) == Outcome(End.LOST)


@pytest.mark.parametrize(
    ("method", "second"),
    [
        pytest.param("GET", Outcome(End.ANSWERED, 200, b"ok"), id="a request that may be repeated is sent again"),
        pytest.param("POST", Outcome(End.LOST), id="another one is not"),
    ],
)
def test_a_kept_connection_that_was_closed(method: str, second: Outcome) -> None:
    """RFC 9110 9.2.2: a client may repeat an idempotent request on its own."""
    outcomes = against(OK, OK, method=method, times=2)

    assert outcomes == [Outcome(End.ANSWERED, 200, b"ok"), second]


def test_a_chunk_size_is_hexadecimal() -> None:
    async def run() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(b"A\r\n0123456789\r\n0\r\n\r\n")
        return await read_chunked(reader)

    assert asyncio.run(run()) == b"0123456789"
