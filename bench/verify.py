"""Before a number is taken: does this proxy do the work that is compared?"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.processes import BenchError
from bench.table import Request, Table

Answer = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Door:
    """Where a proxy listens on 127.0.0.1, and how."""

    port: int
    tls: bool = False

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    def connection(self) -> http.client.HTTPConnection:
        if not self.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=_trusting())

    def tls_session(self) -> str:
        """Return protocol and cipher of a connection: what they are with wrk, whose TLS library it is, too."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection,
            _trusting().wrap_socket(connection) as wrapped,
        ):
            return f"{wrapped.version()} {(wrapped.cipher() or ('no cipher',))[0]}"


def answers(door: Door, requests: Iterable[Request]) -> Iterable[tuple[Request, Answer]]:
    """Send the requests over one kept connection, or as many as the proxy makes necessary."""
    connection = door.connection()
    try:
        for request in requests:
            yield request, _exchange(connection, request)
    except (OSError, http.client.HTTPException) as error:
        raise BenchError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def wait_until_answering(door: Door, check_alive: Callable[[], None], seconds: float = 15.0) -> None:
    """Return at the first 200, since a health check may have to pass before requests do.

    `check_alive` raises BenchError once the proxy has ended.
    """
    deadline = time.monotonic() + seconds
    request = Request(path="/of/no/rule")
    while True:
        try:
            [(_, (status, body))] = answers(door, [request])
            if status == 200:
                return
            problem = f"{status} {body[:200]!r}"
        except BenchError as error:
            problem = str(error)
        check_alive()
        if time.monotonic() > deadline:
            raise BenchError(f"no 200 within {seconds:.0f} s of its start, last: {problem}")
        time.sleep(0.05)


def check_decisions(door: Door, table: Table, requests: Iterable[Request], bodies: dict[str, bytes]) -> None:
    """Raise BenchError unless every request is answered 200 by the target group that the table says.

    Args:
        bodies: What the target of each group answers.
    """
    for request, (status, body) in answers(door, requests):
        expected = bodies[table.evaluate(request)]
        if (status, body) != (200, expected):
            asked = f"{request.method} {request.target} at {request.host}"
            raise BenchError(f"{asked}: {status} {body[:40]!r} ({len(body)} bytes), not 200 {expected[:40]!r}")


def check_echo(door: Door, request: Request) -> None:
    for _, (status, body) in answers(door, [request]):
        if (status, body) != (200, b"x" * request.body_bytes):
            raise BenchError(f"{status} with {len(body)} bytes, not 200 with the {request.body_bytes} sent")


def check_download(door: Door, request: Request, size: int) -> None:
    for _, (status, body) in answers(door, [request]):
        if (status, len(body)) != (200, size):
            raise BenchError(f"{status} with {len(body)} bytes, not 200 with {size}")


def check_forwarding(door: Door) -> None:
    """Raise BenchError unless the target sees what a proxy adds, and kept connections.

    The target answers `/seen` with X-Forwarded-For, -Proto and -Port, the request or trace id and the
    number of requests so far on its connection, divided by `|`.
    """
    seen = [body.decode().split("|") for _, (_, body) in answers(door, [Request(path="/seen")] * 4)]
    for forwarded_for, protocol, forwarded_port, identity, _ in seen:
        # Envoy gives the machine's own address for a client on loopback, the others 127.0.0.1.
        if (
            not _is_address(forwarded_for)
            or (protocol, forwarded_port) != (door.scheme, str(door.port))
            or not identity
        ):
            raise BenchError(f"the target saw {seen[0]}")
    if len({fields[3] for fields in seen}) < len(seen):
        raise BenchError("two requests came with one request id")
    if max(int(fields[4]) for fields in seen) < 2:
        raise BenchError("each request came to the target on a new connection")


def check_tls(door: Door, expected: str) -> None:
    """Raise BenchError unless a connection has the protocol and the cipher expected."""
    if (found := door.tls_session()) != expected:
        raise BenchError(f"a connection has {found}, not {expected}")


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _exchange(connection: http.client.HTTPConnection, request: Request) -> Answer:
    connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
    for line in request.head.split("\r\n")[1:-2]:
        name, _, value = line.partition(": ")
        connection.putheader(name, value)
    connection.endheaders(b"x" * request.body_bytes if request.body_bytes else None)
    response = connection.getresponse()
    return response.status, response.read()
