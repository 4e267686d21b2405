"""Between the header fields of HTTP/2 and the lines of HTTP/1.1: pure translation (RFC 9113 8).

The gateway speaks HTTP/1.1 within itself, so each side of it translates, and checks what it translates: h2 hands header
fields over as they came, and a line feed in one of them would be a new line in HTTP/1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from proxy.errors import BadRequestError, UriTooLongError
from proxy.http1.body import FORBIDDEN_TRAILERS, MAX_TRAILER_BYTES, BadBodyError
from proxy.http1.desync import is_valid_name
from proxy.http1.head import (
    CHUNKED,
    MAX_LINE_BYTES,
    MAX_REQUEST_HEAD_BYTES,
    MAX_RESPONSE_HEAD_BYTES,
    Headers,
    MalformedResponseError,
    ResponseHead,
    check_request,
    is_request_target,
    join_fields,
    split_fields,
)
from proxy.http1.pages import REASONS
from proxy.http2.grpc import is_grpc

CONNECTION_SPECIFIC: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
"""Fields that no HTTP/2 message may have (RFC 9113 8.2.2)."""

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]++")
_NOT_IN_NAMES = re.compile(rb"[^-a-z0-9]")
_VALUE = re.compile(rb"(?:[^\x00\r\n \t](?:[^\x00\r\n]*[^\x00\r\n \t])?)?")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
_AUTHORITY = re.compile(rb"[^\x00-\x20\x7f@/?#\\]++")
_DIGITS = re.compile(rb"\d{1,18}")
_PSEUDO: Final = frozenset({b":method", b":scheme", b":authority", b":path"})


@dataclass(frozen=True, slots=True)
class Request:
    """A well-formed request.

    Attributes:
        method, target: As HTTP/1.1 has them.
        headers: Names as they came (lower case), but `Host`, which comes first (alb.md 6.4).
        fields: Lower-case name to value; of a repeated header the last.
        length: Of the body, by its Content-Length; None without one.
        invalid_names: Whether it came with header names outside letters, digits and hyphens (alb.md 6.4).
    """

    method: bytes
    target: bytes
    headers: Headers
    fields: dict[bytes, bytes]
    length: int | None
    invalid_names: bool


def request_of(received: Iterable[tuple[bytes, bytes]], *, drops_invalid_names: bool = False) -> Request:
    """Check the fields of a request and translate them.

    Args:
        drops_invalid_names: Whether headers with invalid names are left out (alb.md 6.4).

    Raises:
        UriTooLongError: The path is over 16 K.
        MethodNotAllowedError: TRACE or CONNECT, WebSockets over HTTP/2 among it.
        BadRequestError: Malformed (RFC 9113 8.1.1), or over a limit of alb.md 1.4.
    """
    pseudo: dict[bytes, bytes] = {}
    headers: Headers = []
    size = 0
    for name, value in received:
        size += len(name) + len(value) + 4
        if name[:1] == b":":
            if name not in _PSEUDO or name in pseudo or headers:
                raise BadRequestError("a pseudo-header field is unknown, repeated or not in front")
            pseudo[name] = value
        else:
            _check_field(name, value)
            headers.append((name, value))
    method, target = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if _METHOD.fullmatch(method) is None:
        raise BadRequestError("the method is missing or malformed")
    check_request(method, 0, {})
    if len(target) > MAX_LINE_BYTES:
        raise UriTooLongError(f"the path has {len(target)} bytes, {MAX_LINE_BYTES} are allowed")
    if size > MAX_REQUEST_HEAD_BYTES:
        raise BadRequestError(f"the request headers are longer than {MAX_REQUEST_HEAD_BYTES} bytes")
    if not is_request_target(target) or (target[:1] != b"/" and target != b"*"):
        raise BadRequestError("the path is missing or malformed")
    if b":scheme" not in pseudo:
        raise BadRequestError("the scheme is missing")
    invalid_names = _NOT_IN_NAMES.search(b"".join([name for name, _ in headers])) is not None
    if invalid_names and drops_invalid_names:
        headers = [field for field in headers if is_valid_name(field[0])]
    length = _length_of(headers)
    host = _host_of(pseudo.get(b":authority"), headers)
    once = (b"host", b"content-length")
    headers = [(b"Host", host), *(field for field in headers if field[0] not in once)]
    if length is not None:
        headers.append((b"content-length", b"%d" % length))
    fields = {name.lower(): value for name, value in headers}
    return Request(method, target, headers, fields, length, invalid_names)


def _check_field(name: bytes, value: bytes) -> None:
    if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
        raise BadRequestError("a header field is malformed")
    if len(name) + len(value) + 2 > MAX_LINE_BYTES:
        raise BadRequestError(f"a header field is longer than {MAX_LINE_BYTES} bytes")
    if name in CONNECTION_SPECIFIC or (name == b"te" and value.lower() != b"trailers"):
        raise BadRequestError(f"{name.decode()} is for HTTP/1.1 connections")


def _length_of(headers: Headers) -> int | None:
    lengths = {value for name, value in headers if name == b"content-length"}
    if not lengths:
        return None
    if len(lengths) > 1 or _DIGITS.fullmatch(length := lengths.pop()) is None:
        raise BadRequestError("Content-Length is not a number, or is there with different values")
    return int(length)


def _host_of(authority: bytes | None, headers: Headers) -> bytes:
    hosts = {value for name, value in headers if name == b"host"}
    if authority is not None:
        hosts.add(authority)
    if len(hosts) != 1:
        raise BadRequestError("the authority is missing, or Host and :authority differ")
    host = hosts.pop()
    if _AUTHORITY.fullmatch(host) is None:
        raise BadRequestError("the authority is malformed")
    return host


def as_text(received: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Fields of what is no request, in the form of HTTP/1.1, for the log."""
    fields = dict(received)
    first = b" ".join(_without_breaks(fields.get(name, b"")) for name in (b":method", b":path"))
    host = _without_breaks(fields.get(b":authority", fields.get(b"host", b"")))
    return b"%s HTTP/2.0\r\n%s\r\n" % (first, b"Host: %s\r\n" % host if host else b"")


def _without_breaks(value: bytes) -> bytes:
    return re.sub(rb"[\x00\r\n ]", b"?", value)


def response_fields(status: int, block: bytes) -> Headers:
    """The fields of a response from its status and header lines."""
    fields = [(b":status", b"%d" % status)]
    for name, value in split_fields(block):
        lower = name.lower()
        if lower not in CONNECTION_SPECIFIC:
            fields.append((lower, value))
    return fields


def request_fields(head: bytes, scheme: str) -> tuple[Headers, int]:
    """The fields of a request from its whole head in HTTP/1.1, and the length of its body (a count or `CHUNKED`)."""
    line, _, block = head.partition(b"\r\n")
    method, target, _ = line.split(b" ", 2)
    authority = b""
    length = 0
    headers: Headers = []
    names: dict[bytes, bytes] = {}
    for name, value in split_fields(block):
        lower = name.lower()
        names[lower] = value
        if lower == b"host":
            authority = authority or value
            continue
        if lower == b"transfer-encoding":
            length = CHUNKED
        elif lower == b"content-length" and length != CHUNKED:
            length = int(value)
        if lower not in CONNECTION_SPECIFIC and lower != b"te":
            headers.append((lower, value))
    if is_grpc(names):
        # gRPC servers ask for it, to know that no proxy on the way drops trailers.
        headers.append((b"te", b"trailers"))
    pseudo = [
        (b":method", method),
        (b":scheme", scheme.encode()),
        (b":authority", authority),
        (b":path", target),
    ]
    return [*pseudo, *headers], length


def response_head_of(received: Iterable[tuple[bytes, bytes]], *, chunked: bool) -> ResponseHead:
    """Check the fields of a response and translate them; raise `MalformedResponseError`.

    Args:
        chunked: Whether the body goes on in chunks, so that the head must say so, unless it has a Content-Length.
    """
    status = 0
    size = 0
    headers: Headers = []
    for name, value in received:
        size += len(name) + len(value) + 4
        if name == b":status" and not status and not headers:
            if re.fullmatch(rb"[1-9]\d\d", value) is None:
                raise MalformedResponseError("the status is malformed")
            status = int(value)
        elif _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None or name in CONNECTION_SPECIFIC:
            raise MalformedResponseError("a header field of the response is malformed")
        else:
            headers.append((name, value))
    if not status:
        raise MalformedResponseError("the response has no status")
    if size > MAX_RESPONSE_HEAD_BYTES:
        raise MalformedResponseError("the response headers are over 32 K")
    lengths = [value for name, value in headers if name == b"content-length"]
    if len(lengths) > 1 or any(_DIGITS.fullmatch(length) is None for length in lengths):
        raise MalformedResponseError("Content-Length is not a number, or is there several times")
    if chunked and not lengths and status >= 200:
        headers.append((b"transfer-encoding", b"chunked"))
    return ResponseHead(status, REASONS.get(status, "").encode(), 1, join_fields(headers))


def trailer_lines(received: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Trailers as the lines after a last chunk; raise `BadBodyError`."""
    trailers = list(received)
    for name, value in trailers:
        if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            raise BadBodyError("a trailer field is malformed")
        if name in FORBIDDEN_TRAILERS:
            raise BadBodyError(f"{name.decode()} must not come in a trailer")
    lines = join_fields(trailers)
    if len(lines) > MAX_TRAILER_BYTES:
        raise BadBodyError(f"the trailers are longer than {MAX_TRAILER_BYTES} bytes")
    return lines


def trailer_fields(lines: list[bytes]) -> Headers:
    """Trailers from the lines after a last chunk."""
    return [(name.lower(), value) for name, value in split_fields(b"".join(lines))]
