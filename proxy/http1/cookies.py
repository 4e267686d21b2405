"""Cookies as the load balancer reads and writes them (RFC 6265 4, alb.md 5.5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from proxy.http1.head import Headers

EXPIRES_SECONDS: Final = 7 * 24 * 3600
"""How far ahead `Expires` of the load balancer's cookies is, whatever their duration (alb.md 5.5)."""
MAX_SAME_NAME: Final = 4
"""Most cookies of one name that are looked at: a client may hold one for each path, not thousands."""

CookieReader = Callable[[list[bytes]], list[bytes]]
"""From the values of the Cookie lines of a request to those of one cookie, in order."""


def reader(name: bytes) -> CookieReader:
    """A function that finds the values of this cookie, `MAX_SAME_NAME` at most, in time linear in the lines.

    Names are case-sensitive. Quotes around a value are part of it (RFC 6265 5.2).
    """
    find = re.compile(rb"(?:^|;)[ \t]*+" + re.escape(name) + rb"=([^;]*+)").finditer

    def read(lines: list[bytes]) -> list[bytes]:
        values: list[bytes] = []
        for line in lines:
            for match in find(line):
                values.append(match[1].strip(b" \t"))
                if len(values) == MAX_SAME_NAME:
                    return values
        return values

    return read


def set_cookie_value(headers: Headers, name: bytes) -> bytes | None:
    """The value that a response gives to this cookie, the last one if several; None if it does not set it."""
    found = None
    for field, line in headers:
        if len(field) == 10 and field.lower() == b"set-cookie":
            pair = line.partition(b";")[0]
            cookie, equals, value = pair.partition(b"=")
            if equals and cookie.strip(b" \t") == name:
                found = value.strip(b" \t")
    return found


def set_cookie_lines(names: Iterable[tuple[bytes, bytes]], value: bytes, *, now: float) -> bytes:
    """`Set-Cookie` lines for cookies that share a value: each name with its further attributes."""
    expires = expiry(int(now) + EXPIRES_SECONDS)
    return b"".join(
        [b"Set-Cookie: %s=%s; Expires=%s; Path=/%s\r\n" % (name, value, expires, more) for name, more in names]
    )


def cross_site(*, secure: bool) -> bytes:
    """The attributes of the twin that browsers send with cross-site requests, `Secure` on HTTPS (alb.md 5.5)."""
    return b"; SameSite=None; Secure" if secure else b"; SameSite=None"


@lru_cache(maxsize=4)
def expiry(seconds: int) -> bytes:
    """A date of `Expires` (RFC 9110 5.6.7)."""
    return formatdate(seconds, usegmt=True).encode()
