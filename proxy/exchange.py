"""The life of one request, from its head to its record.

    1  the door has the head                              exchange made
    2  run: the rules decide                              evaluate, decide
       the rule wants to know who asks                    _authenticate, first
    3  Reply: answered here                               _reply
       Route: the group picks a target                    _send
    4  an idle connection is at hand: sent at once        _dispatch
       else one is opened, in a task                      _connect
    5  the rest of the request streams to the target      request_continued
    6  the response streams to the client                 response_started, response_continued
    7  exactly one record, however it ended               _finish

Steps 2 to 7 run in the callbacks of the two connections; awaited are only the opening of a connection and the answers
of identity providers. A slow side pauses the other. This is the one place where an error becomes a response (`_fail`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.auth.outcome import UNTOUCHED, Later, Outcome, Passed
from proxy.carveout.hints import hint_of, without_hint
from proxy.config.model import JwtValidationConfig, LoadBalancerAttributes
from proxy.errors import (
    BadRequestError,
    ClientClosedError,
    ClientError,
    GatewayError,
    ProtocolVersionError,
    RequestTimeoutError,
    TargetClosedError,
    TargetConnectTimeout,
    TargetError,
    TargetTimeoutError,
    TargetTlsError,
)
from proxy.forward.connection import TargetConnection
from proxy.forward.headers import (
    ForwardedLines,
    forwarded_lines,
    request_head_to_target,
    response_block_to_client,
)
from proxy.forward.http2 import TargetStream
from proxy.forward.integration import IntegrationCall
from proxy.forward.pool import Pool
from proxy.forward.transports import AnyPool, pool_of
from proxy.http1.body import ChunkedBody, decode_chunked
from proxy.http1.head import CHUNKED, ResponseHead, join_fields
from proxy.http1.pages import REASONS
from proxy.http2.grpc import HTTP2, error_headers, is_grpc, may_forward
from proxy.listen.client import Client
from proxy.observe.metrics import ConnectResult, RouteSeries
from proxy.observe.record import RequestRecord
from proxy.rules.actions import Decision, Forward, Reply
from proxy.rules.compiled import Authenticate, CompiledRule
from proxy.rules.request import RequestView
from proxy.rules.transforms import rewritten_host, rewritten_target, transformed
from proxy.runtime import Listener, Runtime
from proxy.stickiness import StickyRequest
from proxy.targets.group import TargetGroup
from proxy.targets.target import Target
from proxy.tls import TlsSession

if TYPE_CHECKING:
    from proxy.gateway import Gateway

MAX_REPLAY_BYTES: Final = 64 * 1024
"""Largest request that is kept to be sent a second time."""
MAX_ATTEMPTS: Final = 3
"""Most targets that one request is offered to."""
IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
"""Methods that may be repeated after they were sent (RFC 9110 9.2.2)."""


Connection = TargetConnection | TargetStream | IntegrationCall


class RequestExchange(RequestRecord):
    """One request and its response; the record of it as well."""

    __slots__ = (
        "_added_cookies",
        "_ambiguous",
        "_attempts",
        "_block",
        "_busy_since",
        "_client",
        "_client_is_slow",
        "_connection",
        "_decoded",
        "_decoder",
        "_gateway",
        "_group",
        "_informed",
        "_length",
        "_listener",
        "_outgoing",
        "_paused",
        "_repeated",
        "_replay",
        "_request_complete",
        "_runtime",
        "_series",
        "_sets_cookies",
        "_started",
        "_sticky",
        "_target",
        "_task",
        "_tunnel_ends",
        "_upgrade",
        "_view",
        "done",
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
        # The attributes of the record, set here and not by a further call: this runs once a request.
        self.started_at = 0.0
        self.received_at = 0.0
        self.sent_at = 0.0
        self.head_at = 0.0
        self.ended_at = 0.0
        self.overhead = 0.0
        self.listener = listener.name
        self.rule = ""
        self.priority = None
        self.target_group = ""
        self.target_id = ""
        self.view = self._view = view
        self.client = client.peer
        self.client_port = client.client_port
        self.method = view.method
        self.protocol = protocol
        self.status = 0
        self.target_status = 0
        self.request_bytes = 0
        self.response_bytes = 0
        self.reason = ""
        self.trace_id = b""
        self.tunnel = False
        self.action = ""
        self.authenticated = False
        self.redirect_url = b""
        self.classification = ""
        self.classification_reason = ""
        self.transformed_host = b""
        self.transformed_uri = b""
        self.request_transform_status = ""
        self.target_request = 0
        self.target_ended = 0
        self.in_flight = 0
        self.client_was_slow = False
        self.is_stream = False
        self.response_fields = None
        self.hint = ""
        self.head = b""
        self.port = 0
        self.done = False
        self._gateway = gateway
        self._client = client
        self._listener = listener
        self._runtime = runtime
        self._block = block
        self._length = length
        self._upgrade = upgrade
        self._ambiguous = ambiguous
        self._series: RouteSeries | None = None
        self._group: TargetGroup | None = None
        self._target: Target | None = None
        self._sticky: StickyRequest | None = None
        self._sets_cookies = False
        self._added_cookies: tuple[bytes, ...] = ()
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._outgoing: list[bytes] = []
        self._replay: bytes | None = None
        self._attempts = 0
        self._busy_since = 0.0
        self._repeated = False
        self._request_complete = False
        self._started = False
        self._informed = False
        self._paused = False
        self._client_is_slow = False
        self._decoder: ChunkedBody | None = None
        self._decoded: list[bytes] = []
        self._tunnel_ends = 0

    @property
    def conn_trace_id(self) -> str:
        return self._client.conn_trace_id

    @property
    def tls(self) -> TlsSession | None:
        return self._client.tls

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

    def run(self, body: bytes, complete: bool) -> None:
        """Decide and carry out; `body` is what came with the head, framed as on the wire."""
        self._request_complete = complete
        self._busy_since = self.received_at
        self.request_bytes += len(body)
        view = self._view
        try:
            rule = self._listener.table.evaluate(view)
            self.rule = rule.name
            self.priority = rule.priority
            if rule.authenticate is not None:
                self._authenticate(rule, rule.authenticate, body)
            else:
                self._carry_out(rule, view, body)
        except GatewayError as error:
            self._fail(error)
        if self._task is not None:
            self._now_waits(time.perf_counter())

    def _may_wait(self) -> None:
        """The gateway has done what it can for now."""
        if self._task is not None:
            self._now_waits(time.perf_counter())

    def _now_waits(self, now: float) -> None:
        """From now on the gateway waits for somebody: what it did until now is what it cost."""
        if self._busy_since:
            self.overhead += now - self._busy_since
            self._busy_since = 0.0

    def _authenticate(self, rule: CompiledRule, authenticate: Authenticate, body: bytes) -> None:
        """Make sure of who asks; a question to an identity provider is a task, while which the client is not read."""
        self._series = self._listener.series(rule, "")
        self.authenticated = authenticate.config is not None
        outcome = self._gateway.authentication.begin(authenticate, self._view)
        if isinstance(outcome, Passed | Reply):
            self._authenticated(rule, outcome, body)
            return
        self._outgoing = [body]
        if not self._request_complete:
            self._client.pause()
        self._task = asyncio.get_running_loop().create_task(self._authenticate_later(rule, outcome))

    async def _authenticate_later(self, rule: CompiledRule, later: Later) -> None:
        try:
            outcome = await later()
        except GatewayError as error:
            self._task = None
            self._fail(error)
            return
        self._busy_since = time.perf_counter()
        self._task = None
        body = b"".join(self._outgoing)
        self._outgoing = []
        self._client.resume()
        try:
            self._authenticated(rule, outcome, body)
        except GatewayError as error:
            self._fail(error)
        self._may_wait()

    def _authenticated(self, rule: CompiledRule, outcome: Outcome, body: bytes) -> None:
        """Answer, or go on with what the target is to know."""
        if isinstance(outcome, Reply):
            self.authenticated = True
            self.redirect_url = outcome.location
            self._answer(outcome.status, outcome.headers, outcome.body)
            return
        view = self._view
        if outcome is not UNTOUCHED:
            self._added_cookies = outcome.set_cookies
            self._sets_cookies = bool(outcome.set_cookies)
            view = outcome.apply(view)
            self._block = join_fields(view.headers)
        self._carry_out(rule, view, body)

    def _carry_out(self, rule: CompiledRule, view: RequestView, body: bytes) -> None:
        """Transforms and routing action of the rule that took the request."""
        listener = self._listener
        attributes = listener.attributes
        if rule.transforms:
            self._series = listener.series(rule, "")
            view, attributes = self._transform(rule, view)
        route = rule.route
        if route is None:
            self.action = rule.action.name
            self._series = listener.series(rule, "")
            action = rule.action
            decision: Decision
            if isinstance(action, Forward) and action.stickiness is not None:
                decision = self._sticky_request().route(action, self._gateway.draw)
            else:
                decision = action.decide(view, self._gateway.draw)
            if isinstance(decision, Reply):
                self.redirect_url = decision.location
                self._answer(decision.status, decision.headers, decision.body)
                return
            route = decision
        name = route.target_group
        self.target_group = name
        self._series = listener.known_series.get((rule.index, name)) or listener.series(rule, name)
        group = self._group = self._runtime.groups[name]
        if self.protocol != group.expects:
            self._check_protocol(group)
        client = self._client
        forwarded = client.memo
        if type(forwarded) is not ForwardedLines or forwarded.attributes is not attributes:
            renamed = listener.config.attributes.renamed_headers
            forwarded = client.memo = forwarded_lines(
                client.peer, client.client_port, view.scheme, view.port, attributes, client.tls, renamed
            )
        head, self.trace_id = request_head_to_target(
            view,
            self._block,
            forwarded,
            upgrade=self._upgrade,
            chunked=self._length == CHUNKED,
            ambiguous=self._ambiguous,
            fallback_host=client.local_host,
        )
        spans = self._gateway.spans
        if spans is not None and spans.rewrites:
            head, self.trace_id = spans.continued(view, head, self.trace_id)
        target = group.pick() if group.stickiness is None else self._sticky_request().pick(group)
        self._send(target, head + body if body else head)

    def _check_protocol(self, group: TargetGroup) -> None:
        """The table of alb.md 5.1; raise ProtocolVersionError where it says 464."""
        version = group.config.protocol_version
        if not may_forward(self.protocol, version, self.method, is_grpc=is_grpc(self._view.fields)):
            raise ProtocolVersionError(f"{group.name} speaks {version}, the client does not")

    def _sticky_request(self) -> StickyRequest:
        if self._sticky is None:
            self._sets_cookies = True
            self._sticky = StickyRequest(self._view, self._gateway.sealer, time.time())
        return self._sticky

    def _transform(self, rule: CompiledRule, before: RequestView) -> tuple[RequestView, LoadBalancerAttributes]:
        """The request as the rule's transforms leave it, and the attributes under which it goes to a target.

        `view` stays what the rules saw. A rewritten Host goes as it stands, as a preserved one does (alb.md 6.3).
        """
        view = transformed(before, rule.transforms)
        attributes = self._listener.attributes
        target = rewritten_target(before, view)
        if target is not None:
            self.transformed_uri = target
        host = rewritten_host(before, view)
        if host is not None:
            self.transformed_host = host
            self._block = join_fields(view.headers)
            attributes = replace(attributes, preserve_host_header=True)
        return view, attributes

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


def _failed_connect(error: TargetError) -> ConnectResult:
    if error.status == TargetConnectTimeout.status:
        return "timeout"
    return "tls" if isinstance(error, TargetTlsError) else "refused"


PAGE_HEADERS: Final = ((b"Content-Type", b"text/html"),)
