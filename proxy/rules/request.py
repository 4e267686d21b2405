"""What the rules may look at: one request, taken apart once."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote_to_bytes

from proxy.http1.head import HeaderBlock

Headers = list[tuple[bytes, bytes]]


_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


class RequestView:
    """A request as the rules see it. All text is bytes as received; only `host` and the keys of `fields` are folded.

    Attributes:
        method: As received; methods are case-sensitive (alb.md 2.6).
        target: The raw request target, never normalised.
        path: What `path-pattern` compares: the target's path with percent-escapes decoded (alb.md 14.1), those of
            control bytes excepted.
        query: The raw query without its `?`, up to a `#` (alb.md 2.7).
        host_port: The first Host header's value in lower case, port included; empty without Host (alb.md 1.3).
        host: The same without the port, which literals cannot hold (alb.md 14.3).
        headers: Every header line in order, name and value as received.
        fields: Lower-case name to value; of a repeated header the last. `header_values` has them all.
        peer: The client's IP address as text; what `source-ip` compares, never X-Forwarded-For (alb.md 2.8).
        scheme: `http` or `https`, the listener's side.
        port: The listener's port.
        lines: What `headers` and `fields` were taken from, if other requests may share it.
    """

    __slots__ = (
        "_pairs",
        "fields",
        "headers",
        "host",
        "host_port",
        "lines",
        "method",
        "path",
        "peer",
        "port",
        "query",
        "scheme",
        "target",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        fields: dict[bytes, bytes],
        peer: str = "127.0.0.1",
        scheme: Literal["http", "https"] = "http",
        port: int = 80,
        lines: HeaderBlock | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.fields = fields
        self.peer = peer
        self.scheme = scheme
        self.port = port
        self.lines = lines
        self._pairs: list[tuple[bytes, bytes]] | None = None
        # `find`, since `in` on bytes first tries whether it was given a number, and makes an error to find out.
        path, mark, query = target.partition(b"?")
        if path[:1] != b"/" or target.find(b"#") >= 0:
            path = raw_path(target)
        self.path = decoded_path(path) if path.find(b"%") >= 0 else path
        self.query = query.partition(b"#")[0] if mark else b""
        host = None if lines is None else lines.host
        if host is None:
            values = self.header_values(b"host")
            host = _fold(values[0] if values else b"")
            if lines is not None:
                lines.host = host
        self.host_port, self.host = host

    @classmethod
    def of(
        cls,
        method: str,
        target: str,
        headers: list[tuple[str, str]] | None = None,
        *,
        peer: str = "127.0.0.1",
        scheme: Literal["http", "https"] = "http",
        port: int = 80,
    ) -> RequestView:
        """Build a view from text, for the command line and for tests."""
        lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers or []]
        fields = {name.lower(): value for name, value in lines}
        return cls(method.encode("latin-1"), target.encode("latin-1"), lines, fields, peer, scheme, port)

    def header_values(self, name: bytes) -> list[bytes]:
        """The values of every line with this (lower-case) name, in order; empty when absent."""
        if name not in self.fields:
            return []
        if len(self.fields) == len(self.headers):
            return [self.fields[name]]
        return [value for line_name, value in self.headers if line_name.lower() == name]

    @property
    def query_pairs(self) -> list[tuple[bytes, bytes]]:
        """The query's pairs in lower case, undecoded; a bare token is a key with an empty value (alb.md 2.7, 14.7)."""
        if self._pairs is None:
            self._pairs = [
                (key, value)
                for key, _, value in (pair.partition(b"=") for pair in self.query.lower().split(b"&"))
                if key or value
            ]
        return self._pairs


def decoded_path(path: bytes) -> bytes:
    """The path with its percent-escapes decoded, except those of control bytes.

    No pattern matches a control byte (alb.md 1.3): decoded, `/admin/x%0A` would pass by the rule for `/admin/*`.
    """
    decoded = unquote_to_bytes(path)
    if _CONTROL.search(decoded) is None:
        return decoded
    return _ESCAPE.sub(_decode_unless_control, path)


def _decode_unless_control(match: re.Match[bytes]) -> bytes:
    byte = bytes.fromhex(match[1].decode())
    return match[0] if _CONTROL.fullmatch(byte) else byte


def _fold(host_port: bytes) -> tuple[bytes, bytes]:
    """A Host in lower case, with and without its port."""
    host_port = host_port.lower()
    return host_port, host_port if b":" not in host_port else strip_port(host_port)


def strip_port(host_port: bytes) -> bytes:
    """`example.com:8080` without `:8080`; an IPv6 literal keeps its brackets."""
    name, colon, port = host_port.rpartition(b":")
    return name if colon and (not port or port.isdigit()) and not port.endswith(b"]") else host_port


def raw_path(target: bytes) -> bytes:
    """The path of a request target as received: without query and fragment, `/` where absolute-form has none.

    Of `*` and of authority-form, which have no path, the target itself (RFC 9112 3.2).
    """
    path = target.partition(b"?")[0].partition(b"#")[0]
    if path[:1] != b"/" and b"://" in path:
        rest = path.partition(b"://")[2]
        slash = rest.find(b"/")
        return rest[slash:] if slash >= 0 else b"/"
    return path
