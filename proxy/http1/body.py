"""Where a body ends on the wire, and what is in it (RFC 9112 6 and 7).

A body is passed on as it came, framing included: the trackers only find its end. All have the same two members, so
that callers hold no `if`: `feed(data)` returns how many of these bytes belong to the body, `complete` tells its end.
"""

from __future__ import annotations

import re

from proxy.http1.head import CHUNKED, UNTIL_CLOSE

MAX_CHUNK_LINE_BYTES = 4 * 1024
"""Longest line with a chunk's size; extensions are allowed and passed on, but no protocol uses long ones."""
MAX_TRAILER_BYTES = 16 * 1024
"""Longest trailer section, all lines together."""

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*+(?:;[^\r\n\x00]*+)?\r\n")
_TRAILER = re.compile(rb"(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[^\r\n\x00]*+)?\r\n")

FORBIDDEN_TRAILERS = frozenset(
    {
        b"authorization",
        b"connection",
        b"content-length",
        b"cookie",
        b"forwarded",
        b"host",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-forwarded-for",
        b"x-forwarded-port",
        b"x-forwarded-proto",
    }
)
"""Fields for framing, routing and authentication, which must not come in a trailer (RFC 9110 6.5.1)."""


class BadBodyError(ValueError):
    """The framing of a body is broken; nothing after it on this connection can be trusted."""


class SizedBody:
    """A body of a known number of bytes."""

    __slots__ = ("complete", "remaining")

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.complete = length == 0

    def feed(self, data: bytes) -> int:
        """Return how many of these bytes belong to the body."""
        size = len(data)
        if size < self.remaining:
            self.remaining -= size
            return size
        size = self.remaining
        self.remaining = 0
        self.complete = True
        return size


class BodyUntilClose:
    """A body that ends with its connection: it is never complete by itself."""

    __slots__ = ()
    complete = False

    def feed(self, data: bytes) -> int:
        """Return how many of these bytes belong to the body: all."""
        return len(data)


class ChunkedBody:
    """A chunked body, checked strictly: every recipient finds the same end, so it can be passed on as it came.

    Args:
        payload: When given, the chunks' data is appended to it; otherwise it is only skipped over.
        trailers: When given, the lines after the last chunk are appended to it, each with its CRLF.
    """

    __slots__ = ("_line", "_payload", "_remaining", "_state", "_trailer_bytes", "_trailer_lines", "complete")

    def __init__(self, payload: list[bytes] | None = None, trailers: list[bytes] | None = None) -> None:
        self.complete = False
        self._payload = payload
        self._trailer_lines = trailers
        self._state = self._size_line
        self._remaining = 0
        self._line = b""
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> int:
        """Return how many of these bytes belong to the body; raise `BadBodyError` when its framing is broken."""
        position = 0
        end = len(data)
        while position < end and not self.complete:
            position = self._state(data, position)
        return position

    def _size_line(self, data: bytes, position: int) -> int:
        line, position = self._read_line(data, position, MAX_CHUNK_LINE_BYTES)
        if line is None:
            return position
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise BadBodyError("a chunk size is malformed")
        self._remaining = int(match[1], 16)
        self._state = self._data if self._remaining else self._trailers
        return position

    def _data(self, data: bytes, position: int) -> int:
        stop = min(position + self._remaining, len(data))
        if self._payload is not None:
            self._payload.append(data[position:stop])
        self._remaining -= stop - position
        if not self._remaining:
            self._state = self._data_end
        return stop

    def _data_end(self, data: bytes, position: int) -> int:
        line, position = self._read_line(data, position, 2)
        if line is not None:
            if line != b"\r\n":
                raise BadBodyError("a chunk is longer than its size")
            self._state = self._size_line
        return position

    def _trailers(self, data: bytes, position: int) -> int:
        line, position = self._read_line(data, position, MAX_TRAILER_BYTES)
        if line is None:
            return position
        match = _TRAILER.fullmatch(line)
        if match is None:
            raise BadBodyError("a trailer line is malformed")
        name = match[1]
        if name is None:
            self.complete = True
        elif name.lower() in FORBIDDEN_TRAILERS:
            raise BadBodyError(f"{name.decode()} must not come in a trailer")
        elif self._trailer_lines is not None:
            self._trailer_lines.append(line)
        self._trailer_bytes += len(line)
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise BadBodyError(f"the trailers are longer than {MAX_TRAILER_BYTES} bytes")
        return position

    def _read_line(self, data: bytes, position: int, limit: int) -> tuple[bytes | None, int]:
        """The next line with its LF, or None when it has not all come; and where reading goes on."""
        stop = data.find(b"\n", position, position + limit - len(self._line)) + 1
        if stop:
            line = self._line + data[position:stop]
            self._line = b""
            return line, stop
        self._line += data[position : position + limit]
        if len(self._line) >= limit:
            raise BadBodyError("a line of the chunked framing is too long")
        return None, len(data)


Body = SizedBody | ChunkedBody | BodyUntilClose


def body_of(length: int) -> Body:
    """The tracker for a length as `request_body_length` and `response_body_length` return it."""
    if length == CHUNKED:
        return ChunkedBody()
    if length == UNTIL_CLOSE:
        return BodyUntilClose()
    return SizedBody(length)


def framed(data: bytes, *, complete: bool, trailers: bytes = b"") -> bytes:
    """Data as a chunk; if it is the last, with the end of the body and these lines before it."""
    chunk = b"%x\r\n%s\r\n" % (len(data), data) if data else b""
    return b"%s0\r\n%s\r\n" % (chunk, trailers) if complete else chunk


def decode_chunked(decoder: ChunkedBody, sink: list[bytes], data: bytes) -> bytes:
    """Feed a decoder made with `sink` as its payload and return the payload in these bytes."""
    decoder.feed(data)
    payload = b"".join(sink)
    sink.clear()
    return payload
