"""A function or a service as a target: the whole request out as one call, its result in as a response.

A call takes and gives what a `TargetConnection` does, so that an exchange does not know the one from the other. The
service behind it is reached over HTTP/1.1 connections that are kept, one pool a target.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from functools import lru_cache
from typing import Final, Protocol

from proxy.config.endpoint import BadEndpointError
from proxy.config.model import TargetGroupConfig
from proxy.errors import IntegrationError, TargetClosedError, TargetConnectTimeout, TargetError
from proxy.forward.connection import Receiver, TargetConnection
from proxy.forward.pool import Pool, TargetPool
from proxy.forward.turns import Turns
from proxy.http1.body import ChunkedBody, decode_chunked
from proxy.http1.head import CHUNKED, Headers, RequestHead, ResponseHead, request_body_length
from proxy.integrations.chosen import integration_of
from proxy.integrations.event import EventIntegration
from proxy.integrations.function import FunctionIntegration
from proxy.integrations.message import HttpRequest, Reply
from proxy.integrations.service import Integration
from proxy.targets.target import Target

logger = logging.getLogger(__name__)

IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
"""Methods whose call is repeated if a kept connection turns out to be closed (RFC 9110 9.2.2)."""
LONGEST_CALL_SECONDS: Final = 900.0
"""No function runs longer (AWS Lambda quotas)."""
_OF_THE_CONNECTION: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding"})


class Caller(Receiver, Protocol):
    """Who sent the request, and what an event tells of it."""

    client: str
    protocol: bytes
    started_at: float

    @property
    def validated_token(self) -> bytes:
        """The bearer token that jwt-validation let pass, empty without one."""


@lru_cache(maxsize=2)
def verified_tls(alpn: str) -> ssl.SSLContext:
    """TLS towards services, whose certificates count, unlike those of targets."""
    context = ssl.create_default_context()
    context.set_alpn_protocols([alpn])
    return context


class IntegrationCall:
    """One request to a service; attributes as in `TargetConnection`. It is also who receives the service's reply."""

    __slots__ = (
        "_body",
        "_chunked",
        "_connection",
        "_data",
        "_decoded",
        "_decoder",
        "_has_turn",
        "_head",
        "_integration",
        "_is_gathered",
        "_is_repeated",
        "_length",
        "_payload",
        "_pool",
        "_received",
        "_receiver",
        "_reply",
        "_task",
        "_timer",
        "_to_head",
        "_turns",
        "keep_alive",
        "received_any",
        "used",
    )

    was_stale = False

    def __init__(self, pool: Pool, integration: Integration, turns: Turns | None = None) -> None:
        self.keep_alive = True
        self.received_any = False
        self.used = True
        self._pool = pool
        self._integration = integration
        self._turns = turns
        self._has_turn = False
        self._receiver: Caller | None = None
        self._to_head = False
        self._head: RequestHead | None = None
        self._body = bytearray()
        self._received = 0
        self._length = 0
        self._chunked: ChunkedBody | None = None
        self._data = b""
        self._is_gathered = False
        self._is_repeated = False
        self._connection: TargetConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reply: ResponseHead | None = None
        self._decoder: ChunkedBody | None = None
        self._decoded: list[bytes] = []
        self._payload: list[bytes] = []

    # What the gateway calls

    def send(self, data: bytes, receiver: Caller, *, to_head: bool) -> None:
        """Take a request: its head, with as much of its body as there is. The call goes out when all is there."""
        self._receiver = receiver
        self._to_head = to_head
        end = data.index(b"\r\n\r\n") + 4
        line, _, block = data[: end - 2].partition(b"\r\n")
        method, target, _ = line.split(b" ")
        self._head = head = RequestHead.of(method, target, 1, block)
        if b"upgrade" in head.fields:
            self._fail_soon(self._fault_of("WebsocketNotSupported", "there is no connection behind an event", 400))
            return
        length = request_body_length(head)
        if length == CHUNKED:
            self._chunked = ChunkedBody(self._decoded)
        elif length > self._integration.max_body_bytes:
            self._too_large()
            return
        self._length = length
        self.send_more(data[end:])

    def send_more(self, data: bytes) -> None:
        """Take more of the request's body."""
        if self._receiver is None or self._is_gathered:
            return
        if self._chunked is None:
            self._body += data
            complete = len(self._body) >= self._length
        else:
            self._body += decode_chunked(self._chunked, self._decoded, data)
            complete = self._chunked.complete
        if len(self._body) > self._integration.max_body_bytes:
            self._too_large()
        elif complete:
            self._ask()

    def pause(self) -> None:
        """The response is given whole, and the client's side keeps what the client does not take."""

    def resume(self) -> None:
        """See `pause`."""

    def end_tunnel(self) -> None:
        """There are no tunnels to services."""

    def close(self, *, flush: bool = False) -> None:
        """Forget the receiver and the call; what the service has begun it may well finish.

        Where calls are counted it is left to finish: until its reply is there it has its turn.
        """
        self._receiver = None
        self._stop_waiting()
        if self._has_turn and self._connection is not None:
            self._timer = asyncio.get_running_loop().call_later(LONGEST_CALL_SECONDS, self._drop)
        else:
            self._drop()

    def release(self) -> None:
        """The response was given; the connection is back in its pool already."""

    # Out

    def _too_large(self) -> None:
        limit = self._integration.max_body_bytes
        self._fail_soon(self._fault_of("RequestTooLarge", f"the body is over {limit} bytes", 413))

    def _ask(self) -> None:
        receiver, head = self._receiver, self._head
        assert receiver is not None
        assert head is not None
        headers: Headers = [line for line in head.headers if line[0].lower() not in _OF_THE_CONNECTION]
        body = bytes(self._body)
        self._body.clear()
        self._is_gathered = True
        try:
            self._data = self._integration.ask(
                HttpRequest(
                    head.method,
                    head.target,
                    headers,
                    body,
                    receiver.client,
                    receiver.protocol,
                    receiver.started_at,
                    receiver.validated_token,
                )
            )
        except IntegrationError as error:
            self._fail_soon(error)
            return
        if self._integration.timeout_seconds:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._integration.timeout_seconds, self._late)
        if self._turns is None:
            self._begin()
        else:
            self._turns.ask(self._begin)

    def _begin(self) -> None:
        self._has_turn = self._turns is not None
        self._call(self._pool.take_idle())

    def _call(self, connection: TargetConnection | None) -> None:
        """Send the call over this connection, or over a new one."""
        if connection is None:
            self._task = asyncio.get_running_loop().create_task(self._connect())
            return
        self._connection = connection
        self._reply = None
        self._payload.clear()
        connection.send(self._data, self, to_head=False)

    async def _connect(self) -> None:
        try:
            connection = await self._pool.connect()
        except TargetError as error:
            self._task = None
            self._fail(self._connection_error(error))
            return
        self._task = None
        self._call(connection)

    # In: a Receiver of the service's reply

    def request_sent(self, now: float) -> None:
        """The call counts as sent when it was asked for: there is nothing between."""

    def response_informational(self, head: ResponseHead) -> None:
        """Nothing that a service says before its reply is of use."""

    def response_started(self, head: ResponseHead, length: int, body: bytes, complete: bool, now: float) -> None:
        self._reply = head
        self.received_any = True
        self._decoder = ChunkedBody(self._decoded) if length == CHUNKED else None
        self._received = 0
        self.response_continued(body, complete, now)

    def response_continued(self, body: bytes, complete: bool, now: float) -> None:
        if self._decoder is not None:
            body = decode_chunked(self._decoder, self._decoded, body)
        self._payload.append(body)
        self._received += len(body)
        connection = self._connection
        if not complete and self._received < self._integration.max_reply_bytes:
            return
        self._connection = None
        if connection is not None:
            if complete:
                connection.pool.release(connection, now)
            else:
                connection.close()
        self._end_turn()
        self._answer(now)

    def response_failed(self, error: TargetError) -> None:
        connection = self._connection
        self._connection = None
        head = self._head
        assert head is not None
        is_stale = connection is not None and connection.used and isinstance(error, TargetClosedError)
        is_safe = not error.sent or head.method in IDEMPOTENT or self._integration.is_repeatable
        may_repeat = self._receiver is not None and is_safe
        if is_stale and may_repeat and not self.received_any and not self._is_repeated:
            self._is_repeated = True
            self._call(None)
            return
        self._fail(self._connection_error(error))

    def tunnel_opened(self, head: ResponseHead, data: bytes, now: float) -> None:
        self._fail(self._fault_of("ServiceException", "the service switched protocols unasked"))

    def tunnel_received(self, data: bytes) -> None:
        """The connection was closed by then."""

    def tunnel_closed(self) -> None:
        """See `tunnel_received`."""

    def target_paused(self) -> None:
        """The call is sent whole; there is no more to hold back."""

    def target_resumed(self) -> None:
        """See `target_paused`."""

    # To the client

    def _answer(self, now: float) -> None:
        reply, receiver = self._reply, self._receiver
        assert reply is not None
        if receiver is None:
            self._stop_waiting()
            return
        try:
            answer = self._integration.answer(Reply(reply.status, reply.fields, b"".join(self._payload)))
        except IntegrationError as error:
            self._fail(error)
            return
        self._stop_waiting()
        self._receiver = None
        has_body = not self._to_head and answer.status not in (204, 304)
        body = answer.body if has_body else b""
        receiver.response_started(answer.head(), len(body), body, True, now)

    def _late(self) -> None:
        limit = self._integration.timeout_seconds
        self._fail(self._fault_of("ConnectionTimeout", f"no result within {limit:g} s", 504))

    def _fail(self, error: IntegrationError) -> None:
        receiver = self._receiver
        self.close()
        if receiver is not None:
            receiver.response_failed(self._integration.told(error))

    def _fail_soon(self, error: IntegrationError) -> None:
        """Fail when the exchange has returned from sending; until then whatever comes is let go."""
        self._body.clear()
        self._is_gathered = True
        asyncio.get_running_loop().call_soon(self._fail, error)

    def _connection_error(self, error: TargetError) -> IntegrationError:
        if isinstance(error, TargetConnectTimeout):
            return self._fault_of("ConnectionTimeout", str(error), 504)
        return self._fault_of("ConnectionError", str(error))

    def _fault_of(self, word: str, detail: str, status: int = 502) -> IntegrationError:
        return IntegrationError(f"{self._integration.prefix}{word}", detail, status=status)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._end_turn()

    def _end_turn(self) -> None:
        if self._turns is None:
            return
        if self._has_turn:
            self._has_turn = False
            self._turns.give_back()
        else:
            self._turns.leave(self._begin)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
            self._task = None


class IntegrationPool(TargetPool):
    """The way to the service behind a target. Calls need no connection of their own, so there is always one at hand."""

    __slots__ = ("_fault", "_integration", "_prefix", "_service_pool", "_turns")

    def __init__(self, target: Target, config: TargetGroupConfig) -> None:
        super().__init__(target)
        self._fault = ""
        self._prefix = FunctionIntegration.prefix if config.function is not None else EventIntegration.prefix
        try:
            self._integration = integration_of(config, os.environ)
        except BadEndpointError as error:
            self._fault = str(error)
            logger.warning("target group %s: %s", config.name, error)
            return
        endpoint = self._integration.service.endpoint
        most = config.function.maximum_concurrency if config.function is not None else 0
        self._turns = Turns(most) if most else None
        self._service_pool = Pool(Target(endpoint.scheme, endpoint.host, endpoint.port), verified_tls)

    def take_idle(self) -> IntegrationCall:
        if self._fault:
            raise IntegrationError(f"{self._prefix}ConnectionError", self._fault)
        return IntegrationCall(self._service_pool, self._integration, self._turns)

    async def connect(self) -> IntegrationCall:
        return self.take_idle()

    def close_idle(self, idle_before: float) -> None:
        if not self._fault:
            self._service_pool.close_idle(idle_before)

    def retire(self) -> None:
        self._retired = True
        if not self._fault:
            self._service_pool.retire()

    def close(self) -> None:
        """A function has no deregistration delay (alb.md 5.4): what was called is waited for."""
        self.retire()

    @property
    def count(self) -> int:
        return 0 if self._fault else self._service_pool.count
