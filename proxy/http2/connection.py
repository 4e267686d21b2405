"""One HTTP/2 connection on a transport, and the bodies on its streams: the same for both sides.

Nothing is kept without bound. What comes in is handed on at once, and a reader that is slow gives no more credit for
its stream (`pause_reading`). What goes out waits for the peer's credit, and the one who sends is told when too much
waits (`on_blocked`, `on_drained`). The credit of the connection as a whole is given back at once, so that one slow
stream does not stop the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingReceived,
    RemoteSettingsChanged,
    StreamReset,
    TrailersReceived,
    UnknownFrameReceived,
)
from h2.exceptions import H2Error, ProtocolError

from proxy.http1.head import Headers
from proxy.http2.allowance import Allowance
from proxy.http2.session import CONNECTION_WINDOW, Session

HIGH_WATER_BYTES: Final = 64 * 1024
"""Bytes waiting on a stream above which its sender is stopped."""
LOW_WATER_BYTES: Final = 16 * 1024
"""Bytes waiting on a stream below which its sender goes on."""
TURN_BYTES: Final = 64 * 1024
"""Most bytes of one stream that are sent before the others have their turn."""
CONTROL_FRAMES: Final = (1000, 100.0)
"""Frames that carry nothing (PING, SETTINGS, empty DATA, unknown ones): at once, and a second."""


class Http2Stream:
    """One stream: its body out, and the credit for its body in.

    Attributes:
        id: Its number on the wire; 0 until it has one.
        closed: Whether nothing more can be sent on it.
    """

    __slots__ = ("_connection", "_ends", "_held", "_is_blocked", "_is_paused", "_trailers", "_unsent", "closed", "id")

    def __init__(self, connection: Http2Connection, stream_id: int) -> None:
        self._connection = connection
        self.id = stream_id
        self.closed = False
        self._unsent = bytearray()
        self._ends = False
        self._trailers: Headers = []
        self._is_blocked = False
        self._is_paused = False
        self._held = 0

    # For the sides

    def on_data(self, data: bytes, *, complete: bool) -> None:
        """Some of the body came."""

    def on_trailers(self, fields: Any) -> None:
        """The body has ended with trailers."""

    def on_reset(self, error: int) -> None:
        """The peer gave the stream up."""

    def on_blocked(self) -> None:
        """Too much waits to be sent."""

    def on_drained(self) -> None:
        """What waited was taken."""

    def on_sent(self) -> None:
        """The last of the body is out."""

    def write(self, data: bytes, *, complete: bool, trailers: Headers | None = None) -> None:
        """Send some of the body, as far as the peer gives credit; the rest waits."""
        if self.closed:
            return
        self._unsent += data
        if complete:
            self._ends = True
            self._trailers = trailers or []
        connection = self._connection
        connection.waiting[self.id] = self
        connection.flush()
        if len(self._unsent) > HIGH_WATER_BYTES and not self._is_blocked and not self.closed:
            self._is_blocked = True
            self.on_blocked()

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent) or (self._ends and not self.closed)

    def send_some(self) -> bool:
        """Send what the credit allows, within one turn; return whether anything went."""
        session = self._connection.session
        unsent = self._unsent
        sent = 0
        try:
            while unsent and sent < TURN_BYTES:
                size = min(session.local_flow_control_window(self.id), session.max_outbound_frame_size, len(unsent))
                if size <= 0:
                    break
                last = self._ends and size == len(unsent) and not self._trailers
                session.send_data(self.id, bytes(unsent[:size]), end_stream=last)
                del unsent[:size]
                sent += size
                if last:
                    self._sent_all()
            if not unsent and self._ends and not self.closed:
                if self._trailers:
                    session.send_headers(self.id, self._trailers, end_stream=True)
                else:
                    session.end_stream(self.id)
                self._sent_all()
                sent += 1
        except H2Error:
            # The peer has reset it; that event is still to come, or was in the same bytes.
            self.shut()
        if not unsent:
            self._connection.waiting.pop(self.id, None)
        return sent > 0

    def tell_drained(self) -> None:
        """Call `on_drained` once what waits has become little."""
        if self._is_blocked and len(self._unsent) <= LOW_WATER_BYTES:
            self._is_blocked = False
            self.on_drained()

    def _sent_all(self) -> None:
        self.closed = True
        self._connection.waiting.pop(self.id, None)
        self.on_sent()

    def shut(self) -> None:
        """Send no more, and forget what waits."""
        self.closed = True
        self._unsent.clear()
        self._connection.waiting.pop(self.id, None)

    def reset(self, error: ErrorCodes) -> None:
        """Give the stream up."""
        self.shut()
        connection = self._connection
        try:
            connection.session.reset_stream(self.id, error)
        except H2Error:
            return
        connection.flush()

    # Credit

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        self._give_credit(0)
        self._connection.flush()

    def hold(self, size: int) -> None:
        """These bytes came; let as many follow, unless reading is paused."""
        self._held += size
        if not self._is_paused:
            self._give_credit(self._connection.stream_window // 2)

    def _give_credit(self, above: int) -> None:
        """Small amounts are saved up: a frame for each would be a frame for each that came."""
        if self._held > above:
            # If the peer's side of the stream is closed, it needs none.
            with suppress(H2Error, KeyError):
                self._connection.session.increment_flow_control_window(self._held, self.id)
            self._held = 0


class Http2Connection(asyncio.Protocol):
    """One connection.

    Attributes:
        streams: Those that are not over.
        waiting: Those with something to send.
        leaving: Whether no stream is begun any more; it closes with its last one.
        closed: Whether it was closed, by whichever side.
        active_at: `time.perf_counter()` when a part of a message last came or went; a PING is none (alb.md 6.6).
    """

    transport: asyncio.Transport

    def __init__(self, *, client_side: bool, stream_window: int, max_streams: int) -> None:
        self.session = Session(client_side=client_side, window=stream_window, max_streams=max_streams)
        self.stream_window = stream_window
        self.streams: dict[int, Any] = {}
        self.waiting: dict[int, Http2Stream] = {}
        self.leaving = False
        self.closed = False
        self.active_at = time.perf_counter()
        self._held = 0
        self._in_batch = False
        self._writing_is_paused = False
        self._control_frames = Allowance(*CONTROL_FRAMES)

    # For the sides

    def on_event(self, event: Any) -> None:
        """Something came that only one side understands."""

    def on_broken(self, error: ProtocolError) -> None:
        """The peer does not keep to the protocol; the connection is being closed."""

    def on_goaway(self, last_stream: int) -> None:
        """The peer begins to leave; streams above this one are not looked at."""

    # Out

    def flush(self) -> None:
        """Send what can be sent."""
        if self._in_batch or self.closed:
            return
        self._in_batch = True
        went = self._send_waiting()
        self._in_batch = False
        self._hand_over()
        for stream in went:
            stream.tell_drained()
        if self.leaving and not self.streams and not self.closed:
            self.close()

    def _send_waiting(self) -> set[Http2Stream]:
        """Send from all streams in turn; return those of which some went."""
        went: set[Http2Stream] = set()
        progress = True
        while self.waiting and progress and not self._writing_is_paused:
            progress = False
            for stream in list(self.waiting.values()):
                if stream.send_some():
                    progress = True
                    went.add(stream)
                    self._hand_over()
                if self._writing_is_paused:
                    break
        return went

    def _hand_over(self) -> None:
        data = self.session.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def pause_writing(self) -> None:
        self._writing_is_paused = True

    def resume_writing(self) -> None:
        self._writing_is_paused = False
        self.flush()

    def leave(self, last_stream: int, error: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """Say goodbye, and close when the streams up to this one are over."""
        if not self.leaving and not self.closed:
            self.leaving = True
            self.session.say_goodbye(last_stream, error)
            self.flush()

    def close(self) -> None:
        """Close once what was said is sent."""
        self.closed = True
        if not self.transport.is_closing():
            self.transport.close()

    def quit(self, error: ErrorCodes) -> None:
        """Tell the peer what is wrong with it, and close."""
        if self.closed:
            return
        self.session.say_goodbye(self.session.highest_inbound_stream_id, error)
        self._hand_over()
        self.close()

    # In

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        broken: ProtocolError | None = None
        try:
            self.session.receive_data(data)
        except ProtocolError as error:
            broken = error
        self._in_batch = True
        try:
            for event in self.session.received:
                self._dispatch(event)
                if self.closed:
                    return
        finally:
            self._in_batch = False
        if broken is None:
            self.flush()
        else:
            self._hand_over()
            self.on_broken(broken)
            self.close()

    def _dispatch(self, event: Event) -> None:
        handle = self._HANDLERS.get(type(event))
        if handle is None:
            self.on_event(event)
        else:
            handle(self, event)

    def _data(self, event: DataReceived) -> None:
        size = event.flow_controlled_length
        self._held += size
        if self._held > CONNECTION_WINDOW // 2:
            self.session.increment_flow_control_window(self._held)
            self._held = 0
        complete = event.stream_ended is not None
        if not event.data and not complete:
            self._control_frame(event)
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            self.active_at = time.perf_counter()
            if size and not complete:
                stream.hold(size)
            stream.on_data(event.data, complete=complete)

    def _trailers(self, event: TrailersReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            self.active_at = time.perf_counter()
            stream.on_trailers(event.headers)

    def _reset(self, event: StreamReset) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.shut()
            stream.on_reset(int(event.error_code))

    def _goaway(self, event: ConnectionTerminated) -> None:
        self.leaving = True
        self.on_goaway(event.last_stream_id or 0)

    def _settings(self, event: RemoteSettingsChanged) -> None:
        self._control_frame(event)
        self.on_event(event)

    def _control_frame(self, event: Event) -> None:
        if not self._control_frames.spend(time.perf_counter()):
            self.quit(ErrorCodes.ENHANCE_YOUR_CALM)

    _HANDLERS: ClassVar[Mapping[type[Event], Callable[[Any, Any], None]]] = {
        DataReceived: _data,
        TrailersReceived: _trailers,
        StreamReset: _reset,
        ConnectionTerminated: _goaway,
        RemoteSettingsChanged: _settings,
        PingReceived: _control_frame,
        UnknownFrameReceived: _control_frame,
    }
