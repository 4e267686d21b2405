"""HTTP/1.1 messages read from a blocking socket in the plainest way: the oracle for what is on the wire."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

PATIENCE = 15.0
"""Seconds after which a read that nothing answers fails the test."""


@dataclass
class Message:
    """One message as it stood on the wire.

    Attributes:
        first_line: Request line or status line.
        headers: Name and value of each line in order, names as sent.
        body: The payload, chunks taken off.
        raw_body: The body as sent, chunks included.
        trailers: Lines after the last chunk.
    """

    first_line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    raw_body: bytes = b""
    trailers: list[bytes] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.first_line.split(b" ")[1])

    @property
    def method(self) -> bytes:
        return self.first_line.split(b" ")[0]

    @property
    def target(self) -> bytes:
        return self.first_line.split(b" ")[1]

    def values(self, name: str) -> list[bytes]:
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower().encode()]

    def value(self, name: str) -> bytes | None:
        """The only value of a header; a repeated one fails."""
        values = self.values(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


class Closed(Exception):
    """The other side closed (or reset) in the middle of what was read."""


class Wire:
    """A blocking connection with a buffer."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(PATIENCE)
        self.buffer = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def fill(self, size: int = 65536) -> bool:
        """Read some more; return False at the end of the stream."""
        try:
            data = self.socket.recv(size)
        except (ConnectionResetError, BrokenPipeError):
            raise Closed("reset") from None
        self.buffer += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`."""
        while mark not in self.buffer:
            if not self.fill():
                raise Closed(f"the end came before {mark!r}, after {self.buffer!r}")
        end = self.buffer.index(mark) + len(mark)
        data, self.buffer = self.buffer[:end], self.buffer[end:]
        return data

    def exactly(self, size: int) -> bytes:
        parts = [self.buffer[:size]]
        self.buffer = self.buffer[size:]
        missing = size - len(parts[0])
        while missing:
            if not self.fill(min(missing, 1 << 20)):
                raise Closed(f"the end came {missing} bytes early")
            parts.append(self.buffer[:missing])
            self.buffer = self.buffer[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def rest(self) -> bytes:
        """Everything until the other side closes; a reset counts as `Closed`."""
        while self.fill():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def head(self) -> Message:
        """One head. Bytes beyond it stay in the buffer."""
        lines = self.until(b"\r\n\r\n")[:-4].split(b"\r\n")
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers.append((name, value.strip()))
        return Message(lines[0], headers)

    def chunk(self) -> bytes:
        """One chunk's payload; empty for the last one, whose trailers are left in the buffer."""
        line = self.until(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if not size:
            return b""
        data = self.exactly(size)
        assert self.exactly(2) == b"\r\n"
        return data

    def body_of(self, message: Message, length: int | None) -> Message:
        """Read the body: chunked if the head says so, else `length` bytes."""
        if message.values("transfer-encoding") == [b"chunked"]:
            body, raw = bytearray(), bytearray()
            while True:
                line = self.until(b"\r\n")
                raw += line
                size = int(line.split(b";")[0], 16)
                if not size:
                    break
                data = self.exactly(size)
                body += data
                raw += data + self.exactly(2)
            while (line := self.until(b"\r\n")) != b"\r\n":
                message.trailers.append(line)
                raw += line
            raw += line
            message.body, message.raw_body = bytes(body), bytes(raw)
        elif length:
            message.body = message.raw_body = self.exactly(length)
        return message

    def request(self) -> Message:
        """One whole request."""
        message = self.head()
        return self.body_of(message, int(message.value("content-length") or 0))

    def response(self, *, to: str = "GET") -> Message:
        """One whole response, also one that ends with the connection."""
        return self.body(self.head(), to=to)

    def body(self, message: Message, *, to: str = "GET") -> Message:
        """The rest of a response whose head was read."""
        if to == "HEAD" or message.status < 200 or message.status in (204, 304):
            return message
        length = message.value("content-length")
        if length is None and not message.values("transfer-encoding"):
            message.body = self.rest()
            return message
        return self.body_of(message, int(length or 0))

    def is_at_end(self) -> bool:
        """Wait for the other side to close; False if it sends something instead."""
        if self.buffer:
            return False
        try:
            return not self.fill()
        except Closed:
            return True

    def end_writing(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


def connect(port: int, *, receive_buffer: int | None = None) -> Wire:
    """A connection to a loopback port; a small receive buffer makes a client that is slow at once."""
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(PATIENCE)
    connection.connect(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Wire(connection)
