"""The listener door: an `asyncio.Protocol` that uvicorn is given as its `http=` protocol.

The life of a connection:

    read a head -> run the exchange (its body streams through) -> response written -> read the next head
                                                              \\-> 101: a tunnel until either side closes

Requests that arrive while one is in hand (pipelining) wait in a bounded buffer and are answered in order.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

from proxy.errors import BadRequestError, ClientError, RequestTimeoutError, UriTooLongError
from proxy.http1.body import BadBodyError, Body, SizedBody, body_of
from proxy.http1.desync import lf_head_end
from proxy.http1.head import (
    MAX_LINE_BYTES,
    MAX_REQUEST_HEAD_BYTES,
    UNTIL_CLOSE,
    RequestHead,
    cannot_become_request,
    is_plainly_framed,
    list_items,
    parse_request_head,
    request_body_length,
)
from proxy.http1.mitigation import Mitigated, mitigate
from proxy.listen.client import Exchange, Gate, Scheme
from proxy.listen.http2 import ClientHttp2Connection
from proxy.listen.socket_names import address_of, local_host_of
from proxy.listen.tls import session_of
from proxy.rules.request import RequestView
from proxy.tls import TlsSession

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

MAX_PIPELINED_BYTES: Final = 128 * 1024
"""Bytes of further requests kept while one is in hand; then the client is not read any more."""
MAX_DISCARDED_BYTES: Final = 64 * 1024
"""Rest of a request body that is read and dropped to keep the connection, when the response came first."""
LINGER_SECONDS: Final = 5.0
"""How long a connection is still read after a response that came before the end of its request: closing with unread
bytes makes the kernel reset the connection, and the client would lose the response (RFC 9112 9.6)."""

_VERSIONS: Final = (b"HTTP/1.0", b"HTTP/1.1")
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class ListenerProtocol:
    """One client connection: an `asyncio.Protocol` by its methods.

    (Not by its base class: a class that is compiled has none that is not.)
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_closing",
        "_conn_trace_id",
        "_connections",
        "_discarding",
        "_exchange",
        "_frames_chunks",
        "_gate",
        "_keep_alive",
        "_lingering_since",
        "_minor",
        "_opened_at",
        "_paused_reading",
        "_port",
        "_reading",
        "_requests",
        "_scheme",
        "_transport",
        "_tunnel",
        "_writing_is_paused",
        "active_at",
        "client_port",
        "local_host",
        "memo",
        "peer",
        "takes_chunks",
        "tls",
    )

    _transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._gate: Gate = app_state["gateway"]
        self._connections: set[Any] = server_state.connections
        self._exchange: Exchange | None = None
        self._body: Body | None = None
        self._buffer = b""
        self._minor = 1
        self._keep_alive = True
        self._closing = False
        self._reading = False
        self._discarding = False
        self._frames_chunks = False
        self._paused_reading = False
        self._writing_is_paused = False
        self._tunnel = False
        self._lingering_since = 0.0
        self._requests = 0
        self._conn_trace_id = ""
        self.takes_chunks = True
        self.memo: object = None
        self.tls: TlsSession | None = None

    # Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is not None and ssl_object.selected_alpn_protocol() == "h2":
            successor = ClientHttp2Connection(self._gate, self._connections)
            self._transport.set_protocol(successor)
            successor.connection_made(transport)
            return
        peer = transport.get_extra_info("peername")
        local = transport.get_extra_info("sockname")
        self.peer, self.client_port = address_of(peer)
        local_host, self._port = address_of(local)
        self.local_host = local_host_of(local_host)
        self._scheme: Scheme = "http"
        if ssl_object is not None:
            self._scheme = "https"
            self.tls = session_of(ssl_object)
        self._opened_at = self.active_at = time.perf_counter()
        self._connections.add(self)
        self._gate.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._gate.disconnected(self)
        self._closing = True
        exchange = self._exchange
        self._exchange = None
        self._buffer = b""
        if exchange is not None:
            exchange.client_lost()
        self._gate.connection_ended(self)

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

    def eof_received(self) -> bool:
        """A client that closes its side is gone, as for the load balancer (alb.md 8, 460), except in a tunnel."""
        if self._tunnel and self._exchange is not None:
            self._exchange.tunnel_ended()
            # asyncio's TLS has no half-closed connections: what the target still sends is lost.
            return self.tls is None
        return False

    def shutdown(self) -> None:
        """Called by uvicorn when it stops: close when nothing is in hand, else after the response."""
        self._keep_alive = False
        if self._exchange is None or self._tunnel:
            self._closing = True
            self._transport.close()

    # Reading

    def data_received(self, data: bytes) -> None:
        self.active_at = time.perf_counter()
        exchange = self._exchange
        if exchange is None:
            if self._lingering_since:
                return
            if self._discarding:
                data = self._discard(data)
            if self._buffer:
                data = self._buffer + data
                self._buffer = b""
            if data:
                self._read_requests(data)
        elif self._body is not None:
            self._read_body(exchange, data)
        elif self._tunnel:
            exchange.tunnel_continued(data)
        else:
            self._keep_for_later(data)

    def _read_requests(self, data: bytes) -> None:
        """Answer one request after the other, as long as each is answered at once and the client takes the answers."""
        self._reading = True
        while data and self._exchange is None and not self._closing and not self._writing_is_paused:
            data, incomplete = self._read_request(data)
            if incomplete:
                break
        self._reading = False
        if data and not self._closing:
            self._keep_for_later(data)

    def _keep_for_later(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if len(self._buffer) > MAX_PIPELINED_BYTES and not self._paused_reading:
            self._paused_reading = True
            self._transport.pause_reading()

    def _read_request(self, data: bytes) -> tuple[bytes, bool]:
        """Begin one request; return the bytes after it, and whether its head has not all come."""
        end = data.find(b"\r\n\r\n") + 4
        if data[:2] == b"\r\n":
            # RFC 9112 2.2: an empty line before the request line is to be ignored.
            data = data.lstrip(b"\r\n")
            end = data.find(b"\r\n\r\n") + 4
        if end == 3 or end > MAX_REQUEST_HEAD_BYTES:
            lf_end = lf_head_end(data)
            if 0 < lf_end <= MAX_REQUEST_HEAD_BYTES:
                end = lf_end
            elif end > 0 and (end > 3 or len(data) > MAX_REQUEST_HEAD_BYTES):
                self._refuse(_too_long(data), data)
                return b"", False
            elif cannot_become_request(data):
                self._refuse(BadRequestError("this is no HTTP/1.1 request"), data)
                return b"", False
            else:
                return data, True
        raw = data[:end] if end < len(data) else data
        mitigated: Mitigated | None = None
        try:
            head = parse_request_head(raw)
            fields = head.fields
            length, is_plain = 0, True
            if b"content-length" in fields or b"transfer-encoding" in fields:
                length, is_plain = request_body_length(head), is_plainly_framed(head)
        except ClientError:
            is_plain = False
        if not is_plain:
            end = lf_head_end(data) or end
            raw = data[:end]
            try:
                mitigated = mitigate(raw, self._gate.attributes)
            except ClientError as error:
                self._refuse(error, raw)
                return b"", False
            head, length, fields = mitigated.head, mitigated.length, mitigated.head.fields
        self._requests += 1
        self._minor = head.minor
        self.takes_chunks = head.minor == 1
        upgrade = False
        if head.minor == 0 or b"connection" in fields:
            upgrade = self._read_connection_header(head)
        if mitigated is not None and mitigated.closes:
            self._keep_alive = False
        view = RequestView(
            head.method, head.target, head.headers, fields, self.peer, self._scheme, self._port, head.lines
        )
        exchange = self._gate.exchange(
            self,
            self._port,
            view,
            head.block,
            length,
            protocol=_VERSIONS[head.minor],
            upgrade=upgrade,
            ambiguous=mitigated is not None and mitigated.plain_framing,
            head_bytes=end,
            received_at=self.active_at,
        )
        self._exchange = exchange
        if mitigated is not None:
            self._gate.mitigated(exchange, mitigated)
        if b"expect" in fields and head.minor == 1 and fields[b"expect"].lower() == b"100-continue":
            # alb.md 6.4: answered at once, whatever the Content-Length, and not passed on.
            self._transport.write(_CONTINUE)
        if length == 0:
            exchange.run(b"", True)
            return data[end:], False
        return self._begin_body(exchange, length, data[end:]), False

    def _begin_body(self, exchange: Exchange, length: int, rest: bytes) -> bytes:
        body = body_of(length)
        size = 0
        if rest:
            try:
                size = body.feed(rest)
            except BadBodyError as error:
                self._body = body
                self._keep_alive = False
                exchange.fail(BadRequestError(str(error)))
                return b""
        if not body.complete:
            self._body = body
        exchange.run(rest[:size], body.complete)
        return rest[size:]

    def _read_connection_header(self, head: RequestHead) -> bool:
        """Set whether the connection is kept; return whether a WebSocket is asked for."""
        items: list[bytes] = []
        for name, value in head.headers:
            if name.lower() == b"connection":
                items += list_items(value)
        if b"close" in items or (head.minor == 0 and b"keep-alive" not in items):
            self._keep_alive = False
        return (
            b"upgrade" in items
            and head.minor == 1
            and head.method == b"GET"
            and head.fields.get(b"upgrade", b"").lower() == b"websocket"
        )

    def _read_body(self, exchange: Exchange, data: bytes) -> None:
        body = self._body
        assert body is not None
        try:
            size = body.feed(data)
        except BadBodyError as error:
            self._keep_alive = False
            exchange.fail(BadRequestError(str(error)))
            return
        if not body.complete:
            exchange.request_continued(data, False)
            return
        self._body = None
        if size < len(data):
            self._keep_for_later(data[size:])
            data = data[:size]
        exchange.request_continued(data, True)

    def _refuse(self, error: ClientError, head: bytes) -> None:
        self._keep_alive = False
        self._minor = 1
        self._gate.refuse(self, self._port, error, head, self.active_at)
        self._linger()

    # What the gateway calls

    def start(self, status: int, reason: bytes, block: bytes, length: int, body: bytes, complete: bool) -> int:
        self._frames_chunks = False
        if length < 0:
            if self._minor == 0:
                self._keep_alive = False
            elif length == UNTIL_CLOSE:
                self._frames_chunks = True
                block += b"Transfer-Encoding: chunked\r\n"
                body = _chunk(body, complete)
        if self._body is not None and complete and not self._can_discard():
            self._keep_alive = False
        if not self._keep_alive:
            block += b"Connection: close\r\n"
        elif self._minor == 0:
            block += b"Connection: keep-alive\r\n"
        data = b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, reason, block, body)
        self._transport.write(data)
        return len(data)

    def inform(self, status: int, reason: bytes, block: bytes) -> None:
        if self._minor == 1:
            self._transport.write(b"HTTP/1.1 %d %s\r\n%s\r\n" % (status, reason, block))

    def more(self, body: bytes, complete: bool) -> int:
        if self._frames_chunks:
            body = _chunk(body, complete)
        if body:
            self._transport.write(body)
        return len(body)

    def cut(self) -> None:
        self._closing = True
        self._transport.abort()

    def pause(self) -> None:
        if not self._closing and not self._paused_reading:
            self._paused_reading = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._closing and self._paused_reading and len(self._buffer) <= MAX_PIPELINED_BYTES:
            self._paused_reading = False
            self._transport.resume_reading()

    def tunnel(self, reason: bytes, block: bytes, data: bytes) -> int:
        self._tunnel = True
        self._keep_alive = False
        head = b"HTTP/1.1 101 %s\r\n%s\r\n%s" % (reason or b"Switching Protocols", block, data)
        self._transport.write(head)
        early, self._buffer = self._buffer, b""
        if early and self._exchange is not None:
            self._exchange.tunnel_continued(early)
        self.resume()
        return len(head)

    def tunnel_send(self, data: bytes) -> int:
        self._transport.write(data)
        return len(data)

    def tunnel_end(self) -> None:
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def finished(self) -> None:
        self._exchange = None
        if self._closing:
            return
        if self._tunnel:
            self._closing = True
            self._transport.close()
            return
        if self._body is not None:
            if self._keep_alive and self._can_discard():
                self._discarding = True
            else:
                self._body = None
                self._linger()
                return
        elif not self._keep_alive:
            self._closing = True
            self._transport.close()
            return
        if self._paused_reading:
            self.resume()
        if self._buffer and not self._reading:
            self._read_on()

    def _read_on(self) -> None:
        """Go on with what was kept for later."""
        if self._buffer and not self._discarding and not self._writing_is_paused:
            data, self._buffer = self._buffer, b""
            self.resume()
            self._read_requests(data)

    # Closing

    def _can_discard(self) -> bool:
        body = self._body
        return isinstance(body, SizedBody) and body.remaining <= MAX_DISCARDED_BYTES

    def _discard(self, data: bytes) -> bytes:
        """Drop the rest of a request body whose response is out; return what follows it."""
        body = self._body
        assert body is not None
        size = body.feed(data)
        if body.complete:
            self._body = None
            self._discarding = False
        return data[size:]

    def _linger(self) -> None:
        """Send no more, and read what still comes for a while before closing.

        Over TLS the client sees no end until then; the response's length and `Connection: close` tell it.
        """
        self._lingering_since = time.perf_counter()
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._paused_reading = True
        self.resume()

    def pause_writing(self) -> None:
        self._writing_is_paused = True
        if self._exchange is not None:
            self._exchange.client_paused()

    def resume_writing(self) -> None:
        self._writing_is_paused = False
        if self._exchange is not None:
            self._exchange.client_resumed()
        elif not self._closing:
            self._read_on()

    def check_time(self, now: float, idle_timeout: float, client_keep_alive: float) -> None:
        if self._lingering_since:
            unsent = self._transport.get_write_buffer_size()
            if now - self._lingering_since > (idle_timeout if unsent else LINGER_SECONDS):
                self.cut()
            return
        idle = now - self.active_at
        exchange = self._exchange
        if exchange is None:
            if idle > idle_timeout:
                if self._closing or self._writing_is_paused:
                    # It does not take the rest of its response.
                    self.cut()
                else:
                    self._close_idle()
                    self.active_at = now
            elif now - self._opened_at > client_keep_alive:
                if not self._buffer:
                    self._closing = True
                    self._transport.close()
                elif now - self._opened_at > client_keep_alive + idle_timeout and not self._writing_is_paused:
                    # A head that comes in trickles would hold the connection for weeks. One that had only begun when
                    # the lifetime was over has had time to end.
                    self._close_idle()
            return
        if now - self._opened_at > client_keep_alive:
            self._keep_alive = False
        if idle > idle_timeout:
            self.active_at = now
            if self._body is not None:
                self._keep_alive = False
            exchange.timed_out(request_complete=self._body is None)

    def _close_idle(self) -> None:
        """Close a client that began nothing after a response; one that owes (the rest of) a request gets a 408."""
        if self._discarding or (self._requests and not self._buffer):
            self._closing = True
            self._transport.close()
            return
        self._refuse(RequestTimeoutError("the client sent no whole request within the idle timeout"), self._buffer)
        self._buffer = b""


def _chunk(body: bytes, complete: bool) -> bytes:
    framed = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
    return framed + b"0\r\n\r\n" if complete else framed


def _too_long(data: bytes) -> ClientError:
    if data.find(b"\r\n", 0, MAX_LINE_BYTES + 2) < 0:
        return UriTooLongError(f"the request line is longer than {MAX_LINE_BYTES} bytes")
    return BadRequestError(f"the request headers are longer than {MAX_REQUEST_HEAD_BYTES} bytes")
