"""The small HTML page that goes with a status the gateway gives itself (alb.md 8, "Wire form")."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus

_AS_THE_LOAD_BALANCER = {
    302: "Found",
    400: "Bad Request",
    401: "Authorization Required",
    405: "Not Allowed",
    408: "Request Time-out",
    413: "Request Entity Too Large",
    414: "Request-URI Too Large",
    463: "Bad Request",
    464: "Bad Request",
    501: "Not Implemented",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
    505: "HTTP Version Not Supported",
    561: "Unauthorized",
    562: "JWKS Request Failed",
}

REASONS: dict[int, str] = {status.value: status.phrase for status in HTTPStatus} | _AS_THE_LOAD_BALANCER
"""Reason phrases by status: nginx's where the load balancer likely uses them, else the usual ones.

Only those of 502 and 503 are confirmed (alb.md 8). A status without one, such as 299, has none on the wire,
which RFC 9112 4 permits.
"""


@lru_cache(maxsize=512)
def page(status: int) -> bytes:
    """Return the page for `status`, lines ended by CRLF; 162 bytes for 503, as observed."""
    title = f"{status} {REASONS.get(status, '')}".rstrip()
    lines = (
        "<html>",
        f"<head><title>{title}</title></head>",
        "<body>",
        f"<center><h1>{title}</h1></center>",
        "</body>",
        "</html>",
    )
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
