"""Rule transforms: what a rule rewrites in a request that it took, before its action (alb.md 4).

A transform searches its regex in one part of the request and replaces the first match; what is left and right of the
match stays (alb.md 4.2, 14.12). Without a match the request stays as it came, to the byte. What a transform gives is
checked before anything sees it, so that no request and no rule can end a request line or a header line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, Self

from proxy.config.model import TransformConfig, TransformType
from proxy.config.transforms import replacement_fault, replacement_parts
from proxy.errors import TransformError
from proxy.http1.head import MAX_LINE_BYTES
from proxy.rules.patterns import PatternError, compile_regex
from proxy.rules.request import RequestView, raw_path

_PATH_AND_QUERY: Final = re.compile(rb"/[^\x00-\x20\x7f#]*")
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]+)(?::[0-9]*)?")
"""Reg-name or IP literal, and a port (RFC 9110 7.2, RFC 3986 3.2.2)."""

_ESCAPE: Final = re.compile(rb"%(?:[0-9A-Fa-f]{2})?")
_STANDS_RAW: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/"
"""What a path holds without escapes (RFC 3986 3.3)."""
_DECODED: Final = {b"%": b"%25"} | {
    escape: bytes([byte]) for byte in _STANDS_RAW for escape in (b"%%%02X" % byte, b"%%%02x" % byte)
}


class Transform(Protocol):
    """One transform of a rule. `apply` returns the very view it got when there is nothing to rewrite."""

    name: ClassVar[TransformType]

    def apply(self, view: RequestView) -> RequestView: ...


class TransformKind(Protocol):
    """What `TRANSFORMS` holds; `compile` raises PatternError for a regex or a replacement that cannot be used."""

    def compile(self, config: TransformConfig) -> Transform: ...


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A regex and what stands instead of its first match: literal text and group numbers by turns.

    The regex runs over bytes in linear time (RE2).
    """

    search: Callable[[bytes], Any]
    parts: tuple[bytes | int, ...]

    @classmethod
    def compile(cls, config: TransformConfig) -> Self:
        regex = compile_regex(config.regex.encode(), captures=True)
        fault = replacement_fault(config.type, config.replace, regex.groups)
        if fault is not None:
            raise PatternError(f"replace {config.replace!r} {fault.message}")
        parts = replacement_parts(config.replace)
        return cls(regex.search, tuple(part.encode() if isinstance(part, str) else part for part in parts))

    def replace_first(self, subject: bytes) -> bytes | None:
        """Return the subject with its first match replaced, None without a match. An idle group gives nothing.

        Raises:
            TransformError: The result would be longer than a request line or header line may be.
        """
        match = self.search(subject)
        if match is None:
            return None
        start, end = match.span()
        # Groups as places, not as copies: a thousand references to one long group must not cost a thousand of it.
        spans = {part: match.span(part) for part in self.parts if isinstance(part, int)}
        size = len(subject) - (end - start)
        for part in self.parts:
            size += len(part) if isinstance(part, bytes) else spans[part][1] - spans[part][0]
        if size > MAX_LINE_BYTES:
            raise TransformError(f"the result would have {size} bytes, {MAX_LINE_BYTES} are allowed")
        filled = [part if isinstance(part, bytes) else subject[slice(*spans[part])] for part in self.parts]
        return b"".join((subject[:start], *filled, subject[end:]))


@dataclass(frozen=True, slots=True)
class UrlRewrite:
    """`url-rewrite`: path and query, `?` included, as one text (alb.md 4.2).

    The path is decoded, and the decoded form is what the target gets (alb.md 4.3). Decoded are the escapes of what a
    path may hold raw (RFC 3986 3.3): letters, digits, `/`, `:` and the like. All others, such as `%20`, `%0D`, `%3F`,
    `%25` and those of bytes beyond ASCII, stay as they were sent, for the regex as for the target: the target's own
    decoding gives the bytes that the client meant and never more. An encoded slash arrives as a slash. A `%` that is
    no escape becomes `%25`, so that decoding around it cannot make one. The query stays as it was sent. What a
    replacement moves from the path into the query is not encoded for it.

    Scheme and authority of an absolute-form target are out of reach; a fragment is dropped where something matched.
    `*` has no path (RFC 9112 3.2.4) and stays.
    """

    name: ClassVar[TransformType] = "url-rewrite"
    rewrite: Rewrite

    @classmethod
    def compile(cls, config: TransformConfig) -> Self:
        return cls(Rewrite.compile(config))

    def apply(self, view: RequestView) -> RequestView:
        """Return the request with its target rewritten.

        Raises:
            TransformError: The result does not begin with `/`, is too long, or holds what a request line cannot.
        """
        url, mark, query = view.target.partition(b"#")[0].partition(b"?")
        path = raw_path(url)
        if path[:1] != b"/":
            return view
        decoded = _ESCAPE.sub(_decode, path) if b"%" in path else path
        rewritten = self.rewrite.replace_first(decoded + mark + query)
        if rewritten is None:
            return view
        if _PATH_AND_QUERY.fullmatch(rewritten) is None:
            raise TransformError(f"url-rewrite gives {rewritten[:128]!r}, which is no path with a query")
        target = url.removesuffix(path) + rewritten
        return RequestView(view.method, target, view.headers, view.fields, view.peer, view.scheme, view.port)


@dataclass(frozen=True, slots=True)
class HostHeaderRewrite:
    """`host-header-rewrite`: the value of the first Host header (alb.md 4.2).

    The regex sees what a `host-header` regex sees: the value in lower case, its port included (alb.md 14.3, 14.4). A
    rewritten Host goes to the target as it stands and alone: no port is added to it or taken from it, whatever
    `routing.http.preserve_host_header.enabled` says; that attribute is about the Host that the client sent (alb.md
    6.3). A request without Host has nothing to rewrite.
    """

    name: ClassVar[TransformType] = "host-header-rewrite"
    rewrite: Rewrite

    @classmethod
    def compile(cls, config: TransformConfig) -> Self:
        return cls(Rewrite.compile(config))

    def apply(self, view: RequestView) -> RequestView:
        """Return the request with one Host header, the rewritten one.

        Raises:
            TransformError: The result is too long, or not a host name or address with or without a port.
        """
        if b"host" not in view.fields:
            return view
        host = self.rewrite.replace_first(view.host_port)
        if host is None:
            return view
        if _HOST.fullmatch(host) is None:
            raise TransformError(f"host-header-rewrite gives {host[:128]!r}, which is no host name")
        headers = [(b"Host", host), *(line for line in view.headers if line[0].lower() != b"host")]
        fields = {**view.fields, b"host": host}
        return RequestView(view.method, view.target, headers, fields, view.peer, view.scheme, view.port)


TRANSFORMS: dict[TransformType, TransformKind] = {
    UrlRewrite.name: UrlRewrite,
    HostHeaderRewrite.name: HostHeaderRewrite,
}
"""Transform types by name."""


def transformed(view: RequestView, transforms: tuple[Transform, ...]) -> RequestView:
    """Return the request as the transforms of its rule leave it; raises TransformError as they do.

    They look at different parts of the request, so their order means nothing.
    """
    for transform in transforms:
        view = transform.apply(view)
    return view


def rewritten_host(before: RequestView, after: RequestView) -> bytes | None:
    """The Host that a transform made of the request's own, None when none did."""
    return None if after.headers is before.headers else after.fields[b"host"]


def rewritten_target(before: RequestView, after: RequestView) -> bytes | None:
    """The request target that a transform made of the request's own, None when none did."""
    return None if after.target is before.target else after.target


def _decode(match: re.Match[bytes]) -> bytes:
    return _DECODED.get(match[0], match[0])
