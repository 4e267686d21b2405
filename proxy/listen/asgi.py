"""The ASGI door: the same gateway as an ASGI application, for other servers, for embedding and for tests.

A server in front has already parsed the request, so what only raw bytes show (framing faults, the version's spelling)
is that server's to refuse. WebSockets need the listener door: ASGI hands over messages, not the bytes of a tunnel.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from proxy.errors import ClientError
from proxy.http1.head import (
    CHUNKED,
    is_plainly_framed,
    join_fields,
    parse_request_head,
    request_body_length,
    split_fields,
)
from proxy.http1.mitigation import Mitigated, mitigate
from proxy.listen.client import Exchange, Gate, Scheme
from proxy.rules.request import RequestView
from proxy.tls import TlsSession

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HIGH_WATER_BYTES: Final = 256 * 1024
"""Response bytes waiting for the server above which the target is paused."""


_VERSIONS: Final = {"1.0": b"HTTP/1.0", "2": b"HTTP/2.0"}


class AsgiDoor:
    """An ASGI application in front of a gateway.

    Args:
        gate: The gateway, or a callable that returns it once it exists.
        port: The listener to enter by; the server's own port if None.
    """

    def __init__(self, gate: Callable[[], Gate], *, port: int | None = None) -> None:
        self._gate = gate
        self._port = port

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _AsgiClient(self._gate(), scope, self._port, send).serve(receive)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})


class _AsgiClient:
    """One request of the server, as the gateway's client (`proxy.listen.client.Client`)."""

    takes_chunks = False
    conn_trace_id = ""
    tls: TlsSession | None = None

    def __init__(self, gate: Gate, scope: MutableMapping[str, Any], port: int | None, send: Send) -> None:
        peer = scope.get("client") or ("127.0.0.1", 0)
        server = scope.get("server") or ("127.0.0.1", 80)
        self.peer: str = peer[0]
        self.client_port: int = peer[1]
        self.local_host: bytes = server[0].encode()
        self.active_at = time.perf_counter()
        self.memo: object = None
        self._gate = gate
        self._scope = scope
        self._port: int = port or server[1]
        self._send = send
        self._exchange: Exchange | None = None
        self._request_complete = False
        self._messages: list[Message] = []
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._is_finished = False
        self._is_cut = False

    async def serve(self, receive: Receive) -> None:
        """Run the exchange until its response is out."""
        self._gate.connected(self)
        try:
            first = await receive()
            if first["type"] == "http.disconnect":
                return
            if self._begin(first):
                reader = asyncio.create_task(self._read(receive))
                try:
                    await self._write()
                finally:
                    reader.cancel()
                    await asyncio.gather(reader, return_exceptions=True)
            else:
                await self._write()
        finally:
            self._gate.disconnected(self)
            if self._exchange is not None and not self._exchange.done:
                self._exchange.client_lost()
        if self._is_cut:
            # The only way to tell an ASGI server that the response is not whole.
            raise ConnectionAbortedError("the target failed within its response")

    def _begin(self, first: Message) -> bool:
        scope = self._scope
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        fields = dict(headers)
        method = scope["method"].encode("latin-1")
        target: bytes = scope.get("raw_path") or scope["path"].encode()
        if scope["query_string"]:
            target = b"%s?%s" % (target, scope["query_string"])
        minor = 0 if scope["http_version"] == "1.0" else 1
        scheme: Scheme = "https" if scope["scheme"] == "https" else "http"
        raw = b"%s %s HTTP/1.%d\r\n%s\r\n" % (method, target, minor, join_fields(headers))
        mitigated: Mitigated | None = None
        try:
            mitigated = _mitigated(raw, self._gate)
        except ClientError as error:
            self._gate.refuse(self, self._port, error, raw, self.active_at)
            self.finished()
            return False
        if mitigated is not None:
            target = mitigated.head.target
            headers = mitigated.head.headers
            fields = mitigated.head.fields
        body: bytes = first.get("body", b"")
        complete = self._request_complete = not first.get("more_body", False)
        length = 0
        if b"content-length" in fields and b"transfer-encoding" not in fields:
            length = int(fields[b"content-length"])
        elif b"transfer-encoding" in fields or body or not complete:
            length = CHUNKED
            if b"transfer-encoding" not in fields:
                # For the target alone: the client sent none, so `fields`, where the rules look, has none.
                headers.append((b"transfer-encoding", b"chunked"))
        self._length = length
        block = join_fields(headers)
        view = RequestView(method, target, headers, fields, self.peer, scheme, self._port)
        exchange = self._exchange = self._gate.exchange(
            self,
            self._port,
            view,
            block,
            length,
            protocol=_VERSIONS.get(scope["http_version"], b"HTTP/1.1"),
            upgrade=False,
            ambiguous=mitigated is not None and mitigated.plain_framing,
            head_bytes=len(method) + len(target) + len(block) + 13,
            received_at=self.active_at,
        )
        if mitigated is not None:
            self._gate.mitigated(exchange, mitigated)
        exchange.run(self._framed(body, complete), complete)
        return True

    def _framed(self, body: bytes, complete: bool) -> bytes:
        if self._length != CHUNKED:
            return body
        framed = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        return framed + b"0\r\n\r\n" if complete else framed

    async def _read(self, receive: Receive) -> None:
        exchange = self._exchange
        assert exchange is not None
        while not exchange.done:
            await self._may_read.wait()
            message = await receive()
            self.active_at = time.perf_counter()
            if message["type"] == "http.disconnect":
                exchange.client_lost()
                return
            if self._request_complete:
                continue
            self._request_complete = not message.get("more_body", False)
            body = self._framed(message.get("body", b""), self._request_complete)
            exchange.request_continued(body, self._request_complete)

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._messages:
                message = self._messages.pop(0)
                try:
                    await self._send(message)
                except (OSError, RuntimeError):  # uvloop raises the latter for a connection that is closed
                    if self._exchange is not None:
                        self._exchange.client_lost()
                    return
                size = len(message.get("body", b""))
                self._waiting_bytes -= size
                if self._waiting_bytes < HIGH_WATER_BYTES <= self._waiting_bytes + size and self._exchange:
                    self._exchange.client_resumed()
            if self._is_finished or self._is_cut:
                return

    def _put(self, message: Message) -> int:
        size = len(message.get("body", b""))
        before = self._waiting_bytes
        self._waiting_bytes += size
        self._messages.append(message)
        self._wake.set()
        if before < HIGH_WATER_BYTES <= self._waiting_bytes and self._exchange is not None:
            self._exchange.client_paused()
        return size

    # What the gateway calls

    def start(self, status: int, reason: bytes, block: bytes, length: int, body: bytes, complete: bool) -> int:
        headers = [(name.lower(), value) for name, value in split_fields(block)]
        self._put({"type": "http.response.start", "status": status, "headers": headers})
        return len(block) + self._put({"type": "http.response.body", "body": body, "more_body": not complete})

    def inform(self, status: int, reason: bytes, block: bytes) -> None:
        """ASGI has no way to send a 1xx response."""

    def more(self, body: bytes, complete: bool) -> int:
        return self._put({"type": "http.response.body", "body": body, "more_body": not complete})

    def cut(self) -> None:
        self._is_cut = True
        self._wake.set()

    def pause(self) -> None:
        self._may_read.clear()

    def resume(self) -> None:
        self._may_read.set()

    def tunnel(self, reason: bytes, block: bytes, data: bytes) -> int:
        raise RuntimeError("no WebSocket is asked for through this door")

    def tunnel_send(self, data: bytes) -> int:
        raise RuntimeError("no WebSocket is asked for through this door")

    def tunnel_end(self) -> None:
        raise RuntimeError("no WebSocket is asked for through this door")

    def finished(self) -> None:
        self._is_finished = True
        self._wake.set()

    def check_time(self, now: float, idle_timeout: float, client_keep_alive: float) -> None:
        if self._exchange is not None and now - self.active_at > idle_timeout:
            self.active_at = now
            self._exchange.timed_out(request_complete=self._request_complete)


def _mitigated(raw: bytes, gate: Gate) -> Mitigated | None:
    """What desync mitigation makes of a head, None for one that is plainly Compliant."""
    try:
        head = parse_request_head(raw)
        request_body_length(head)
    except ClientError:
        return mitigate(raw, gate.attributes)
    fields = head.fields
    if (b"content-length" in fields or b"transfer-encoding" in fields) and not is_plainly_framed(head):
        return mitigate(raw, gate.attributes)
    return None
