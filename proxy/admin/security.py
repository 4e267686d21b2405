"""Who may do what on the admin port: decided by a pure function, enforced by one layer around everything.

A browser on the same machine is the danger. A foreign page may send requests to the admin port (then `Origin`
names that page), or let its own name resolve to this address and so read answers too (then `Host` is that
name: DNS rebinding).
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_LIMIT: Final = 64 * 1024
BODY_SECONDS: Final = 10.0

PROBE_PATHS: Final = frozenset(("/livez", "/readyz", "/metrics"))
"""Orchestrators and Prometheus call these by any name; what they tell is not worth a rebinding."""

READING_METHODS: Final = frozenset(("GET", "HEAD", "OPTIONS"))
READING_POSTS: Final = frozenset(("/api/explain",))
"""Change nothing, whatever their method."""

RESPONSE_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer in place of the one asked for."""

    status: int
    error: str


class AdminPolicy:
    """The rules of one admin port.

    Args:
        host: The address or name it listens on.
        token: What writes must show as `Authorization: Bearer`; None or empty for no token, and then writes
            are allowed on a loopback address only.
        allowed_hosts: Further names it is called by, such as its container's. A name covers every port.
    """

    def __init__(self, host: str, token: str | None = None, allowed_hosts: Iterable[str] = ()) -> None:
        self._token = token.encode() if token else None
        self._is_loopback = _is_loopback(host)
        address = _address(host)
        self._any_address = address is not None and address.is_unspecified
        self._names = {"localhost", host.lower(), *(name.lower() for name in allowed_hosts)}

    def refuse(self, method: str, path: str, headers: Iterable[tuple[bytes, bytes]]) -> Refusal | None:
        """Return why this request is refused, None when it may pass.

        Args:
            headers: As in an ASGI scope, names in lower case.
        """
        if path in PROBE_PATHS and method in READING_METHODS:
            return None
        headers = list(headers)
        hosts = _values(headers, b"host")
        if len(hosts) != 1 or not self._knows(hosts[0]):
            return Refusal(
                403,
                f"unknown Host {', '.join(hosts)[:256]!r}: call the admin port as localhost or by its own "
                "address, or add the name to the allowed hosts",
            )
        for origin in _values(headers, b"origin"):
            if origin.lower() not in (f"http://{hosts[0].lower()}", f"https://{hosts[0].lower()}"):
                return Refusal(403, f"foreign Origin {origin[:256]!r}: other sites may not use the admin port")
        if method in READING_METHODS or path in READING_POSTS:
            return None
        return self._refuse_write(_values(headers, b"authorization"))

    def _refuse_write(self, credentials: list[str]) -> Refusal | None:
        if self._token is None:
            if self._is_loopback:
                return None
            return Refusal(
                403,
                "writes need a token here: start the gateway with STRANGLER_ADMIN_TOKEN, send it as Bearer",
            )
        scheme, _, token = (credentials[0] if len(credentials) == 1 else "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode("latin-1"), self._token):
            return None
        return Refusal(401, "this needs `Authorization: Bearer` with the token of STRANGLER_ADMIN_TOKEN")

    def _knows(self, host_header: str) -> bool:
        name = _without_port(host_header).lower()
        address = _address(name)
        if address is None:
            return name in self._names
        # A page that was reached by an address has that address as its origin: no rebinding is possible.
        return address.is_loopback or self._any_address or name in self._names


class Guard:
    """The outermost layer: the policy, bounds on the size and time of bodies, headers on every answer."""

    def __init__(self, app: ASGIApp, policy: AdminPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *RESPONSE_HEADERS]}
            await send(message)

        refusal = self._policy.refuse(scope["method"], scope["path"], scope["headers"])
        body = b""
        if refusal is None:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    body = await _read_body(receive)
            except _BodyTooLargeError:
                refusal = Refusal(413, f"the body is over {BODY_LIMIT} bytes")
            except TimeoutError:
                refusal = Refusal(408, f"the body did not arrive within {BODY_SECONDS:g} s")
            except _ClientGoneError:
                return
        if refusal is not None:
            await _send_refusal(refusal, send_guarded)
            return

        replayed = False

        async def receive_replayed() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive_replayed, send_guarded)


class _BodyTooLargeError(Exception):
    pass


class _ClientGoneError(Exception):
    pass


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGoneError
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT:
            raise _BodyTooLargeError
        if not message.get("more_body", False):
            return bytes(body)


async def _send_refusal(refusal: Refusal, send: Send) -> None:
    body = json.dumps({"error": refusal.error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="strangler admin"'))
    if refusal.status in (408, 413):
        # The rest of the body is not read.
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in headers if key == name]


def _without_port(host_header: str) -> str:
    """`[::1]:9901` and `[::1]` become `::1`, `localhost:9901` becomes `localhost`."""
    if host_header.startswith("["):
        return host_header[1:].partition("]")[0]
    return host_header.partition(":")[0]


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback
