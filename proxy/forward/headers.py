"""What a proxy changes in the headers on the way to a target and back: pure functions (alb.md 6, RFC 9110 7.6).

A header block in which nothing changes is passed on as the bytes that came.
"""

from __future__ import annotations

import re
from functools import lru_cache
from random import randbytes
from time import time
from typing import Final

from proxy.config.model import LoadBalancerAttributes
from proxy.errors import TooManyForwardedError
from proxy.http1.head import Headers, ResponseHead, join_fields, list_items
from proxy.rules.request import RequestView, strip_port
from proxy.tls import Renamed, TlsSession

MAX_FORWARDED_ADDRESSES: Final = 30
"""Most addresses in X-Forwarded-For (alb.md 1.4)."""
MAX_TRACED_HEAD_BYTES: Final = 7 * 1024
"""From this size of headers on, the trace id is made anew instead of extended (alb.md 6.2)."""

TRACE_DIGITS: Final = 24
TRACES_AT_A_TIME: Final = 256

HOP_BY_HOP: Final = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade"})
"""Fields of one connection (RFC 9110 7.6.1). Transfer-Encoding and Trailer stay: the body's framing is passed on."""

_FROM_GATEWAY: Final = frozenset(
    {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-port", b"x-amzn-trace-id", b"expect"}
)
_AUTHORITY_END: Final = re.compile(rb"[/?#]")
_CHANGED_TO_TARGET: Final = HOP_BY_HOP | _FROM_GATEWAY
_DROPPED_WITH_STATUS: Final = {
    204: HOP_BY_HOP | {b"content-length", b"transfer-encoding", b"trailer"},
    304: HOP_BY_HOP | {b"transfer-encoding", b"trailer"},
}
"""A 204 has no framing headers (RFC 9110 8.6, RFC 9112 6.1), and a 304 no coding of a body that it does not have."""
_NEVER_NAMED_BY_CONNECTION: Final = frozenset({b"host", b"content-length", b"transfer-encoding"})
"""Fields that a Connection header cannot have removed: the message would mean something else without them."""


def host_to_target(view: RequestView, attributes: LoadBalancerAttributes) -> bytes:
    """The Host that a target gets (alb.md 6.3); empty when the request has none."""
    if attributes.preserve_host_header:
        return view.header_values(b"host")[0] if b"host" in view.fields else b""
    if view.target[:1] != b"/" and b"://" in view.target:
        # Without user and password, which Host has no place for (RFC 9110 4.2.4, 7.2).
        host_port = _authority(view.target).rpartition(b"@")[2].lower()
    else:
        host_port = view.host_port
    host = strip_port(host_port)
    if view.port in (80, 443) or not host:
        return host
    # A colon without a port behind it says no more than none (RFC 3986 3.2.3).
    has_port = host != host_port and host_port[-1:] != b":"
    return host_port if has_port else b"%s:%d" % (host, view.port)


def target_in_origin_form(target: bytes) -> bytes:
    """The request target as a target gets it: absolute-form becomes origin-form (RFC 9112 3.2.2), else unchanged."""
    if target[:1] == b"/" or b"://" not in target:
        return target
    rest = target.partition(b"://")[2][len(_authority(target)) :]
    return rest if rest[:1] == b"/" else b"/" + rest


def _authority(target: bytes) -> bytes:
    """`host:port` of an absolute-form target; it ends where the rules see the path begin."""
    return _AUTHORITY_END.split(target.partition(b"://")[2], maxsplit=1)[0]


def forwarded_for(values: list[bytes], peer: str, client_port: int, attributes: LoadBalancerAttributes) -> bytes | None:
    """The X-Forwarded-For that a target gets, None for none (alb.md 6.1).

    Args:
        values: The client's own X-Forwarded-For lines, in order; they are joined (alb.md 14.13).
        peer, client_port: The client's address and port.

    Raises:
        TooManyForwardedError: More than 30 addresses came.
    """
    received = b", ".join(values)
    if received.count(b",") >= MAX_FORWARDED_ADDRESSES:
        raise TooManyForwardedError(f"X-Forwarded-For holds more than {MAX_FORWARDED_ADDRESSES} addresses")
    mode = attributes.xff_header_processing_mode
    if mode == "remove":
        return None
    if mode == "preserve":
        return received or None
    address = peer
    if ":" in peer and (attributes.xff_client_port or received):
        address = f"[{peer}]"
    if attributes.xff_client_port:
        address = f"{address}:{client_port}"
    own = address.encode()
    return received + b", " + own if received else own


class TraceRoots:
    """Makes `1-<seconds as 8 hex digits>-<24 hex digits>` (alb.md 6.2), random digits for many at a time."""

    __slots__ = ("_begin", "_digits", "_position", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._begin = b""
        self._digits = b""
        self._position = 0

    def new(self) -> bytes:
        """One that no other request has."""
        second = int(time())
        if second != self._second:
            self._second = second
            self._begin = b"1-%08x-" % second
        position = self._position
        if position >= len(self._digits):
            self._digits = randbytes(TRACE_DIGITS // 2 * TRACES_AT_A_TIME).hex().encode()
            position = 0
        self._position = end = position + TRACE_DIGITS
        return self._begin + self._digits[position:end]


new_trace_root: Final = TraceRoots().new


def trace_id_to_target(received: bytes | None, head_size: int) -> bytes:
    """The X-Amzn-Trace-Id that a target gets (alb.md 6.2): a new Root, or the received one with a Self in front."""
    if not received or head_size > MAX_TRACED_HEAD_BYTES:
        return b"Root=" + new_trace_root()
    parts = [part for field in received.split(b";") if (part := field.strip())]
    if not any(part.startswith(b"Root=") for part in parts):
        return b";".join([b"Root=" + new_trace_root(), *(part for part in parts if not part.startswith(b"Self="))])
    return b";".join([b"Self=" + new_trace_root(), *(part for part in parts if not part.startswith(b"Self="))])


@lru_cache(maxsize=8)
def _changed_and(removed: frozenset[bytes]) -> frozenset[bytes]:
    """One object for all connections alike, so that what is made for one of them may serve the others."""
    return _CHANGED_TO_TARGET | removed


class ForwardedLines:
    """What a connection adds to each of its requests: X-Forwarded-* lines, over TLS those about it, too.

    Args:
        renamed: Headers about TLS that the listener calls by another name.

    Attributes:
        constant: All the lines of a client that sends no X-Forwarded-For itself.
        changed: Fields that a client's request cannot have passed on as they are.
    """

    __slots__ = ("attributes", "changed", "client_port", "constant", "peer", "proto_port_and_tls")

    def __init__(
        self,
        peer: str,
        client_port: int,
        scheme: str,
        port: int,
        attributes: LoadBalancerAttributes,
        tls: TlsSession | None = None,
        renamed: Renamed = (),
    ) -> None:
        self.peer = peer
        self.client_port = client_port
        self.attributes = attributes
        self.proto_port_and_tls = b"X-Forwarded-Proto: %s\r\nX-Forwarded-Port: %d\r\n" % (scheme.encode(), port)
        self.changed = _CHANGED_TO_TARGET
        if tls is not None:
            wanted = attributes.tls_version_and_cipher_suite
            self.changed = _changed_and(tls.removed_headers(version_and_cipher=wanted, renamed=renamed))
            self.proto_port_and_tls += tls.header_lines(version_and_cipher=wanted, renamed=renamed)
        self.constant = self.lines([])

    def lines(self, values: list[bytes]) -> bytes:
        """The lines for a request that came with these X-Forwarded-For values; may raise `TooManyForwardedError`."""
        forwarded = forwarded_for(values, self.peer, self.client_port, self.attributes)
        if forwarded is None:
            return self.proto_port_and_tls
        return b"X-Forwarded-For: " + forwarded + b"\r\n" + self.proto_port_and_tls


@lru_cache(maxsize=1024)
def _shared_lines(
    peer: str, client_port: int, scheme: str, port: int, attributes: LoadBalancerAttributes
) -> ForwardedLines:
    return ForwardedLines(peer, client_port, scheme, port, attributes)


def forwarded_lines(
    peer: str,
    client_port: int,
    scheme: str,
    port: int,
    attributes: LoadBalancerAttributes,
    tls: TlsSession | None = None,
    renamed: Renamed = (),
) -> ForwardedLines:
    """Those of a connection; connections that add the same lines share one object. See `ForwardedLines`."""
    if tls is not None:
        return ForwardedLines(peer, client_port, scheme, port, attributes, tls, renamed)
    return _shared_lines(peer, client_port if attributes.xff_client_port else 0, scheme, port, attributes)


def request_head_to_target(
    view: RequestView,
    block: bytes,
    forwarded: ForwardedLines,
    *,
    upgrade: bool = False,
    chunked: bool = False,
    ambiguous: bool = False,
    fallback_host: bytes = b"localhost",
) -> tuple[bytes, bytes]:
    """The whole head for the target, and the trace id in it.

    Args:
        view: The request.
        block: Its header lines as received.
        forwarded: The X-Forwarded-* lines of this client.
        upgrade: Whether `Connection: Upgrade` and `Upgrade` go along (a WebSocket handshake).
        chunked: Whether the body goes as chunks, so that a Content-Length beside it must not (alb.md 6.8).
        ambiguous: Whether repeated framing headers are to be sent once.
        fallback_host: What to send when an HTTP/1.0 client sent no Host (alb.md 6.3).

    Raises:
        TooManyForwardedError: More than 30 addresses in X-Forwarded-For.
    """
    target = view.target
    shared = view.lines
    if shared is not None and shared.to_target is not None and target[:1] == b"/" and not upgrade:
        (attributes, port, changed), lines = shared.to_target
        if attributes is forwarded.attributes and port == view.port and changed is forwarded.changed:
            trace_id = b"Root=" + new_trace_root()
            head = b"%s %s HTTP/1.1\r\n%s%sX-Amzn-Trace-Id: %s\r\n\r\n" % (
                view.method,
                target,
                lines,
                forwarded.constant,
                trace_id,
            )
            return head, trace_id
    fields = view.fields
    attributes = forwarded.attributes
    host = host_to_target(view, attributes)
    if target[:1] != b"/":
        target = target_in_origin_form(target)
    if (
        not ambiguous
        and fields.get(b"host") == host
        and forwarded.changed.isdisjoint(fields)
        and view.target is target
        and host
        and (len(fields) == len(view.headers) or len(view.header_values(b"host")) == 1)
    ):
        lines = block
    else:
        lines = _rewritten(view, host or fallback_host, forwarded, upgrade, chunked, ambiguous)
    traced = view.header_values(b"x-amzn-trace-id")
    trace_id = trace_id_to_target(traced[0] if traced else None, len(block))
    received = view.header_values(b"x-forwarded-for")
    is_plain = host and view.target is target and not (upgrade or ambiguous or traced or received)
    if shared is not None and is_plain:
        shared.to_target = ((attributes, view.port, forwarded.changed), lines)
    lines += forwarded.lines(received) if received else forwarded.constant
    return (
        b"%s %s HTTP/1.1\r\n%sX-Amzn-Trace-Id: %s\r\n\r\n" % (view.method, target, lines, trace_id),
        trace_id,
    )


def _rewritten(
    view: RequestView,
    host: bytes,
    forwarded: ForwardedLines,
    upgrade: bool,
    chunked: bool,
    ambiguous: bool,
) -> bytes:
    drop = forwarded.changed | _named_by_connection(view.header_values(b"connection"))
    kept = [(name, value) for name, value in view.headers if name.lower() not in drop]
    if ambiguous:
        kept = _unambiguous(kept, chunked)
    if not forwarded.attributes.preserve_host_header or b"host" not in view.fields:
        kept = [(b"Host", host), *((name, value) for name, value in kept if name.lower() != b"host")]
    if ambiguous and not upgrade:
        # A target that takes the rest of this request for another one does not read it.
        kept.append((b"Connection", b"close"))
    if upgrade:
        kept += [(b"Connection", b"Upgrade"), (b"Upgrade", view.header_values(b"upgrade")[0])]
    return join_fields(kept)


def _unambiguous(headers: Headers, chunked: bool) -> Headers:
    """Framing headers once, and only the one that counts."""
    length = next((value for name, value in headers if name.lower() == b"content-length"), None)
    kept = [(name, value) for name, value in headers if name.lower() not in (b"content-length", b"transfer-encoding")]
    if chunked:
        return [*kept, (b"Transfer-Encoding", b"chunked")]
    return kept if length is None else [*kept, (b"Content-Length", length)]


def _named_by_connection(values: list[bytes]) -> frozenset[bytes]:
    """The fields that a Connection header names, which therefore end here (RFC 9110 7.6.1)."""
    if not values:
        return frozenset()
    return frozenset(item for value in values for item in list_items(value)) - _NEVER_NAMED_BY_CONNECTION


def response_block_to_client(head: ResponseHead, *, decoded: bool = False) -> bytes:
    """The header lines that the client gets.

    Args:
        decoded: Whether the chunks are taken off before the body is sent on, so that Transfer-Encoding goes too.
    """
    if head.client_block is not None and not decoded:
        return head.client_block
    block = _block_to_client(head, decoded)
    if not decoded:
        head.client_block = block
    return block


def _block_to_client(head: ResponseHead, decoded: bool) -> bytes:
    fields = head.fields
    has_both_lengths = b"transfer-encoding" in fields and b"content-length" in fields
    drop = _DROPPED_WITH_STATUS.get(head.status, HOP_BY_HOP)
    if drop.isdisjoint(fields) and not decoded and not has_both_lengths:
        return head.block
    if has_both_lengths:
        # RFC 9112 6.3 rule 3: the length is not true, and a client that believed it would lose its place.
        drop = drop | {b"content-length"}
    if b"connection" in fields and (
        len(fields) != len(head.headers) or fields[b"connection"].lower() not in (b"close", b"keep-alive")
    ):
        drop = drop | _named_by_connection([value for name, value in head.headers if name.lower() == b"connection"])
    if decoded:
        drop = drop | {b"transfer-encoding", b"trailer"}
    return join_fields([field for field in head.headers if field[0].lower() not in drop])
