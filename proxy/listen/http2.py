"""The listener door for HTTP/2: connections that chose `h2` in their TLS handshake (alb.md 1.1).

Each stream is a client of the gateway as a whole HTTP/1.1 connection is one: the gateway gets bodies framed as HTTP/1.1
has them, chunks with trailers where there is no Content-Length, and its answers are taken out of that frame here.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from typing import Any, Final

from h2.errors import ErrorCodes
from h2.events import RequestReceived
from h2.exceptions import H2Error, ProtocolError

from proxy.errors import BadRequestError, ClientError
from proxy.http1.body import BadBodyError, ChunkedBody, decode_chunked, framed
from proxy.http1.head import CHUNKED, Headers, join_fields
from proxy.http2.allowance import Allowance
from proxy.http2.connection import Http2Connection, Http2Stream
from proxy.http2.fields import as_text, request_of, response_fields, trailer_fields, trailer_lines
from proxy.http2.grpc import HTTP2
from proxy.listen.client import Exchange, Gate, Scheme
from proxy.listen.socket_names import address_of, local_host_of
from proxy.listen.tls import session_of
from proxy.rules.request import RequestView
from proxy.tls import TlsSession

MAX_STREAMS: Final = 128
"""Most requests at a time on one connection (alb.md 1.1)."""
MAX_REQUESTS: Final = 10_000
"""Requests after which a connection is ended with GOAWAY (alb.md 1.1)."""
STREAM_WINDOW: Final = 64 * 1024
"""Bytes of one request's body that may be on their way."""
RESETS: Final = (200, 20.0)
"""Requests that a client may give up: at once, and a second. Each one costs us more than it costs the client."""


class ClientStream(Http2Stream):
    """One request of a client (`proxy.listen.client.Client`)."""

    __slots__ = (
        "_chunked",
        "_decoded",
        "_decoder",
        "_exchange",
        "_lines",
        "_remaining",
        "active_at",
        "request_complete",
        "takes_chunks",
    )

    _connection: ClientHttp2Connection

    def __init__(self, connection: ClientHttp2Connection, stream_id: int) -> None:
        super().__init__(connection, stream_id)
        self.takes_chunks = True
        self._exchange: Exchange | None = None
        self._chunked = False
        self._remaining = 0
        self._decoder: ChunkedBody | None = None
        self._decoded: list[bytes] = []
        self._lines: list[bytes] = []
        self.active_at = connection.active_at
        self.request_complete = False

    @property
    def peer(self) -> str:
        return self._connection.peer

    @property
    def client_port(self) -> int:
        return self._connection.client_port

    @property
    def local_host(self) -> bytes:
        return self._connection.local_host

    @property
    def tls(self) -> TlsSession | None:
        return self._connection.tls

    @property
    def memo(self) -> object:
        return self._connection.memo

    @memo.setter
    def memo(self, value: object) -> None:
        self._connection.memo = value

    @property
    def conn_trace_id(self) -> str:
        return self._connection.conn_trace_id

    @property
    def is_answered(self) -> bool:
        """Whether the gateway is done with it; some of the response may still wait for the client's credit."""
        return self._exchange is None or self._exchange.done

    # The request

    def begin(self, event: RequestReceived) -> None:
        """Ask the gateway."""
        connection = self._connection
        ended = self.request_complete = event.stream_ended is not None
        received: Headers = list(event.headers)
        drops = connection.gate.attributes.drop_invalid_header_fields
        try:
            request = request_of(received, drops_invalid_names=drops)
            if ended and request.length:
                raise BadRequestError("there is a Content-Length and no body")
        except ClientError as error:
            connection.gate.refuse(self, connection.port, error, as_text(received), self.active_at)
            self.finished()
            return
        headers, fields = request.headers, request.fields
        length = request.length
        if length is None:
            length = 0
            if not ended:
                length = CHUNKED
                self._chunked = True
                # For the target alone: the client sent none, so `fields`, where the rules look, has none.
                headers.append((b"transfer-encoding", b"chunked"))
        self._remaining = length
        block = join_fields(headers)
        view = RequestView(
            request.method, request.target, headers, fields, self.peer, connection.scheme, connection.port
        )
        exchange = self._exchange = connection.gate.exchange(
            self,
            connection.port,
            view,
            block,
            length,
            protocol=HTTP2,
            upgrade=False,
            ambiguous=False,
            head_bytes=len(request.method) + len(request.target) + len(block) + 13,
            received_at=self.active_at,
        )
        if request.invalid_names:
            connection.gate.invalid_names(exchange, dropped=drops)
        exchange.run(b"", ended)

    def on_data(self, data: bytes, *, complete: bool) -> None:
        self.active_at = self._connection.active_at
        if self._chunked:
            self._continue(framed(data, complete=complete), complete)
            return
        self._remaining -= len(data)
        if self._remaining < 0 or (complete and self._remaining):
            self._fail("the body has not the length that Content-Length tells")
        else:
            self._continue(data, complete)

    def on_trailers(self, fields: Any) -> None:
        """Trailers end the body. With a Content-Length there is no place for them in HTTP/1.1, and they are dropped."""
        try:
            lines = trailer_lines(fields)
        except BadBodyError as error:
            self._fail(str(error))
            return
        if self._chunked:
            self._continue(framed(b"", complete=True, trailers=lines), True)
        else:
            self.on_data(b"", complete=True)

    def _continue(self, body: bytes, complete: bool) -> None:
        exchange = self._exchange
        self.request_complete = complete
        if exchange is not None and not exchange.done:
            exchange.request_continued(body, complete)

    def _fail(self, why: str) -> None:
        if self._exchange is not None and not self._exchange.done:
            self._exchange.fail(BadRequestError(why))

    def on_reset(self, error: int) -> None:
        self._connection.give_up(self)
        self.lose()

    def lose(self) -> None:
        """The client is gone, or wants this no more."""
        exchange, self._exchange = self._exchange, None
        self._connection.streams.pop(self.id, None)
        if exchange is not None and not exchange.done:
            exchange.client_lost()

    def check_time(self, now: float, idle_timeout: float) -> None:
        if now - self.active_at <= idle_timeout:
            return
        self.active_at = now
        if self._exchange is not None and not self._exchange.done:
            self._exchange.timed_out(request_complete=self.request_complete)
        else:
            # It does not take the rest of its response.
            self._over(ErrorCodes.CANCEL)

    # The response

    def on_blocked(self) -> None:
        if self._exchange is not None and not self._exchange.done:
            self._exchange.client_paused()

    def on_drained(self) -> None:
        self.active_at = time.perf_counter()
        if self._exchange is not None and not self._exchange.done:
            self._exchange.client_resumed()

    def send_some(self) -> bool:
        went = super().send_some()
        if went:
            self.active_at = time.perf_counter()
        return went

    def start(self, status: int, reason: bytes, block: bytes, length: int, body: bytes, complete: bool) -> int:
        if length == CHUNKED:
            self._decoder = ChunkedBody(self._decoded, self._lines)
            body = decode_chunked(self._decoder, self._decoded, body)
        ends = complete and not body and not self._lines
        self._send_head(response_fields(status, block), ends=ends)
        if ends:
            self.shut()
        elif body or complete:
            self._send_body(body, complete)
        return len(block) + len(body) + 15

    def inform(self, status: int, reason: bytes, block: bytes) -> None:
        self._send_head(response_fields(status, block), ends=False)

    def more(self, body: bytes, complete: bool) -> int:
        if self._decoder is not None:
            body = decode_chunked(self._decoder, self._decoded, body)
        self._send_body(body, complete)
        return len(body)

    def _send_head(self, fields: Headers, *, ends: bool) -> None:
        if self.closed:
            return
        connection = self._connection
        connection.active_at = self.active_at = time.perf_counter()
        try:
            connection.session.send_headers(self.id, fields, end_stream=ends)
        except H2Error:
            # The client has reset it; that event is still to come, or was in the same bytes.
            self.shut()
            return
        connection.flush()

    def _send_body(self, body: bytes, complete: bool) -> None:
        self._connection.active_at = self.active_at
        self.write(body, complete=complete, trailers=trailer_fields(self._lines) if complete else None)

    def cut(self) -> None:
        self._over(ErrorCodes.INTERNAL_ERROR)

    def pause(self) -> None:
        self.pause_reading()

    def resume(self) -> None:
        self.resume_reading()

    def finished(self) -> None:
        if self.closed:
            self._end()

    def on_sent(self) -> None:
        if self.is_answered:
            self._end()

    def _end(self) -> None:
        """The response is out. A client that still sends its request is told that nobody reads it (RFC 9113 8.1)."""
        if self.id not in self._connection.streams:
            return
        if self.request_complete:
            self._connection.over(self)
        else:
            self._over(ErrorCodes.NO_ERROR)

    def _over(self, error: ErrorCodes) -> None:
        self.reset(error)
        self._connection.over(self)

    # WebSockets over HTTP/2 (RFC 8441) are not offered.

    def tunnel(self, reason: bytes, block: bytes, data: bytes) -> int:
        raise RuntimeError("no WebSocket is asked for over HTTP/2")

    def tunnel_send(self, data: bytes) -> int:
        raise RuntimeError("no WebSocket is asked for over HTTP/2")

    def tunnel_end(self) -> None:
        raise RuntimeError("no WebSocket is asked for over HTTP/2")


class ClientHttp2Connection(Http2Connection):
    """One client connection (`proxy.listen.client.ClientConnection`).

    Args:
        connections: Where uvicorn looks for whom to tell of its end.
    """

    def __init__(self, gate: Gate, connections: set[Any]) -> None:
        super().__init__(client_side=False, stream_window=STREAM_WINDOW, max_streams=MAX_STREAMS)
        self.gate = gate
        self.memo: object = None
        self.tls: TlsSession | None = None
        self.scheme: Scheme = "http"
        self._connections = connections
        self._requests = 0
        self._last_stream = 0
        self._resets = Allowance(*RESETS)
        self._conn_trace_id = ""

    @property
    def port(self) -> int:
        return self._port

    @property
    def opened_at(self) -> float:
        return self._opened_at

    @property
    def conn_trace_id(self) -> str:
        """Made when a log first asks for it."""
        if not self._conn_trace_id:
            self._conn_trace_id = f"TID_{secrets.token_hex(16)}"
        return self._conn_trace_id

    # What the event loop and uvicorn call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.peer, self.client_port = address_of(transport.get_extra_info("peername"))
        local_host, self._port = address_of(transport.get_extra_info("sockname"))
        self.local_host = local_host_of(local_host)
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is not None:
            self.scheme = "https"
            self.tls = session_of(ssl_object)
        self._opened_at = self.active_at = time.perf_counter()
        self._connections.add(self)
        self.gate.connected(self)
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._connections.discard(self)
        self.gate.disconnected(self)
        for stream in list(self.streams.values()):
            stream.shut()
            stream.lose()
        self.gate.connection_ended(self)

    def shutdown(self) -> None:
        """Take no more requests, and close when those in hand are answered."""
        self.leave(self._last_stream)

    def check_time(self, now: float, idle_timeout: float, client_keep_alive: float) -> None:
        for stream in list(self.streams.values()):
            stream.check_time(now, idle_timeout)
        if self.closed:
            if now - self.active_at > idle_timeout:
                self.transport.abort()
        elif now - self.active_at > idle_timeout and not self.streams:
            self.active_at = now
            self.leave(self._last_stream)
        elif now - self._opened_at > client_keep_alive:
            self.leave(self._last_stream)

    # Streams

    def on_event(self, event: Any) -> None:
        if isinstance(event, RequestReceived):
            self._begin(event)

    def _begin(self, event: RequestReceived) -> None:
        if self.leaving:
            # Above what the GOAWAY named: the client knows that it may ask another (RFC 9113 6.8).
            with suppress(H2Error):
                self.session.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
            return
        self.active_at = time.perf_counter()
        self._last_stream = event.stream_id
        self._requests += 1
        stream = self.streams[event.stream_id] = ClientStream(self, event.stream_id)
        if self._requests >= MAX_REQUESTS:
            self.leave(self._last_stream)
        stream.begin(event)

    def give_up(self, stream: ClientStream) -> None:
        """The client resets a request; one that does so all the time only wants to make work (CVE-2023-44487)."""
        if not self._resets.spend(time.perf_counter()):
            self.quit(ErrorCodes.ENHANCE_YOUR_CALM)

    def over(self, stream: ClientStream) -> None:
        """Everything of this request and its response is done."""
        self.streams.pop(stream.id, None)
        self.flush()

    def on_broken(self, error: ProtocolError) -> None:
        self.active_at = time.perf_counter()
