"""Heads of requests and responses: from bytes to names and values, and how the body that follows is framed.

The heads are matched by one regular expression each, so that a head costs a handful of calls into C. Every quantifier
that could give bytes back is possessive: no head takes more than linear time.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import Final

from proxy.errors import (
    BadRequestError,
    MethodNotAllowedError,
    TransferEncodingError,
    UriTooLongError,
)

MAX_LINE_BYTES = 16 * 1024
"""Longest request line and longest header line (alb.md 1.4)."""
MAX_REQUEST_HEAD_BYTES = 64 * 1024
"""Longest request head (alb.md 1.4)."""
MAX_RESPONSE_HEAD_BYTES = 32 * 1024
"""Longest response head (alb.md 1.4)."""
MAX_KEPT_BYTES = 4 * 1024
KEPT_BLOCKS = 1024
"""How many header blocks of requests, and heads of responses, are kept in case they come again."""

CHUNKED = -1
"""Body length of a message with `Transfer-Encoding: chunked`."""
UNTIL_CLOSE = -2
"""Body length of a response that ends when the target closes (RFC 9112 6.3 rule 8)."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_FIELDS = rb"((?:" + _TOKEN + rb":[^\r\n\x00]*+\r\n)*+)\r\n"


def _only_letters_of(word: bytes) -> bytes:
    return rb"[-0-9]*+".join(rb"[%c%c]" % (letter, letter - 32) for letter in word)


_FRAMING_NAME = rb"(?i:transfer-encoding|content-length)(?=:)"
_LIKE_FRAMING_NAME = (
    rb"(?:" + _only_letters_of(b"transferencoding") + rb"|" + _only_letters_of(b"contentlength") + rb")"
)
_NAME = (
    rb"(?:[ABD-SU-Zabd-su-z][-A-Za-z0-9]*+|"
    + _FRAMING_NAME
    + rb"|(?!"
    + _LIKE_FRAMING_NAME
    + rb"[-0-9]*+:)[CTct][-A-Za-z0-9]*+)"
)
_COMPLIANT_FIELDS = rb"((?:" + _NAME + rb":[\t\x20-\x7e]*+\r\n)*+)\r\n"
"""Header lines that need no judgement of desync mitigation (alb.md 6.4, 6.8): names of letters, digits and hyphens,
none of them a lookalike of a framing header, values without control or non-ASCII bytes."""
_TARGET = rb"(?:/|\*(?= )|[A-Za-z][A-Za-z0-9+.\-]*+://)[\x21-\x7e\x80-\xff]*+"
_BLOCK = re.compile(_COMPLIANT_FIELDS)
_RESPONSE = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: ([^\r\n\x00]*+))?\r\n" + _FIELDS)
_LINE = re.compile(rb"(" + _TOKEN + rb") (" + _TARGET + rb") HTTP/1\.([01])\r\n")
_FIELD = re.compile(rb"([^:\r\n]++):[ \t]*+([^\r\n]*+)\r\n")
CONTENT_LENGTH = re.compile(rb"\d{1,18}")
"""A length that no recipient's 64-bit integer overflows with (alb.md 6.8, BadContentLength)."""
_FIRST_BYTE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z\r]")
_BARE_LF = re.compile(rb"(?<!\r)\n")

_NOT_FORWARDED = frozenset({b"TRACE", b"CONNECT"})

Headers = list[tuple[bytes, bytes]]


def split_fields(block: bytes) -> Headers:
    """Header lines as (name, value) pairs in order, the white space around the value removed (RFC 9112 5)."""
    fields = _FIELD.findall(block)
    if b" \r\n" in block or b"\t\r\n" in block:
        return [(name, value.rstrip(b" \t")) for name, value in fields]
    return fields


def join_fields(headers: Headers) -> bytes:
    """Header lines as bytes, each with its CRLF."""
    return b"".join([b"%s: %s\r\n" % field for field in headers])


class HeaderBlock:
    """Header lines, taken apart once for all messages that bring the same ones; nothing of it is ever changed.

    Attributes:
        block: The lines as received, each with its CRLF, without the empty line.
        headers: The same as pairs in order.
        fields: Lower-case name to value; of a repeated header the last.
        host: For the rules to keep what they make of the Host header.
        to_target: For the forwarder to keep what it makes of `block`, and for what.
    """

    __slots__ = ("block", "fields", "headers", "host", "to_target")

    def __init__(self, block: bytes) -> None:
        self.block = block
        self.headers = headers = split_fields(block)
        self.fields = {name.lower(): value for name, value in headers}
        self.host: tuple[bytes, bytes] | None = None
        self.to_target: tuple[tuple[object, int, object], bytes] | None = None


class RequestHead:
    """A well-formed request head.

    Attributes:
        method, target: As received.
        minor: 0 or 1, of `HTTP/1.minor`.
        lines: Its header lines.
        block, headers, fields: Those of `lines`.
    """

    __slots__ = ("block", "fields", "headers", "lines", "method", "minor", "target")

    def __init__(self, method: bytes, target: bytes, minor: int, lines: HeaderBlock) -> None:
        self.method = method
        self.target = target
        self.minor = minor
        self.lines = lines
        self.block = lines.block
        self.headers = lines.headers
        self.fields = lines.fields

    @classmethod
    def of(cls, method: bytes, target: bytes, minor: int, block: bytes) -> RequestHead:
        """A head with these header lines, each with its CRLF."""
        return cls(method, target, minor, HeaderBlock(block))


def _header_block(block: bytes) -> HeaderBlock | None:
    """The lines of a block with its empty line, None if there is anything unusual in them."""
    if _BLOCK.fullmatch(block) is None:
        return None
    lines = HeaderBlock(block[:-2])
    hosts = [lines.fields.get(b"host", b"")]
    if len(lines.fields) != len(lines.headers):
        hosts = [value for name, value in lines.headers if name.lower() == b"host"]
    return None if any(b" " in host or b"\t" in host for host in hosts) else lines


# Clients and their libraries send the same lines again and again: these are looked up instead of taken apart. At most
# KEPT_BLOCKS of MAX_KEPT_BYTES each are kept, whatever clients send.
_kept_header_block = lru_cache(maxsize=KEPT_BLOCKS)(_header_block)


def parse_request_head(head: bytes) -> RequestHead:
    """Take apart a request head that ends with its empty line and has nothing unusual in it.

    Raises:
        UriTooLongError: The request line is over 16 K.
        MethodNotAllowedError: TRACE, which the load balancer answers itself, or CONNECT, which it does not serve.
        BadRequestError: A line over 16 K, a request without the Host header that HTTP/1.1 requires (RFC 9112 3.2), or
            anything else unusual: `proxy.http1.mitigation.mitigate` says whether it may pass, and in which form.
    """
    match = _LINE.match(head)
    if match is None:
        raise BadRequestError("an unusual request line")
    block = head[match.end() :]
    lines = _kept_header_block(block) if len(block) <= MAX_KEPT_BYTES else _header_block(block)
    if lines is None:
        raise BadRequestError("an unusual header line")
    method, target, minor = match.groups()
    request = RequestHead(method, target, 1 if minor == b"1" else 0, lines)
    if len(head) > MAX_LINE_BYTES:
        check_line_lengths(head)
    if method in _NOT_FORWARDED or b"host" not in lines.fields:
        check_request(method, request.minor, lines.fields)
    return request


_WITHOUT_VERSION: Final = re.compile(rb"[^ \r\n]+ +[^ \r\n]+ *\r?\n")


def cannot_become_request(data: bytes) -> bool:
    """Whether this beginning of a head is already known to be malformed, so that its end need not be waited for.

    So it is with a first byte that no method has (TLS, binary protocols), with a request line without a version, after
    which an HTTP/0.9 client sends no more, and when some lines end with CR LF and some with LF alone.
    """
    if data and _FIRST_BYTE.match(data) is None:
        return True
    if _WITHOUT_VERSION.match(data) is not None:
        return True
    line_end = data.find(b"\n")
    if line_end < 0:
        return False
    if data[line_end - 1 : line_end] == b"\r":
        return _BARE_LF.search(data, line_end + 1) is not None
    return b"\r" in data


def is_request_target(target: bytes) -> bool:
    """Whether this is in origin-form, absolute-form or `*`; only of these do rules and targets see the same path."""
    return re.fullmatch(_TARGET + rb"|\*", target) is not None


def check_request(method: bytes, minor: int, fields: dict[bytes, bytes]) -> None:
    """Refuse a well-formed request that the load balancer answers itself: 405 or 400, see `parse_request_head`."""
    if method in _NOT_FORWARDED:
        raise MethodNotAllowedError(f"{method.decode()} is not forwarded")
    if b"host" not in fields and minor == 1:
        raise BadRequestError("an HTTP/1.1 request without Host")


def check_line_lengths(head: bytes, line_end: bytes = b"\r\n") -> None:
    """Refuse a request line (414) or a header line (400) over 16 K (alb.md 1.4, 8)."""
    lines = head.split(line_end)
    if len(lines[0]) > MAX_LINE_BYTES:
        raise UriTooLongError(f"the request line has {len(lines[0])} bytes, {MAX_LINE_BYTES} are allowed")
    if any(len(line) > MAX_LINE_BYTES for line in lines):
        raise BadRequestError(f"a header line is longer than {MAX_LINE_BYTES} bytes")


def request_body_length(head: RequestHead) -> int:
    """How many bytes of body follow: 0, a count, or `CHUNKED` (RFC 9112 6.3).

    With both Transfer-Encoding and Content-Length the latter is disregarded (alb.md 6.8, BothTeClPresent).

    Raises:
        TransferEncodingError: A coding other than chunked or identity (alb.md 6.5).
        BadRequestError: A Content-Length that is no number or comes with different values.
    """
    fields = head.fields
    codings = fields.get(b"transfer-encoding")
    length = fields.get(b"content-length")
    if codings is None and length is None:
        return 0
    if len(fields) != len(head.headers):
        codings = _joined(head.headers, b"transfer-encoding")
    if codings is not None and (coding := codings.strip(b" \t").lower()) != b"identity":
        if coding != b"chunked":
            raise TransferEncodingError(f"Transfer-Encoding {coding.decode('latin-1')!r} is not supported")
        return CHUNKED
    if length is None:
        return 0
    if len(fields) != len(head.headers):
        values = {value for name, value in head.headers if name.lower() == b"content-length"}
        if len(values) > 1:
            raise BadRequestError("several Content-Length headers with different values")
    if CONTENT_LENGTH.fullmatch(length) is None:
        raise BadRequestError("Content-Length is not a number")
    return int(length)


def is_plainly_framed(head: RequestHead) -> bool:
    """Whether a well-formed head with a framing header is Compliant as it stands (alb.md 6.8).

    So it is with one Content-Length or with `Transfer-Encoding: chunked`, on a request that may have a body.
    """
    fields = head.fields
    if head.method == b"GET" or head.method == b"HEAD":
        return False
    if b"transfer-encoding" in fields:
        if b"content-length" in fields or fields[b"transfer-encoding"] != b"chunked" or head.minor == 0:
            return False
        name = b"transfer-encoding"
    else:
        name = b"content-length"
    return len(fields) == len(head.headers) or sum(line.lower() == name for line, _ in head.headers) == 1


def _joined(headers: Headers, wanted: bytes) -> bytes | None:
    values = [value for name, value in headers if name.lower() == wanted]
    return b", ".join(values) if values else None


class MalformedResponseError(ValueError):
    """A response head that cannot be understood."""


class ResponseHead:
    """A well-formed response head; attributes as in `RequestHead`. `reason` may be empty.

    Attributes:
        keeps_alive: Whether the target keeps the connection (RFC 9112 9.3).
        length: Its `response_body_length` unless it answers HEAD; None if that raises.

    It serves again for every response that begins with the same bytes, so nothing of it is changed; `client_block` is
    for the forwarder to keep what it makes of `block`.
    """

    __slots__ = ("block", "client_block", "fields", "headers", "keeps_alive", "length", "minor", "reason", "status")

    def __init__(self, status: int, reason: bytes, minor: int, block: bytes) -> None:
        self.client_block: bytes | None = None
        self.length: int | None = None
        self.status = status
        self.reason = reason
        self.minor = minor
        self.block = block
        self.headers = headers = split_fields(block)
        self.fields = {name.lower(): value for name, value in headers}
        self.keeps_alive = minor == 1 if b"connection" not in self.fields else self._keeps_alive()

    def _keeps_alive(self) -> bool:
        items = [item for name, value in self.headers if name.lower() == b"connection" for item in list_items(value)]
        return b"close" not in items and (self.minor == 1 or b"keep-alive" in items)


def _response_head(head: bytes) -> ResponseHead | None:
    match = _RESPONSE.fullmatch(head)
    if match is None:
        return None
    minor, status, reason, block = match.groups()
    parsed = ResponseHead(int(status), reason or b"", 1 if minor == b"1" else 0, block)
    with suppress(MalformedResponseError):
        parsed.length = response_body_length(parsed, to_head=False)
    return parsed


_kept_response_head = lru_cache(maxsize=KEPT_BLOCKS)(_response_head)


def parse_response_head(head: bytes) -> ResponseHead:
    """Take apart a response head that ends with its empty line; raise `MalformedResponseError`."""
    parsed = _kept_response_head(head) if len(head) <= MAX_KEPT_BYTES else _response_head(head)
    if parsed is None:
        raise MalformedResponseError("the response head is malformed")
    return parsed


def response_body_length(head: ResponseHead, *, to_head: bool) -> int:
    """How many bytes of body follow: a count, `CHUNKED` or `UNTIL_CLOSE` (RFC 9112 6.3).

    Args:
        to_head: Whether this answers a HEAD request, which never has a body.

    Raises:
        MalformedResponseError: A Content-Length that is no number or is repeated, or a transfer coding other than
            chunked.
    """
    status = head.status
    if to_head or status < 200 or status == 204 or status == 304:
        return 0
    fields = head.fields
    repeated = len(fields) != len(head.headers)
    coding = _joined(head.headers, b"transfer-encoding") if repeated else fields.get(b"transfer-encoding")
    if coding is not None:
        if coding.strip(b" \t").lower() != b"chunked":
            raise MalformedResponseError("a transfer coding other than chunked")
        return CHUNKED
    length = fields.get(b"content-length")
    if length is None:
        return UNTIL_CLOSE
    if repeated and sum(name.lower() == b"content-length" for name, _ in head.headers) > 1:
        raise MalformedResponseError("several Content-Length headers")
    if CONTENT_LENGTH.fullmatch(length) is None:
        raise MalformedResponseError("Content-Length is not a number")
    return int(length)


def list_items(value: bytes) -> list[bytes]:
    """The lower-case items of a comma-separated header value."""
    return [item for part in value.lower().split(b",") if (item := part.strip())]
