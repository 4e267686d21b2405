"""One connection to a target: a request out, its response in, one at a time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from proxy.errors import TargetClosedError, TargetError, TargetResponseError
from proxy.forward.last_words import LastWords
from proxy.forward.outbox import Outbox, outbox_of
from proxy.http1.body import BadBodyError, Body, BodyUntilClose, body_of
from proxy.http1.head import (
    MAX_RESPONSE_HEAD_BYTES,
    UNTIL_CLOSE,
    MalformedResponseError,
    ResponseHead,
    parse_response_head,
    response_body_length,
)

if TYPE_CHECKING:
    from proxy.forward.pool import Pool

MAX_INFORMATIONAL_RESPONSES = 16
"""Most 1xx responses before the final one; a target that sends more is broken."""


class Receiver(Protocol):
    """Who sent the request and gets what comes back. Each call returns at once."""

    def request_sent(self, now: float) -> None:
        """What was given to `send` is on its way since `now`, a `time.perf_counter()`."""

    def response_informational(self, head: ResponseHead) -> None:
        """A 1xx response other than 100 and 101 came; the final one follows."""

    def response_started(self, head: ResponseHead, length: int, body: bytes, complete: bool, now: float) -> None:
        """The head came, with as much of the body as came with it.

        Args:
            length: As `response_body_length` returns it.
            body: Bytes as on the wire, chunked framing included.
            complete: Whether nothing follows.
            now: `time.perf_counter()` when these bytes were read.
        """

    def response_continued(self, body: bytes, complete: bool, now: float) -> None:
        """More of the body came."""

    def response_failed(self, error: TargetError) -> None:
        """No (more) response will come; nothing was received if `response_started` was not called."""

    def tunnel_opened(self, head: ResponseHead, data: bytes, now: float) -> None:
        """The target answered 101; from now on `tunnel_received` gets every byte."""

    def tunnel_received(self, data: bytes) -> None:
        """Bytes from the target in a tunnel."""

    def tunnel_closed(self) -> None:
        """The target closed the tunnel."""

    def target_paused(self) -> None:
        """The target reads slower than the client sends: send no more for now."""

    def target_resumed(self) -> None:
        """The target reads again."""


class TargetConnection:
    """One HTTP/1.1 connection to a target, owned by its pool: an `asyncio.Protocol` by its methods.

    (Not by its base class: a class that is compiled has none that is not.)

    It reads a response strictly: what it cannot understand is a `TargetResponseError`, and the connection is closed.
    Bytes that no request asked for close it too, since the next response could not be told from them.
    """

    __slots__ = (
        "_buffer",
        "_informational",
        "_last_words",
        "_outbox",
        "_receiver",
        "_started",
        "_to_head",
        "_transport",
        "_tunnel",
        "_unsent",
        "body",
        "closed",
        "idle_since",
        "keep_alive",
        "pool",
        "received_any",
        "used",
    )

    _outbox: Outbox

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._transport: asyncio.Transport | None = None
        self._receiver: Receiver | None = None
        self._buffer = b""
        self._unsent = b""
        self._started = False
        self._to_head = False
        self._tunnel = False
        self._informational = 0
        self._last_words: LastWords | None = None
        self.body: Body | None = None
        self.closed = False
        self.keep_alive = True
        self.received_any = False
        self.idle_since = 0.0
        self.used = False

    # What the gateway calls

    def send(self, data: bytes, receiver: Receiver, *, to_head: bool) -> None:
        """Send a request: its head, with as much of its body as there is.

        It leaves at the end of this turn of the event loop, see `Outbox`.

        Args:
            receiver: Who gets the response.
            to_head: Whether the method is HEAD, whose response has no body.
        """
        self._receiver = receiver
        self._to_head = to_head
        self._started = False
        self._informational = 0
        self.received_any = False
        self.keep_alive = True
        self._unsent = data
        self._outbox.add(self)

    def send_now(self) -> None:
        """Send what waits for the end of the turn, if anything still does."""
        data = self._unsent
        if data and not self.closed:
            self._unsent = b""
            assert self._transport is not None
            self._transport.write(data)
            if self._receiver is not None:
                self._receiver.request_sent(time.perf_counter())

    def send_more(self, data: bytes) -> None:
        """Send more of the request's body, or more bytes of a tunnel."""
        self.send_now()
        if self._transport is not None and not self.closed:
            if self._last_words is None and not self._tunnel:
                self._last_words = LastWords(self._transport)
            self._transport.write(data)

    def end_tunnel(self) -> None:
        """Tell the target that the client will send no more through the tunnel."""
        if self._transport is not None and not self.closed:
            if self._transport.can_write_eof():
                self._transport.write_eof()
            else:
                self._transport.close()

    def pause(self) -> None:
        """Read no more from the target until `resume`: the client is slow."""
        if self._transport is not None and not self.closed:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read from the target again."""
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()

    @property
    def was_stale(self) -> bool:
        """Whether the last request failed because the target had closed the connection while it was idle.

        So it seems when another request was served before and not a byte came for this one.
        """
        return self.used and not self.received_any

    def close(self, *, flush: bool = False) -> None:
        """Forget the receiver and close.

        Args:
            flush: Send what is still unsent first; otherwise it is dropped with the request that is given up.
        """
        self._receiver = None
        self._unsent = b""
        self._forget_last_words()
        if self._transport is None or self.closed:
            return
        self.closed = True
        if flush:
            self._transport.close()
        else:
            self._transport.abort()

    def abort(self) -> None:
        """Cut the connection; whoever waits for a response is told (alb.md 5.4: deregistration delay over)."""
        if self._receiver is not None and not self._tunnel:
            self._fail(TargetError("the target's deregistration delay is over", sent=True))
        elif self._transport is not None:
            self._transport.abort()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._outbox = outbox_of(asyncio.get_running_loop())

    def pause_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.target_paused()

    def resume_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.target_resumed()

    def data_received(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:
            # RFC 9112 9.2: an unexpected response must not be taken for that of the next request.
            self.close()
            return
        if self._tunnel:
            receiver.tunnel_received(data)
            return
        if self._unsent:
            # Nothing was asked yet: the target says why it closes.
            self._fail(TargetClosedError("the target sent something unasked", sent=False))
            return
        now = time.perf_counter()
        body = self.body
        if body is None:
            self.received_any = True
            self._read_head(data, receiver, now)
            return
        try:
            size = body.feed(data)
        except BadBodyError as error:
            self._fail(TargetResponseError(str(error), sent=True))
            return
        if not body.complete:
            receiver.response_continued(data, False, now)
        else:
            self._finish(surplus=size < len(data))
            receiver.response_continued(data[:size], True, now)

    def eof_received(self) -> bool:
        """Half-close is close, except in a tunnel, where each direction ends by itself."""
        if self._tunnel and self._receiver is not None:
            self._receiver.tunnel_closed()
            return True
        # The transport closes now, and `connection_lost` comes later: no request may be sent in between.
        self.closed = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.pool.lost(self)
        if self._last_words is not None and exc is not None and not self._tunnel:
            unread = self._last_words.take()
            if unread:
                self.data_received(unread)
        self._forget_last_words()
        receiver = self._receiver
        self._receiver = None
        if receiver is None:
            return
        if self._tunnel:
            receiver.tunnel_closed()
        elif self._started and self.body is not None and exc is None and isinstance(self.body, BodyUntilClose):
            receiver.response_continued(b"", True, time.perf_counter())
        elif self._started:
            receiver.response_failed(TargetClosedError("the connection was lost within the response", sent=True))
        else:
            how = "reset" if exc else "closed"
            sent = not self._unsent
            receiver.response_failed(TargetClosedError(f"the connection was {how} before the response", sent=sent))

    # Reading a response

    def _read_head(self, data: bytes, receiver: Receiver, now: float) -> None:
        if self._buffer:
            data = self._buffer + data
        end = data.find(b"\r\n\r\n") + 4
        if end == 3:
            if not _may_become_response(data):
                self._fail(TargetResponseError("this is no HTTP/1.1 response", sent=True))
            elif len(data) > MAX_RESPONSE_HEAD_BYTES:
                self._fail(TargetResponseError("the response has no end of headers within 32 K", sent=True))
            else:
                self._buffer = data
            return
        self._buffer = b""
        if end > MAX_RESPONSE_HEAD_BYTES:
            self._fail(TargetResponseError("the response headers are over 32 K", sent=True))
            return
        try:
            head = parse_response_head(data[:end])
        except MalformedResponseError as error:
            self._fail(TargetResponseError(str(error), sent=True))
            return
        if head.status < 200:
            self._read_informational(head, data[end:], receiver, now)
            return
        try:
            length = head.length
            if length is None or self._to_head:
                length = response_body_length(head, to_head=self._to_head)
        except MalformedResponseError as error:
            self._fail(TargetResponseError(str(error), sent=True))
            return
        self.keep_alive = head.keeps_alive and length != UNTIL_CLOSE
        rest = data[end:]
        if length == len(rest):
            self._receiver = None
            receiver.response_started(head, length, rest, True, now)
            return
        self._started = True
        body = body_of(length)
        size = 0
        if rest and not body.complete:
            try:
                size = body.feed(rest)
            except BadBodyError as bad_body:
                self._fail(TargetResponseError(str(bad_body), sent=True))
                return
        if body.complete:
            self._finish(surplus=size < len(rest))
            receiver.response_started(head, length, rest[:size], True, now)
        else:
            self.body = body
            receiver.response_started(head, length, rest, False, now)

    def _read_informational(self, head: ResponseHead, rest: bytes, receiver: Receiver, now: float) -> None:
        if head.status == 101:
            self._tunnel = True
            self.keep_alive = False
            receiver.tunnel_opened(head, rest, now)
            return
        self._informational += 1
        if self._informational > MAX_INFORMATIONAL_RESPONSES:
            self._fail(TargetResponseError("too many informational responses", sent=True))
            return
        # A 100 answers an Expect that was not passed on (alb.md 6.4), so it has no reader.
        if head.status != 100:
            receiver.response_informational(head)
        if rest and self._receiver is receiver:
            self._read_head(rest, receiver, now)

    def _finish(self, *, surplus: bool) -> None:
        """The response is complete: no more of this connection is the receiver's."""
        self.body = None
        if self._last_words is not None:
            self._forget_last_words()
        if surplus:
            self.keep_alive = False
        self._receiver = None
        self._started = False

    def _forget_last_words(self) -> None:
        if self._last_words is not None:
            self._last_words.close()
            self._last_words = None

    def _fail(self, error: TargetError) -> None:
        receiver = self._receiver
        self.close()
        if receiver is not None:
            receiver.response_failed(error)


def _may_become_response(data: bytes) -> bool:
    """Whether this can be the beginning of a response; garbage need not be waited for.

    Nor need a head in which a line ends with LF alone: it is malformed, and where it ends would never be found.
    """
    return data[:7] == b"HTTP/1."[: len(data)] and data.count(b"\n") == data.count(b"\r\n")
