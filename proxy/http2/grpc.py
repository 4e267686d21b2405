"""What the gateway must know of gRPC: which requests are, where they may go, how such a client learns of errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from proxy.config.model import ProtocolVersion

_CONTENT_TYPE: Final = re.compile(rb"application/grpc(?:[+;].*)?", re.IGNORECASE | re.DOTALL)
"""Not `application/grpc-web`, which is plain HTTP made for browsers."""

HTTP2: Final = b"HTTP/2.0"
"""The protocol of a client, as records and logs have it."""

UNKNOWN: Final = (2, b"unknown")
BY_STATUS: Final = {
    400: (13, b"internal"),
    401: (16, b"unauthenticated"),
    403: (7, b"permission denied"),
    404: (12, b"unimplemented"),
    429: (14, b"unavailable"),
    502: (14, b"unavailable"),
    503: (14, b"unavailable"),
    504: (14, b"unavailable"),
}
"""gRPC's own table from HTTP statuses to its codes; only 502 was observed on a load balancer (alb.md 8)."""


def is_grpc(fields: Mapping[bytes, bytes]) -> bool:
    """Whether these (lower-case) fields are those of a gRPC message."""
    content_type = fields.get(b"content-type")
    return content_type is not None and _CONTENT_TYPE.fullmatch(content_type) is not None


def may_forward(protocol: bytes, version: ProtocolVersion, method: bytes, *, is_grpc: bool) -> bool:
    """The load balancer's table of client protocols and protocol versions of target groups (alb.md 5.1)."""
    if protocol != HTTP2:
        return version == "HTTP1"
    if version == "GRPC":
        return method == b"POST"
    return version == "HTTP2" or not is_grpc


def error_headers(status: int) -> tuple[tuple[bytes, bytes], ...]:
    """What stands instead of a page in an error answer to a gRPC client."""
    code, message = BY_STATUS.get(status, UNKNOWN)
    return (
        (b"Content-Type", b"application/grpc"),
        (b"grpc-status", b"%d" % code),
        (b"grpc-message", message),
    )
