"""The host's HTTP server: whole requests, bounded, and a clear end for what is malformed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proxy.functions.http import HttpServer, Request, Response

LIMIT = 1000


async def echo(request: Request) -> Response:
    if request.path == "/raise":
        raise ValueError
    return Response(200, f"{request.method} {request.path} {request.query} ".encode() + request.body)


async def exchange(sent: bytes, *, then: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None) -> bytes:
    """What the server answers until it closes, or until it has answered all and the client closes."""
    server = HttpServer(echo, max_body=LIMIT, too_large=lambda request: Response(413, b"too large"))
    port = await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    if then is not None:
        await then(writer)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    await server.stop()
    return answer


def ask(*parts: bytes) -> list[bytes]:
    answer = asyncio.run(exchange(b"".join(parts)))
    return answer.split(b"HTTP/1.1 ")[1:]


POST = b"POST /a?b=c HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b"GET /a HTTP/1.1\r\n\r\n", b"GET /a  "),
        (POST + b"Content-Length: 3\r\n\r\nabc", b"POST /a b=c abc"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"POST /a b=c abcde"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nDead-Beef: 1\r\n\r\n", b"POST /a b=c a"),
        (POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", b"POST /a b=c abc"),
        (POST + b"X: \xc3\xbc\r\nContent-Length: 0\r\n\r\n", b"POST /a b=c "),
    ],
    ids=["no body", "a length", "chunks", "trailers", "expect", "characters beyond ASCII"],
)
def test_requests(sent: bytes, body: bytes) -> None:
    answer = ask(sent)[-1]
    assert answer.startswith(b"200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n" + body)


def test_one_connection_serves_many() -> None:
    answers = ask(POST, b"Content-Length: 1\r\n\r\na", b"GET /raise HTTP/1.1\r\n\r\n", b"GET /b HTTP/1.1\r\n\r\n")
    assert [answer[:3] for answer in answers] == [b"200", b"500", b"200"]


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /a HTTP/2.0\r\n\r\n",
        b"GET /a HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /a HTTP/1.1\r\n folded: x\r\n\r\n",
        b"GET /a HTTP/1.1\r\nName : x\r\n\r\n",
        POST + b"Content-Length: x\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST + b"Transfer-Encoding: gzip\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
    ids=[
        "no request line", "another version", "no colon", "a folded line", "a blank before the colon", "a wrong length",
        "a negative length", "two lengths", "length and chunks", "another coding", "a chunk size that is none",
        "a chunk longer than its size", "a long head",
    ],
)  # fmt: skip
def test_malformed_requests_are_answered_and_end_the_connection(sent: bytes) -> None:
    answers = ask(sent, b"GET /b HTTP/1.1\r\n\r\n")
    assert len(answers) == 1
    assert answers[0].startswith(b"400 ")
    assert b"Connection: close" in answers[0]


@pytest.mark.parametrize(
    "framed",
    [
        b"Content-Length: 1001\r\n\r\n" + b"x" * 1001,
        b"Transfer-Encoding: chunked\r\n\r\n"
        + b"1f4\r\n"
        + b"x" * 500
        + b"\r\n1f5\r\n"
        + b"x" * 501
        + b"\r\n0\r\n\r\n",
    ],
    ids=["a length", "chunks"],
)
def test_a_body_over_the_limit_is_read_away_and_the_connection_lives(framed: bytes) -> None:
    answers = ask(POST, framed, b"GET /b HTTP/1.1\r\n\r\n")
    assert [answer[:3] for answer in answers] == [b"413", b"200"]


def test_a_body_far_over_the_limit_ends_the_connection() -> None:
    (answer,) = ask(POST, b"Content-Length: 999999999\r\n\r\n")
    assert answer.startswith(b"413 ")
    assert b"Connection: close" in answer


def test_a_body_that_stops_short_is_answered_by_nothing() -> None:
    assert ask(POST, b"Content-Length: 5\r\n\r\nab") == []


def test_a_request_in_progress_is_answered_when_the_server_stops() -> None:
    async def run() -> bytes:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(request: Request) -> Response:
            begun.set()
            await go_on.wait()
            return Response(200, b"done")

        server = HttpServer(slow, max_body=LIMIT, too_large=lambda request: Response(413))
        port = await server.start()
        idle = await asyncio.open_connection("127.0.0.1", port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await begun.wait()
        stopping = asyncio.create_task(server.stop(20))
        assert await idle[0].read() == b""
        go_on.set()
        answer = await reader.read()
        await stopping
        for each in (writer, idle[1]):
            each.close()
            await each.wait_closed()
        return answer

    assert asyncio.run(run()).endswith(b"Connection: close\r\n\r\ndone")


def test_a_response_that_nobody_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else so many that do not read would take up all connections there may be."""
    monkeypatch.setattr("proxy.functions.http.SEND_SECONDS", 0.1)

    size = 32 * 1024 * 1024

    async def story() -> None:
        is_asked = asyncio.Event()

        async def much(request: Request) -> Response:
            is_asked.set()
            return Response(200, bytes(size))

        server = HttpServer(much, max_body=LIMIT, too_large=lambda request: Response(413))
        port = await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        try:
            async with asyncio.timeout(20):
                await is_asked.wait()
                await asyncio.gather(*server._busy)
                assert len(await reader.read(-1)) < size
        finally:
            writer.close()
            await writer.wait_closed()
            await server.stop()

    asyncio.run(story())
