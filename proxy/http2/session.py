"""What a connection says and hears, without sockets: h2's state machine with a graceful end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event
from h2.exceptions import FrameTooLargeError
from h2.frame_buffer import FrameBuffer
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame, GoAwayFrame

if TYPE_CHECKING:
    from h2._typing import Buffer

MAX_HEADER_LIST_BYTES: Final = 128 * 1024
"""Longest list of header fields that is read at all: twice what a request may have, so that one gets its 400."""
CONNECTION_WINDOW: Final = 1024 * 1024
"""Bytes that a connection may have on the way to us."""


class _Frames(FrameBuffer):
    """h2 looks at the length of a frame when all of it is there; it can say 16 MB."""

    def add_data(self, data: Buffer) -> None:
        super().add_data(data)
        if len(self._data) >= 9 and int.from_bytes(self._data[:3]) > self.max_frame_size:
            raise FrameTooLargeError("the frame is longer than SETTINGS_MAX_FRAME_SIZE allows")


class Session(H2Connection):
    """An HTTP/2 connection that may end in peace.

    Attributes:
        received: The events of the last `receive_data`, those before a frame that was an error among them.

    To h2 a GOAWAY is the end at once, sent or received; RFC 9113 6.8 lets the streams up to the one it names finish.
    Header fields are neither checked nor changed on the way out and only have their cookies joined on the way in
    (RFC 9113 8.2.3): `proxy.http2.fields` checks them stream by stream, where h2 would close the connection.

    Args:
        window: Bytes of body that one stream may have on the way to us.
        max_streams: Most streams that the other side may have open.
    """

    def __init__(self, *, client_side: bool, window: int, max_streams: int) -> None:
        super().__init__(
            H2Configuration(
                client_side=client_side,
                header_encoding=None,
                validate_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        settings = {
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.MAX_CONCURRENT_STREAMS: max_streams,
            SettingCodes.INITIAL_WINDOW_SIZE: window,
            SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST_BYTES,
        }
        if not client_side:
            del settings[SettingCodes.ENABLE_PUSH]
        self.local_settings = Settings(client=client_side, initial_values=settings)
        self.received: list[Event] = []
        self.incoming_buffer = _Frames(server=not client_side)
        self.incoming_buffer.max_frame_size = self.max_inbound_frame_size
        self.decoder.max_header_list_size = MAX_HEADER_LIST_BYTES
        self.initiate_connection()
        self.increment_flow_control_window(CONNECTION_WINDOW - 65_535)

    def say_goodbye(self, last_stream: int, error: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """Send GOAWAY: no stream above this one is looked at."""
        frame = GoAwayFrame(0)
        frame.last_stream_id = last_stream
        frame.error_code = error
        self._prepare_for_sending([frame])

    def receive_data(self, data: Buffer) -> list[Event]:
        self.received = []
        return super().receive_data(data)

    def _receive_frame(self, frame: Frame) -> list[Event]:
        events = super()._receive_frame(frame)
        self.received += events
        return events

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        event = ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        event.additional_data = frame.additional_data or None
        return [], [event]
