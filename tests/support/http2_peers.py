"""A plain HTTP/2 client and a plain HTTP/2 target on blocking sockets: h2 does the frames, nothing else is done."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

PATIENCE = 15.0
Fields = list[tuple[bytes, bytes]]


@dataclass
class Message:
    """A request or a response as it came."""

    headers: Fields = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: Fields = field(default_factory=list)
    informational: list[Fields] = field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    def value(self, name: str) -> bytes | None:
        values = [value for key, value in self.headers if key == name.encode()]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def status(self) -> int:
        return int(self.value(":status") or 0)


class Connection(h2.connection.H2Connection):
    """h2 takes a GOAWAY for the end; the streams below it go on."""

    def _receive_goaway_frame(self, frame: Any) -> Any:
        event = h2.events.ConnectionTerminated()
        event.error_code, event.last_stream_id = frame.error_code, frame.last_stream_id
        return [], [event]


class Peer:
    """One connection. `messages` has what came, by stream."""

    def __init__(self, connection: socket.socket, *, client_side: bool) -> None:
        self.socket = connection
        self.socket.settimeout(PATIENCE)
        self.h2 = Connection(
            h2.config.H2Configuration(
                client_side=client_side,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=client_side,
            )
        )
        self.gives_credit = True
        self.messages: dict[int, Message] = {}
        self.goaways: list[h2.events.ConnectionTerminated] = []
        self.pongs = 0
        self.is_closed = False

    def start(self) -> None:
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if data:
            self.socket.sendall(data)

    def fill(self) -> bool:
        """Read once and note what came; False at the end."""
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        if not data:
            self.is_closed = True
            return False
        for event in self.h2.receive_data(data):
            self.note(event)
        with contextlib.suppress(OSError):
            self.flush()
        return True

    def note(self, event: Any) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append(event)
        if isinstance(event, h2.events.PingAckReceived):
            self.pongs += 1
        stream_id = getattr(event, "stream_id", None)
        if not stream_id:
            return
        message = self.messages.setdefault(stream_id, Message())
        match event:
            case h2.events.RequestReceived() | h2.events.ResponseReceived():
                message.headers = list(event.headers)
            case h2.events.InformationalResponseReceived():
                message.informational.append(list(event.headers))
            case h2.events.DataReceived():
                message.body += event.data
                if self.gives_credit and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream_id)
            case h2.events.TrailersReceived():
                message.trailers = list(event.headers)
            case h2.events.StreamEnded():
                message.ended = True
            case h2.events.StreamReset():
                message.reset = int(event.error_code)

    def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if not self.fill():
                assert condition(), "the connection ended before it"
                return

    def send_body(self, stream_id: int, body: bytes, *, end: bool = True) -> None:
        """Send as the other side gives credit."""
        position = 0
        while position < len(body):
            size = min(
                self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size, len(body) - position
            )
            if not size:
                assert self.fill(), "closed while credit was awaited"
                continue
            self.h2.send_data(stream_id, body[position : position + size])
            position += size
            self.flush()
        if end:
            self.h2.end_stream(stream_id)
            self.flush()

    def close(self) -> None:
        self.socket.close()


class Http2Client(Peer):
    """Connects to a gateway."""

    def __init__(self, port: int, *, connection: socket.socket | None = None, receive_buffer: int = 0) -> None:
        if connection is None:
            connection = socket.socket()
            if receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.connect(("127.0.0.1", port))
        super().__init__(connection, client_side=True)
        self.start()

    def __enter__(self) -> Http2Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(
        self,
        method: str = "GET",
        path: str = "/",
        headers: Sequence[tuple[str, str]] = (),
        *,
        end: bool = True,
        pseudo: Fields | None = None,
    ) -> int:
        """Send a head; return the stream."""
        stream_id = self.h2.get_next_available_stream_id()
        fields = pseudo
        if fields is None:
            fields = [
                (b":method", method.encode()),
                (b":scheme", b"https"),
                (b":authority", b"example.com"),
                (b":path", path.encode()),
            ]
        fields = [*fields, *((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)]
        self.h2.send_headers(stream_id, fields, end_stream=end)
        self.flush()
        return stream_id

    def response(self, stream_id: int) -> Message:
        """Wait for the end of a response, good or bad."""
        message = self.messages.setdefault(stream_id, Message())
        self.until(lambda: message.ended or message.reset is not None)
        return message

    def ask(
        self, method: str = "GET", path: str = "/", headers: Sequence[tuple[str, str]] = (), body: bytes = b""
    ) -> Message:
        stream_id = self.begin(method, path, headers, end=not body)
        if body:
            self.send_body(stream_id, body)
        return self.response(stream_id)

    def rest(self) -> None:
        """Read until the gateway closes."""
        while self.fill():
            pass


Answer = Callable[["TargetPeer", int, Message], None]


class TargetPeer(Peer):
    """One connection of a target."""

    def __init__(self, target: Http2Target, connection: socket.socket) -> None:
        super().__init__(connection, client_side=False)
        self.target = target

    def note(self, event: Any) -> None:
        super().note(event)
        awaited = h2.events.RequestReceived if self.target.at_once else h2.events.StreamEnded
        if isinstance(event, awaited):
            self.answer(event.stream_id)

    def answer(self, stream_id: int) -> None:
        message = self.messages[stream_id]
        self.target.requests.append(message)
        self.target.script(self, stream_id, message)

    def reply(
        self,
        stream_id: int,
        status: int = 200,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        trailers: Sequence[tuple[str, str]] = (),
    ) -> None:
        fields = [(b":status", str(status).encode())]
        fields += [(name.encode(), value.encode()) for name, value in headers]
        self.h2.send_headers(stream_id, fields, end_stream=not body and not trailers)
        if body:
            self.send_body(stream_id, body, end=not trailers)
        if trailers:
            self.h2.send_headers(
                stream_id, [(name.encode(), value.encode()) for name, value in trailers], end_stream=True
            )
        self.flush()


class Http2Target:
    """Listens on a free loopback port; `script` answers each request when it is complete (or, `at_once`, begun).

    Attributes:
        requests: What came, in order.
        accepted: How many connections were opened.
        failures: What scripts raised.
    """

    def __init__(self, script: Answer | None = None, *, at_once: bool = False, max_streams: int = 100) -> None:
        self.script: Answer = script or (lambda peer, stream_id, request: peer.reply(stream_id, body=b"ok"))
        self.at_once = at_once
        self.max_streams = max_streams
        self.requests: list[Message] = []
        self.accepted = 0
        self.failures: list[BaseException] = []
        self.peers: list[TargetPeer] = []
        self._threads: list[threading.Thread] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def wrap(self, connection: socket.socket) -> socket.socket:
        """For targets that speak TLS."""
        return connection

    def settled(self) -> list[BaseException]:
        """Wait until every connection so far has ended; return, and forget, what failed on them."""
        for thread in list(self._threads):
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a connection is still open"
        failures, self.failures = self.failures, []
        return failures

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                connection = self.wrap(connection)
            except OSError:
                continue
            peer = TargetPeer(self, connection)
            peer.h2.local_settings = h2.settings.Settings(client=False, initial_values={3: self.max_streams})
            self.peers.append(peer)
            thread = threading.Thread(target=self._run, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, peer: TargetPeer) -> None:
        try:
            peer.start()
            while peer.fill():
                pass
        except OSError:
            pass
        except h2.exceptions.StreamClosedError:
            pass
        except BaseException as error:  # noqa: BLE001 - a script may raise anything
            self.failures.append(error)
        finally:
            peer.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(5)
        self._socket.close()
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for peer in self.peers:
            peer.close()
