"""A small HTTP/1.1 server for two APIs on loopback: whole requests in, whole responses out (RFC 9112).

Head, body and waiting are bounded. The Runtime API needs heads of a megabyte: a runtime sends causes of errors as a
header, with characters beyond ASCII.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from proxy.http1.body import BadBodyError, ChunkedBody

HEAD_SECONDS = 60.0
"""How long a connection may be idle, and a head may take."""
BODY_SECONDS = 60.0
SEND_SECONDS = 60.0
"""How long a response may take that nobody reads; then its connection is cut off, whose place another may need."""
MAX_DISCARDED_BYTES = 32 * 1024 * 1024
"""A longer body that is refused is not read to its end: the connection is closed instead."""
MAX_CONNECTIONS = 512
_BLOCK_BYTES = 64 * 1024

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) ([!-~]{1,8192}) HTTP/1\.([01])")
_FIELD_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_LENGTH = re.compile(rb"\d{1,15}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request. Header names are lower case; of a repeated header the last is kept."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response; `Content-Length` is added."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response]]


class _BadRequest(Exception):
    """The framing cannot be trusted: answer 400 and close."""


class _TooLarge(Exception):
    """The body is longer than is read at all: answer and close."""


class HttpServer:
    """Answers requests with `handler` until it is stopped.

    Args:
        handler: Called once a request; what it raises becomes a 500.
        max_body: Bytes; a longer body is discarded, and `too_large(request)` answers, the request without its body.
        max_head: Bytes.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        max_body: int,
        too_large: Callable[[Request], Response],
        max_head: int = 64 * 1024,
    ) -> None:
        self._handler = handler
        self._max_body = max_body
        self._max_head = max_head
        self._too_large = too_large
        self._server: asyncio.Server | None = None
        self._idle: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def start(self, sock: socket.socket | None = None) -> int:
        """Accept on this socket, or on a free port of 127.0.0.1; return the port."""
        if sock is not None:
            self._server = await asyncio.start_server(self._connected, sock=sock, limit=self._max_head)
        else:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=self._max_head)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self, seconds: float = 0.0) -> None:
        """Accept no more and close idle connections; requests in progress have so many seconds to be answered."""
        self._stopping = True
        if self._server is not None:
            self._server.close()
        for task in self._idle:
            task.cancel()
        if self._busy and seconds:
            await asyncio.wait(self._busy, timeout=seconds)
        tasks = self._busy | self._idle
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            if len(self._idle) + len(self._busy) >= MAX_CONNECTIONS:
                return
            self._idle.add(task)
            while not self._stopping and await self._serve_one(reader, writer, task):
                pass
        except (OSError, TimeoutError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self._idle.discard(task)
            self._busy.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve_one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, task: asyncio.Task[None]
    ) -> bool:
        """Serve one request; return whether another may follow."""
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            self._idle.discard(task)
            self._busy.add(task)
            request, keep_alive = _parse_head(head)
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._body(request, reader, writer)
        except (_BadRequest, BadBodyError, asyncio.LimitOverrunError) as error:
            await _send(writer, Response(400, str(error).encode()), keep_alive=False)
            return False
        except _TooLarge:
            await _send(writer, self._too_large(request), keep_alive=False)
            return False
        if body is None:
            response = self._too_large(request)
        else:
            response = await self._answer(Request(request.method, request.path, request.query, request.headers, body))
        keep_alive = keep_alive and not self._stopping
        await _send(writer, response, keep_alive=keep_alive, head_only=request.method == "HEAD")
        self._busy.discard(task)
        self._idle.add(task)
        return keep_alive

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except Exception:
            logger.exception("cannot answer %s %s", request.method, request.path)
            return Response(500)

    async def _body(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        """The body; None for one that is too long and was discarded."""
        headers = request.headers
        length = headers.get("content-length")
        chunked = "transfer-encoding" in headers
        if length is None and not chunked:
            return b""
        if chunked and (length is not None or headers["transfer-encoding"].lower() != "chunked"):
            raise _BadRequest("the body must have a Content-Length or be chunked")
        if length is not None and int(length) > MAX_DISCARDED_BYTES:
            raise _TooLarge
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if length is not None:
            size = int(length)
            if size > self._max_body:
                await _discard(reader, size)
                return None
            return await reader.readexactly(size)
        return await self._chunked(reader)

    async def _chunked(self, reader: asyncio.StreamReader) -> bytes | None:
        chunks: list[bytes] = []
        body = ChunkedBody(chunks)
        size = 0
        in_trailers = False
        while not body.complete:
            line = await reader.readuntil(b"\n")
            body.feed(line)
            if in_trailers or body.complete:
                continue
            announced = _chunk_size(line)
            in_trailers = not announced
            if size + announced > MAX_DISCARDED_BYTES:
                raise _TooLarge
            if announced:
                body.feed(await reader.readexactly(announced + 2))
                size += announced
                if size > self._max_body:
                    chunks.clear()
        return b"".join(chunks) if size <= self._max_body else None


def _chunk_size(line: bytes) -> int:
    match = re.match(rb"[0-9A-Fa-f]{1,15}", line)
    return int(match[0], 16) if match else 0


async def _discard(reader: asyncio.StreamReader, size: int) -> None:
    while size:
        block = await reader.read(min(size, _BLOCK_BYTES))
        if not block:
            raise EOFError
        size -= len(block)


def _parse_head(head: bytes) -> tuple[Request, bool]:
    first, *lines = head[:-4].split(b"\r\n")
    match = _REQUEST_LINE.fullmatch(first)
    if match is None:
        raise _BadRequest("the request line is malformed")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or _FIELD_NAME.fullmatch(name) is None or b"\n" in value or b"\0" in value:
            raise _BadRequest("a header line is malformed")
        key = name.decode("ascii").lower()
        text = value.strip(b" \t\r").decode("utf-8", "surrogateescape")
        if key in ("content-length", "transfer-encoding") and key in headers:
            raise _BadRequest(f"several {key} headers")
        headers[key] = text
    if _LENGTH.fullmatch(headers.get("content-length", "0").encode("utf-8", "surrogateescape")) is None:
        raise _BadRequest("Content-Length is not a number")
    method, target, minor = match[1].decode(), match[2].decode("ascii"), match[3]
    path, _, query = target.partition("?")
    connection = headers.get("connection", "").lower()
    keep_alive = connection != "close" and (minor == b"1" or connection == "keep-alive")
    return Request(method, path, query, headers, b""), keep_alive


async def _send(writer: asyncio.StreamWriter, response: Response, *, keep_alive: bool, head_only: bool = False) -> None:
    status = HTTPStatus(response.status)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    if status is not HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {len(response.body)}")
    if not keep_alive:
        lines.append("Connection: close")
    head = "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")
    writer.write(head if head_only or status is HTTPStatus.NO_CONTENT else head + response.body)
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await writer.drain()
    except TimeoutError:
        writer.transport.abort()
        raise
