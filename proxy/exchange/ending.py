"""How a request ends: with a response of a target or of the gateway's own, or cut; and with exactly one record.

This is the one place where an error becomes a response.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from proxy.errors import GatewayError
from proxy.http1.pages import REASONS
from proxy.http2.grpc import HTTP2, error_headers, is_grpc
from proxy.listen.client import Client
from proxy.observe.metrics import RouteSeries
from proxy.observe.record import RequestRecord
from proxy.rules.request import RequestView
from proxy.runtime import Listener
from proxy.targets.target import Target
from proxy.tls import TlsSession

if TYPE_CHECKING:
    from proxy.gateway import Gateway

PAGE_HEADERS: Final = ((b"Content-Type", b"text/html"),)


class Ending(RequestRecord):
    """What the gateway can still do for a request at any time: answer it, cut it, record it."""

    __slots__ = (
        "_added_cookies",
        "_busy_since",
        "_client",
        "_gateway",
        "_listener",
        "_series",
        "_started",
        "_target",
        "_view",
        "done",
    )

    def __init__(
        self, gateway: Gateway, client: Client, listener: Listener, view: RequestView, protocol: bytes
    ) -> None:
        super().__init__()
        self.listener = listener.name
        self.view = self._view = view
        self.client = client.peer
        self.client_port = client.client_port
        self.method = view.method
        self.protocol = protocol
        self.done = False
        self._gateway = gateway
        self._client = client
        self._listener = listener
        self._series: RouteSeries | None = None
        self._target: Target | None = None
        self._started = False
        self._busy_since = 0.0
        self._added_cookies: tuple[bytes, ...] = ()

    @property
    def conn_trace_id(self) -> str:
        return self._client.conn_trace_id

    @property
    def tls(self) -> TlsSession | None:
        return self._client.tls

    def _now_waits(self, now: float) -> None:
        """From now on the gateway waits for somebody: what it did until now is what it cost."""
        if self._busy_since:
            self.overhead += now - self._busy_since
            self._busy_since = 0.0

    def _fail(self, error: GatewayError) -> None:
        """Answer with the load balancer's own page for this error, or cut what has already begun."""
        if self.done:
            return
        self.reason = error.reason
        if self._started:
            self._cut(error.reason)
            return
        self._gateway.note(error, self)
        if self.protocol == HTTP2 and is_grpc(self._view.fields):
            self._answer(error.status, error_headers(error.status), b"")
        elif error.answer is not None:
            self._answer(error.status, *error.answer)
        else:
            self._answer(error.status, PAGE_HEADERS, self._gateway.page(error.status))

    def _answer(self, status: int, headers: tuple[tuple[bytes, bytes], ...], body: bytes) -> None:
        self.status = status
        self._started = True
        if self._added_cookies:
            # A provider may give a refresh token once: the client must get it, whatever becomes of its request.
            headers += tuple([(b"Set-Cookie", cookie) for cookie in self._added_cookies])
        if status == 204:
            body = b""
        block = self._gateway.answer_block(headers, None if status == 204 else len(body), self._listener)
        sent = b"" if self.method == b"HEAD" else body
        reason = REASONS.get(status, "").encode()
        self.response_bytes += self._client.start(status, reason, block, len(body), sent, True)
        now = time.perf_counter()
        self._now_waits(now)
        self._finish(now)

    def _cut(self, reason: str) -> None:
        """The response has begun, so an error can only be seen by the connection's end (RFC 9112 8)."""
        self.reason = reason
        self._client.cut()
        self._finish()

    def _finish(self, now: float = 0.0) -> None:
        if self.done:
            return
        self.done = True
        self.ended_at = now or time.perf_counter()
        target = self._target
        if target is not None:
            target.in_flight -= 1
            self.target_ended = target.requests - target.in_flight
            self._target = None
        self._gateway.record(self, self._series)
        self._client.finished()
