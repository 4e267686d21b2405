"""What goes to an integration and what comes from it: a request with its whole body, and an answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.http1.head import Headers, ResponseHead, join_fields

JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as a target would get it, its body complete.

    Attributes:
        target: In origin-form, undecoded.
        headers: As received, with those the load balancer adds; what belongs to the connection is not among them.
        client: The client's IP address.
        protocol: Of the client, such as `HTTP/1.1`.
        received_at: In seconds since the epoch.
        token: The bearer token, if jwt-validation let it pass.
    """

    method: bytes
    target: bytes
    headers: Headers
    body: bytes = b""
    client: str = "127.0.0.1"
    protocol: bytes = b"HTTP/1.1"
    received_at: float = 0.0
    token: bytes = b""

    @property
    def path(self) -> bytes:
        return self.target.partition(b"?")[0]

    @property
    def query(self) -> bytes:
        return self.target.partition(b"?")[2]

    def value(self, name: bytes) -> bytes:
        """The last value of this (lower-case) header, empty without one."""
        return next((value for each, value in reversed(self.headers) if each.lower() == name), b"")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a service answered; `fields` are its headers by lower-case name."""

    status: int
    fields: dict[bytes, bytes] = field(default_factory=dict)
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client is to get; the length of the body is not among the headers. `reason` may be empty."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    reason: bytes = b""

    def head(self) -> ResponseHead:
        """The response's head, as if a target had sent it."""
        headers = self.headers
        if self.status not in (204, 304):
            headers = [*headers, (b"Content-Length", b"%d" % len(self.body))]
        return ResponseHead(self.status, self.reason, 1, join_fields(headers))


def is_text(request: HttpRequest) -> bool:
    """Whether the body goes into an event as it is and not in base64 (alb.md 7; API Gateway has the same types)."""
    if any(name.lower() == b"content-encoding" for name, _ in request.headers):
        return False
    kind = request.value(b"content-type").partition(b";")[0].strip().lower()
    return kind.startswith(b"text/") or kind in _TEXTS


_TEXTS = frozenset({b"application/json", b"application/javascript", b"application/xml"})
