"""The part of an exchange that has to do with a target: connecting, sending, repeating, streaming, tunnelling.

A slow side pauses the other.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from proxy.carveout.hints import hint_of, without_hint
from proxy.config.model import JwtValidationConfig
from proxy.errors import (
    BadRequestError,
    ClientClosedError,
    ClientError,
    GatewayError,
    RequestTimeoutError,
    TargetClosedError,
    TargetConnectTimeout,
    TargetError,
    TargetTimeoutError,
    TargetTlsError,
)
from proxy.exchange.ending import Ending
from proxy.forward.connection import TargetConnection
from proxy.forward.headers import response_block_to_client
from proxy.forward.http2 import TargetStream
from proxy.forward.integration import IntegrationCall
from proxy.forward.pool import Pool
from proxy.forward.transports import AnyPool, pool_of
from proxy.http1.body import ChunkedBody, decode_chunked
from proxy.http1.head import CHUNKED, ResponseHead
from proxy.listen.client import Client
from proxy.observe.metrics import ConnectResult
from proxy.rules.request import RequestView
from proxy.runtime import Listener, Runtime
from proxy.stickiness import StickyRequest
from proxy.targets.group import TargetGroup
from proxy.targets.target import Target

if TYPE_CHECKING:
    from proxy.gateway import Gateway

MAX_REPLAY_BYTES: Final = 64 * 1024
"""Largest request that is kept to be sent a second time."""
MAX_ATTEMPTS: Final = 3
"""Most targets that one request is offered to."""
IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
"""Methods that may be repeated after they were sent (RFC 9110 9.2.2)."""


Connection = TargetConnection | TargetStream | IntegrationCall


class Forwarding(Ending):
    """A request on its way to a target of its group, and the response on its way back."""

    __slots__ = (
        "_ambiguous",
        "_attempts",
        "_block",
        "_client_is_slow",
        "_connection",
        "_decoded",
        "_decoder",
        "_group",
        "_informed",
        "_length",
        "_outgoing",
        "_paused",
        "_repeated",
        "_replay",
        "_request_complete",
        "_runtime",
        "_sets_cookies",
        "_sticky",
        "_task",
        "_tunnel_ends",
        "_upgrade",
    )

    def __init__(
        self,
        gateway: Gateway,
        client: Client,
        listener: Listener,
        runtime: Runtime,
        view: RequestView,
        block: bytes,
        length: int,
        protocol: bytes,
        upgrade: bool,
        ambiguous: bool,
    ) -> None:
        super().__init__(gateway, client, listener, view, protocol)
        self._runtime = runtime
        self._block = block
        self._length = length
        self._upgrade = upgrade
        self._ambiguous = ambiguous
        self._group: TargetGroup | None = None
        self._sticky: StickyRequest | None = None
        self._sets_cookies = False
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._outgoing: list[bytes] = []
        self._replay: bytes | None = None
        self._attempts = 0
        self._repeated = False
        self._request_complete = False
        self._informed = False
        self._paused = False
        self._client_is_slow = False
        self._decoder: ChunkedBody | None = None
        self._decoded: list[bytes] = []
        self._tunnel_ends = 0

    @property
    def remark(self) -> str:
        return "" if self._sticky is None else self._sticky.remark

    @property
    def validated_token(self) -> bytes:
        """The bearer token that jwt-validation let pass, empty without one; for what tells others of it."""
        config = self._listener.config
        rule = next((rule for rule in config.rules if rule.name == self.rule), None)
        authentication = config.default_authentication if rule is None else rule.authentication
        if not isinstance(authentication, JwtValidationConfig):
            return b""
        assert self.view is not None
        return self.view.fields[b"authorization"].partition(b" ")[2].strip(b" ")

    # From the client

    def request_continued(self, body: bytes, complete: bool) -> None:
        self.request_bytes += len(body)
        self._request_complete = complete
        if self._outgoing:
            self._outgoing.append(body)
        elif self._connection is not None:
            self._replay = None
            self._connection.send_more(body)
            if complete:
                self.sent_at = self._client.active_at

    def fail(self, error: ClientError) -> None:
        self._drop_connection()
        self._fail(error)

    def timed_out(self, *, request_complete: bool) -> None:
        """Nothing moved for the idle timeout: whose fault is it (alb.md 6.6)?"""
        if self._task is not None and self._group is None:
            return  # Identity providers have limits of their own, which give a better answer.
        is_connecting = self._task is not None
        self._drop_connection()
        if self._started:
            self._cut(ClientClosedError.reason if self._client_is_slow else TargetTimeoutError.reason)
        elif is_connecting:
            self._blame_target()
            self._fail(TargetConnectTimeout("no connection within the idle timeout", sent=False))
        elif request_complete or self._paused:
            self._blame_target()
            self._fail(TargetTimeoutError("no response within the idle timeout", sent=True))
        else:
            self._fail(RequestTimeoutError("the request did not complete within the idle timeout"))

    def client_lost(self) -> None:
        """Record 460, or 400 if the request never was complete (alb.md 8); nobody is there to be answered."""
        if self.done:
            return
        if self.tunnel:
            self._end_tunnel()
            return
        self._drop_connection()
        if not self._started:
            self.status = ClientClosedError.status if self._request_complete else BadRequestError.status
        self.reason = ClientClosedError.reason
        self._finish()

    def client_paused(self) -> None:
        self._client_is_slow = self.client_was_slow = True
        if self._connection is not None:
            self._connection.pause()

    def client_resumed(self) -> None:
        self._client_is_slow = False
        if self._connection is not None:
            self._connection.resume()

    def tunnel_continued(self, data: bytes) -> None:
        self.request_bytes += len(data)
        if self._connection is not None:
            self._connection.send_more(data)

    def tunnel_ended(self) -> None:
        if self._connection is not None:
            self._connection.end_tunnel()
        self._end_of_tunnel()

    # To the target

    def _send(self, target: Target, data: bytes, *, anew: bool = False) -> None:
        """Offer the request to a target: over an idle connection at once, else (or if `anew`) over a new one."""
        self._attempts += 1
        self._target = target
        target.in_flight += 1
        self.in_flight = target.in_flight
        self.target_request = target.requests = target.requests + 1
        self.target_id = target.id
        pool = target.pool
        if type(pool) is not Pool:
            assert self._group is not None
            pool = pool_of(target, self._group.config)
        connection = None if anew else pool.take_idle()
        if connection is not None:
            self._dispatch(connection, data)
            return
        self._outgoing = [data]
        if not self._request_complete:
            self._client.pause()
        self._task = asyncio.get_running_loop().create_task(self._connect(pool))
        self._now_waits(time.perf_counter())

    async def _connect(self, pool: AnyPool) -> None:
        try:
            connection = await pool.connect()
        except TargetError as error:
            self._gateway.metrics.target_connection(self.target_group, _failed_connect(error))
            self._task = None
            self.response_failed(error)
            return
        if not connection.used:
            self._gateway.metrics.target_connection(self.target_group, "success")
        began = time.perf_counter()
        self._task = None
        if self.done:
            self._connection = connection
            self._release(began)
            return
        data = b"".join(self._outgoing)
        self._outgoing = []
        self._paused = False
        self._busy_since = began
        self._dispatch(connection, data)
        if not self._paused:
            self._client.resume()

    def _dispatch(self, connection: Connection, data: bytes) -> None:
        self._connection = connection
        if self._request_complete and len(data) <= MAX_REPLAY_BYTES:
            self._replay = data
        else:
            self._replay = None
        connection.send(data, self, to_head=self.method == b"HEAD")
        if not isinstance(connection, TargetConnection):
            self.request_sent(time.perf_counter())

    def request_sent(self, now: float) -> None:
        if self._request_complete:
            self.sent_at = now
        # `_now_waits`, without the call: this runs once a request.
        if self._busy_since:
            self.overhead += now - self._busy_since
            self._busy_since = 0.0

    def target_paused(self) -> None:
        self._paused = True
        self._client.pause()

    def target_resumed(self) -> None:
        self._paused = False
        self._client.resume()

    # From the target

    def response_informational(self, head: ResponseHead) -> None:
        self._informed = True
        self._client.inform(head.status, head.reason, response_block_to_client(head))

    def response_started(self, head: ResponseHead, length: int, body: bytes, complete: bool, now: float) -> None:
        client = self._client
        self._started = True
        self.head_at = now
        self.status = self.target_status = status = head.status
        if not self.sent_at:
            self.sent_at = now
        decoded = length == CHUNKED and not client.takes_chunks
        if decoded:
            self._decoder = ChunkedBody(self._decoded)
            body = self._decode(body)
        if complete:
            self._release(now)
        block = head.client_block
        if block is None or decoded:
            block = response_block_to_client(head, decoded=decoded)
        if status >= 500:
            self._blame_target()
        if self._sets_cookies:
            block += self._cookies(head)
        if self._listener.response_headers is not None:
            block = self._listener.response_headers.set_in(block)
        fields = self.response_fields = head.fields
        if not complete and fields.get(b"content-type", b"")[:17] == b"text/event-stream":
            self.is_stream = True
        hint_header = self._gateway.transactions.hint_header
        if hint_header and hint_header in fields:
            self.hint = hint_of(fields[hint_header])
            block = without_hint(block, hint_header)
        client.active_at = now
        self.response_bytes += client.start(status, head.reason, block, length, body, complete)
        ended = time.perf_counter()
        self.overhead += ended - now
        if complete:
            self._finish(ended)

    def _cookies(self, head: ResponseHead) -> bytes:
        lines = b"".join([b"Set-Cookie: %s\r\n" % cookie for cookie in self._added_cookies])
        if self._sticky is not None:
            assert self._target is not None
            lines += self._sticky.set_cookie_lines(self._target, head.headers, time.time())
        return lines

    def _blame_target(self) -> None:
        """Count a failure of the target, which anomaly detection compares (alb.md 5.2)."""
        if self._target is not None:
            self._target.failures += 1

    def response_continued(self, body: bytes, complete: bool, now: float) -> None:
        client = self._client
        if self._decoder is not None:
            body = self._decode(body)
        if complete:
            self._release(now)
        client.active_at = now
        self.response_bytes += client.more(body, complete)
        ended = time.perf_counter()
        self.overhead += ended - now
        if complete:
            self._finish(ended)

    def _decode(self, body: bytes) -> bytes:
        assert self._decoder is not None
        return decode_chunked(self._decoder, self._decoded, body)

    def response_failed(self, error: TargetError) -> None:
        """Repeat the request where that is safe, else answer for the target."""
        self._blame_target()
        connection = self._connection
        self._connection = None
        if self._started:
            self._cut(error.reason)
            return
        target = self._target
        assert target is not None
        assert self._group is not None
        data = self._data_to_repeat(error, connection)
        if data is not None:
            target.in_flight -= 1
            self._target = None
            try:
                other = self._group.pick_other(target)
                # A connection that was kept may just have been too old; a new one would fail again.
                if other is None and connection is not None and connection.was_stale:
                    other = target
                if other is not None:
                    self._outgoing = []
                    self._send(other, data, anew=error.sent)
                    return
            except GatewayError as failure:
                self._fail(failure)
                return
        self._fail(error)

    def _data_to_repeat(self, error: TargetError, connection: Connection | None) -> bytes | None:
        """The bytes to send again: all unsent ones or, once, a whole small idempotent request that got no byte back."""
        if self._attempts >= MAX_ATTEMPTS or self._informed or error.status == TargetTimeoutError.status:
            return None
        if not error.sent:
            return b"".join(self._outgoing) if connection is None else self._replay
        if self.method not in IDEMPOTENT or self._upgrade or connection is None or connection.received_any:
            return None
        if self._repeated or not isinstance(error, TargetClosedError):
            return None
        self._repeated = True
        return self._replay

    def tunnel_opened(self, head: ResponseHead, data: bytes, now: float) -> None:
        if not self._upgrade:
            self._drop_connection()
            self._fail(TargetError("the target switched protocols unasked", sent=True))
            return
        self._started = True
        self.tunnel = True
        self.head_at = now
        self.status = self.target_status = 101
        block = b"%s%sConnection: Upgrade\r\nUpgrade: %s\r\n" % (
            response_block_to_client(head),
            self._cookies(head) if self._sets_cookies else b"",
            head.fields.get(b"upgrade", b"websocket"),
        )
        if self._listener.response_headers is not None:
            block = self._listener.response_headers.set_in(block)
        self._client.active_at = now
        self.response_bytes += self._client.tunnel(head.reason, block, data)

    def tunnel_received(self, data: bytes) -> None:
        self._client.active_at = time.perf_counter()
        self.response_bytes += self._client.tunnel_send(data)

    def tunnel_closed(self) -> None:
        if not self.done:
            self._client.tunnel_end()
            self._end_of_tunnel()

    def _end_of_tunnel(self) -> None:
        """A tunnel is over when both sides have ended."""
        self._tunnel_ends += 1
        if self._tunnel_ends == 2:
            self._end_tunnel()

    def _end_tunnel(self) -> None:
        connection = self._connection
        self._connection = None
        if connection is not None:
            connection.close(flush=True)
        self._finish()

    # The end

    def _release(self, now: float) -> None:
        """Give the connection back; if the target answered before it had the whole request, it cannot be used again."""
        connection = self._connection
        self._connection = None
        if connection is None:
            return
        if self._client_is_slow:
            connection.resume()
        if not self._request_complete or self._ambiguous:
            connection.keep_alive = False
        if isinstance(connection, TargetConnection):
            connection.pool.release(connection, now)
        else:
            connection.release()

    def _drop_connection(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        connection = self._connection
        self._connection = None
        if connection is not None:
            connection.close()


def _failed_connect(error: TargetError) -> ConnectResult:
    if error.status == TargetConnectTimeout.status:
        return "timeout"
    return "tls" if isinstance(error, TargetTlsError) else "refused"
