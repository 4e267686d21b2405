"""HTTP/2 to targets: few connections, each shared by many requests (alb.md 5.1, protocol versions HTTP2 and GRPC).

A stream takes and gives what a `TargetConnection` does, requests and responses framed as in HTTP/1.1, so that an
exchange does not know the one from the other.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any, Final

from h2.errors import ErrorCodes
from h2.events import InformationalResponseReceived, PingAckReceived, RemoteSettingsChanged, ResponseReceived
from h2.exceptions import H2Error, ProtocolError

from proxy.errors import TargetClosedError, TargetConnectError, TargetError, TargetResponseError
from proxy.forward.connection import MAX_INFORMATIONAL_RESPONSES, Receiver
from proxy.forward.pool import TargetPool
from proxy.http1.body import BadBodyError, ChunkedBody, decode_chunked, framed
from proxy.http1.head import CHUNKED, MalformedResponseError, response_body_length
from proxy.http2.connection import Http2Connection, Http2Stream
from proxy.http2.fields import request_fields, response_head_of, trailer_fields, trailer_lines
from proxy.targets.target import Target

STREAM_WINDOW: Final = 256 * 1024
"""Bytes of one response that may be on their way."""
MAX_CONNECTIONS: Final = 8
"""Most connections to one target; a further one is opened when the target's limit of streams is reached on all."""
MAX_STREAMS_EACH: Final = 256
"""Most requests at a time on one connection, if the target allows as many; above, another is opened."""
MAX_STREAM_ID: Final = 2**31 - 1
SILENCE_SECONDS: Final = 10.0
"""After so long without a frame a target with requests in hand is pinged; after as long again it is given up."""


class TargetStream(Http2Stream):
    """One request on a shared connection, from when a place for it is taken; attributes as in `TargetConnection`."""

    __slots__ = (
        "_chunked",
        "_decoded",
        "_decoder",
        "_informational",
        "_lines",
        "_receiver",
        "_remaining",
        "_started",
        "_to_head",
        "_unsent_body",
        "keep_alive",
        "received_any",
        "refused",
        "used",
    )

    _connection: TargetHttp2Connection

    def __init__(self, connection: TargetHttp2Connection, *, used: bool) -> None:
        super().__init__(connection, 0)
        self.keep_alive = True
        self.received_any = False
        self.used = used
        self.refused = False
        self._receiver: Receiver | None = None
        self._to_head = False
        self._started = False
        self._informational = 0
        self._chunked = False
        self._remaining = 0
        self._unsent_body = 0
        self._decoder: ChunkedBody | None = None
        self._decoded: list[bytes] = []
        self._lines: list[bytes] = []

    # What the gateway calls

    def send(self, data: bytes, receiver: Receiver, *, to_head: bool) -> None:
        """Send a request: its head, with as much of its body as there is; see `TargetConnection.send`."""
        self._receiver = receiver
        self._to_head = to_head
        end = data.find(b"\r\n\r\n") + 4
        connection = self._connection
        fields, length = request_fields(data[:end], connection.pool.target.scheme)
        session = connection.session
        try:
            if connection.leaving or connection.closed:
                raise ProtocolError("it is leaving")
            stream_id = session.get_next_available_stream_id()
            session.send_headers(stream_id, fields, end_stream=length == 0)
        except H2Error:
            # A place was free when it was taken; since then the target has lowered its limit or begun to leave.
            asyncio.get_running_loop().call_soon(self._refuse)
            return
        self.id = stream_id
        connection.streams[stream_id] = self
        connection.active_at = time.perf_counter()
        if length == 0:
            self.closed = True
        elif length == CHUNKED:
            self._decoder = ChunkedBody(self._decoded, self._lines)
        self._unsent_body = length
        if len(data) > end:
            self.send_more(data[end:])
        else:
            connection.flush()

    def send_more(self, data: bytes) -> None:
        """Send more of the request's body."""
        if self.closed:
            return
        if self._decoder is not None:
            body = decode_chunked(self._decoder, self._decoded, data)
            complete = self._decoder.complete
        else:
            body = data
            self._unsent_body -= len(data)
            complete = self._unsent_body <= 0
        if body or complete:
            self.write(body, complete=complete, trailers=trailer_fields(self._lines) if complete else None)

    def end_tunnel(self) -> None:
        """There are no tunnels over HTTP/2."""

    def pause(self) -> None:
        """Let the target send no more of this response for now."""
        self.pause_reading()

    def resume(self) -> None:
        """Let the target go on."""
        self.resume_reading()

    @property
    def was_stale(self) -> bool:
        """Whether the request may have failed only because of the connection's age, so that a new one is worth it."""
        return self.refused or (self.used and not self.received_any)

    def close(self, *, flush: bool = False) -> None:
        """Forget the receiver and give the stream up; the connection goes on."""
        self._receiver = None
        if self.id:
            self.reset(ErrorCodes.CANCEL)
        self._connection.over(self)

    def release(self) -> None:
        """The response is complete. A target that answered before it had the whole request gets no more of it."""
        if self.id and not self.closed:
            self.reset(ErrorCodes.CANCEL)
        self._connection.over(self)

    # What the connection calls

    def on_response(self, received: Any, *, ended: bool, now: float) -> None:
        self.received_any = True
        receiver = self._receiver
        if receiver is None:
            return
        try:
            head = response_head_of(received, chunked=not ended)
            length = response_body_length(head, to_head=self._to_head)
            if head.status == 101:
                raise MalformedResponseError("there is no 101 in HTTP/2")
            if head.status < 200:
                self._inform(head, receiver)
                return
        except MalformedResponseError as error:
            self.fail(TargetResponseError(str(error), sent=True))
            return
        if ended:
            if length > 0:
                self.fail(TargetResponseError("the response has a Content-Length and no body", sent=True))
                return
            length = 0
        self._chunked = length == CHUNKED
        self._remaining = length
        self._started = True
        if ended:
            self._receiver = None
        receiver.response_started(head, length, b"", ended, now)

    def _inform(self, head: Any, receiver: Receiver) -> None:
        self._informational += 1
        if self._informational > MAX_INFORMATIONAL_RESPONSES:
            self.fail(TargetResponseError("too many informational responses", sent=True))
        elif head.status != 100:
            receiver.response_informational(head)

    def on_data(self, data: bytes, *, complete: bool) -> None:
        if self._receiver is None or not self._started:
            return
        if not self._chunked:
            self._remaining -= len(data)
            if self._remaining < 0 or (complete and self._remaining):
                self.fail(TargetResponseError("the body has not the length that Content-Length tells", sent=True))
                return
            self._continue(data, complete)
        else:
            self._continue(framed(data, complete=complete), complete)

    def on_trailers(self, fields: Any) -> None:
        """Trailers end the body. With a Content-Length there is no place for them in HTTP/1.1, and they are dropped."""
        if self._receiver is None or not self._started:
            return
        try:
            lines = trailer_lines(fields)
        except BadBodyError as error:
            self.fail(TargetResponseError(str(error), sent=True))
            return
        if self._chunked:
            self._continue(framed(b"", complete=True, trailers=lines), True)
        else:
            self.on_data(b"", complete=True)

    def _continue(self, body: bytes, complete: bool) -> None:
        receiver = self._receiver
        assert receiver is not None
        if complete:
            self._receiver = None
        receiver.response_continued(body, complete, self._connection.active_at)

    def on_reset(self, error: int) -> None:
        if error == ErrorCodes.REFUSED_STREAM and not self.received_any:
            self._refuse()
        elif self._started:
            self.lose(TargetClosedError("the target reset the stream within the response", sent=True))
        else:
            self.lose(TargetClosedError("the target reset the stream before the response", sent=True))

    def _refuse(self) -> None:
        """Nothing was done with the request, so it may be sent again whatever its method (RFC 9113 8.7)."""
        self.refused = True
        self.lose(TargetClosedError("the target takes no further request on this connection", sent=False))

    def on_goaway(self, last_stream: int) -> None:
        if self.id > last_stream:
            self.shut()
            self._refuse()

    def fail(self, error: TargetError) -> None:
        """The target broke the rules on this stream; the others on the connection go on."""
        self.reset(ErrorCodes.PROTOCOL_ERROR)
        self.lose(error)

    def lose(self, error: TargetError) -> None:
        """No (more) response will come."""
        receiver = self._receiver
        self._receiver = None
        self._connection.over(self)
        if receiver is not None:
            receiver.response_failed(error)

    def on_blocked(self) -> None:
        if self._receiver is not None:
            self._receiver.target_paused()

    def on_drained(self) -> None:
        if self._receiver is not None:
            self._receiver.target_resumed()


class TargetHttp2Connection(Http2Connection):
    """One connection to a target, owned by its pool.

    Attributes:
        places: Requests that have a place on it, sent or about to be.
        idle_since: When the last of them ended.
    """

    def __init__(self, pool: Http2Pool) -> None:
        super().__init__(client_side=True, stream_window=STREAM_WINDOW, max_streams=0)
        self.pool = pool
        self.places: set[TargetStream] = set()
        self.idle_since = self.active_at
        self._heard_at = self.active_at
        self._pinged_at = 0.0
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ready(self) -> None:
        """Wait for the target's settings, without which nobody knows how many requests it takes at a time."""
        await self._ready

    @property
    def has_room(self) -> bool:
        limit = min(self.session.remote_settings.max_concurrent_streams, MAX_STREAMS_EACH)
        return (
            not self.closed
            and not self.leaving
            and self._ready.done()
            and len(self.places) < limit
            and self.session.highest_outbound_stream_id + 2 * len(self.places) < MAX_STREAM_ID - 2
        )

    def take(self) -> TargetStream:
        """A place for a request."""
        stream = TargetStream(self, used=bool(self.places) or self.session.highest_outbound_stream_id > 0)
        self.places.add(stream)
        return stream

    def over(self, stream: TargetStream) -> None:
        """A place is free again."""
        self.streams.pop(stream.id, None)
        if stream in self.places:
            self.places.discard(stream)
            self.idle_since = time.perf_counter()
            self.pool.room_made()
        self.flush()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is not None and ssl_object.selected_alpn_protocol() != "h2":
            self._not_ready("the target does not speak HTTP/2 over TLS")
            self.close()
            return
        self.flush()

    def data_received(self, data: bytes) -> None:
        self._heard_at = time.perf_counter()
        self._pinged_at = 0.0
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._not_ready("the connection was closed before the target sent its settings")
        self.pool.lost(self)
        for stream in list(self.places):
            stream.shut()
            when = "within" if stream.received_any else "before"
            stream.lose(TargetClosedError(f"the connection was lost {when} the response", sent=True))

    def _not_ready(self, why: str) -> None:
        if not self._ready.done():
            self._ready.set_exception(ConnectionError(why))
            # Nobody waits for it when the connecting was given up.
            self._ready.exception()

    def on_event(self, event: Any) -> None:
        if isinstance(event, ResponseReceived | InformationalResponseReceived):
            stream = self.streams.get(event.stream_id)
            if stream is not None:
                self.active_at = time.perf_counter()
                ended = isinstance(event, ResponseReceived) and event.stream_ended is not None
                stream.on_response(event.headers, ended=ended, now=self.active_at)
        elif isinstance(event, RemoteSettingsChanged):
            if not self._ready.done():
                self._ready.set_result(None)
            self.pool.room_made()
        elif isinstance(event, PingAckReceived):
            self._pinged_at = 0.0

    def on_broken(self, error: ProtocolError) -> None:
        self._not_ready("the target does not speak HTTP/2")
        for stream in list(self.places):
            stream.shut()
            stream.lose(TargetResponseError(f"the target does not keep to HTTP/2: {error}", sent=True))

    def on_goaway(self, last_stream: int) -> None:
        for stream in list(self.places):
            stream.on_goaway(last_stream)
        self.pool.room_made()

    # What the pool calls

    def check_silence(self, now: float) -> None:
        """Find out whether a target that owes a response is still there: the connection is everybody's."""
        if not self.places or self.closed:
            return
        if self._pinged_at:
            if now - self._pinged_at > SILENCE_SECONDS:
                self.transport.abort()
        elif now - self._heard_at > SILENCE_SECONDS:
            self._pinged_at = now
            self.session.ping(b"anyone??")
            self.flush()

    def retire(self) -> None:
        """Take no more requests, and close after the last one."""
        self.leave(0)

    def abort(self) -> None:
        """Cut the connection; whoever waits for a response is told (alb.md 5.4: deregistration delay over)."""
        for stream in list(self.places):
            stream.shut()
            stream.lose(TargetError("the target's deregistration delay is over", sent=True))
        self.transport.abort()


class Http2Pool(TargetPool):
    """The HTTP/2 connections to one target.

    A request goes to the first connection that has room. When none has, one more is opened, up to a limit; above it
    requests wait for room in the order in which they came.
    """

    __slots__ = ("_connections", "_is_opening", "_waiting")

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._connections: list[TargetHttp2Connection] = []
        self._is_opening = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_idle(self) -> TargetStream | None:
        """A place on a connection that has room, or None; not before those who wait already."""
        return None if self._waiting else self._take()

    def _take(self) -> TargetStream | None:
        for connection in self._connections:
            if connection.has_room:
                return connection.take()
        return None

    async def connect(self) -> TargetStream:
        """A place, on a new connection if need be; see `TargetPool.connect`."""
        stream = self.take_idle()
        while stream is None:
            # With room left, those who wait for it are being let in one after the other: this one is the next.
            has_room = any(connection.has_room for connection in self._connections)
            if has_room or self._is_opening or len(self._connections) >= MAX_CONNECTIONS:
                turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(turn)
                try:
                    await turn
                except asyncio.CancelledError:
                    if turn in self._waiting:
                        self._waiting.remove(turn)
                    else:
                        self.room_made()
                    raise
                stream = self._take()
            else:
                stream = await self._open_one()
        if self._waiting:
            self.room_made()
        return stream

    async def _open_one(self) -> TargetStream | None:
        self._is_opening = True
        made: list[TargetHttp2Connection] = []

        def make() -> TargetHttp2Connection:
            made.append(TargetHttp2Connection(self))
            return made[-1]

        try:
            connection = await self._open(make, "h2", ready=TargetHttp2Connection.ready)
        except BaseException as error:
            for each in made:
                if hasattr(each, "transport"):
                    each.transport.abort()
            self._is_opening = False
            self._give_up(error)
            raise
        self._is_opening = False
        if connection.closed or connection.leaving:
            failure = TargetConnectError("the connection was closed as soon as it was open", sent=False)
            self._give_up(failure)
            raise failure
        self._connections.append(connection)
        return connection.take() if connection.has_room else None

    def _give_up(self, error: BaseException) -> None:
        """Tell those who waited for a connection that there is none; if only the opener left, let them try."""
        if not isinstance(error, TargetError):
            self.room_made()
            return
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            if not turn.done():
                turn.set_exception(type(error)(str(error), sent=False))
                turn.exception()  # one who has just been cancelled does not look at it

    def room_made(self) -> None:
        """Let the next of those who wait try."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def lost(self, connection: TargetHttp2Connection) -> None:
        """A connection was closed, by whichever side."""
        if connection in self._connections:
            self._connections.remove(connection)
        self.room_made()

    def close_idle(self, idle_before: float) -> None:
        now = time.perf_counter()
        for connection in list(self._connections):
            if not connection.places and connection.idle_since < idle_before:
                connection.retire()
            else:
                connection.check_silence(now)

    def retire(self) -> None:
        self._retired = True
        for connection in list(self._connections):
            connection.retire()

    def close(self) -> None:
        self.retire()
        for connection in list(self._connections):
            connection.abort()

    @property
    def count(self) -> int:
        return len(self._connections)
