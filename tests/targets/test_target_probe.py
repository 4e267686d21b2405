"""Health checks over real sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from certificates import Authority

from proxy.config.model import HealthCheckConfig
from proxy.targets.checker import run_probe
from proxy.targets.health import ProbeResult, judge
from proxy.targets.probe_http import MAX_DETAIL, probe_http
from proxy.targets.target import Target

CHECK = HealthCheckConfig(path="/health?deep=1", timeout_seconds=5, matcher=((200, 299),))


class Server:
    """Reads one request a connection, answers with `response` and notes what it saw."""

    def __init__(self, response: bytes | None, *, closes: bool = True) -> None:
        self.response = response
        self.closes = closes
        self.requests: list[bytes] = []
        self.client_closed = asyncio.Event()
        self.port = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            if self.response is not None:
                writer.write(self.response)
                if self.closes:
                    return
            await reader.read()
            self.client_closed.set()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.client_closed.set()
        finally:
            writer.close()


@asynccontextmanager
async def serving(server: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[Target]:
    listening = await asyncio.start_server(server, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield Target("https" if tls else "http", "127.0.0.1", server.port)
    finally:
        listening.close()
        await listening.wait_closed()


def check(server: Server, config: HealthCheckConfig = CHECK, tls: ssl.SSLContext | None = None) -> ProbeResult:
    async def main() -> ProbeResult:
        async with serving(server, tls) as target:
            return await run_probe(probe_http, target, config)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("response", "reason", "detail"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "", "", id="200"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", "", "", id="204 without a body"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nuntil the end", "", "", id="HTTP/1.0"),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "", "", id="an interim response first"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nshort", "", "", id="the body does not count"),
        pytest.param(
            b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
            "Target.ResponseCodeMismatch",
            "got 500, wanted 200-299",
            id="500",
        ),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
            "Target.ResponseCodeMismatch",
            "got 302, wanted 200-299",
            id="a redirect is not followed",
        ),
        pytest.param(
            b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
            "Target.FailedHealthChecks",
            "no valid response: illegal status line",
            id="garbage",
        ),
        pytest.param(b"\0" * 200_000, "Target.FailedHealthChecks", "no valid response: ", id="endless garbage"),
        pytest.param(b"", "Target.FailedHealthChecks", "no valid response: Server disconnected", id="closes at once"),
    ],
)
def test_what_a_check_makes_of_a_response(response: bytes, reason: str, detail: str) -> None:
    server = Server(response)
    found = judge(check(server), CHECK)

    assert found[0] == reason
    assert found[1].startswith(detail)
    assert len(found[1]) <= MAX_DETAIL
    assert len(server.requests) == 1


def test_the_request_is_the_load_balancers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of httpx's defaults goes out, and no proxy of the environment is used."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    server = Server(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n")
    check(server, HealthCheckConfig(path="/a/../b//c%2f?x=%41"))

    assert server.requests == [
        b"GET /a/../b//c%2f?x=%41 HTTP/1.1\r\n"
        + f"Host: 127.0.0.1:{server.port}\r\n".encode()
        + b"Connection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n"
    ]


def test_a_target_that_says_nothing_is_a_timeout_and_its_connection_is_closed() -> None:
    async def main() -> ProbeResult:
        server = Server(None)
        async with serving(server) as target:
            result = await run_probe(probe_http, target, HealthCheckConfig(timeout_seconds=1))
            await server.client_closed.wait()
            return result

    result = asyncio.run(main())

    assert (result.failure, result.detail) == ("Target.Timeout", "no response within 1 s")


def test_the_connection_is_closed_after_the_headers_of_a_response_that_never_ends() -> None:
    async def main() -> ProbeResult:
        server = Server(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n", closes=False)
        async with serving(server) as target:
            result = await run_probe(probe_http, target, CHECK)
            await server.client_closed.wait()
            return result

    assert asyncio.run(main()).status == 200


def test_a_port_where_nobody_listens_says_refused() -> None:
    async def main() -> ProbeResult:
        async with serving(Server(None)) as target:
            pass
        return await run_probe(probe_http, target, CHECK)

    result = asyncio.run(main())

    assert (result.failure, result.detail) == (
        "Target.FailedHealthChecks",
        "connection refused while connecting",
    )


def test_the_health_check_may_have_a_port_and_protocol_of_its_own() -> None:
    async def main() -> ProbeResult:
        server = Server(b"HTTP/1.1 200 OK\r\n\r\n")
        async with serving(server):
            own = HealthCheckConfig(port=server.port, protocol="HTTP")
            return await run_probe(probe_http, Target("https", "127.0.0.1", 1), own)

    assert asyncio.run(main()).status == 200


@pytest.fixture(scope="module")
def untrusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of an unknown authority, for a name that is not the target's, and its key."""
    return Authority(tmp_path_factory.mktemp("tls")).issue("target", "somebody.else")


def test_a_certificate_is_not_verified(untrusted: tuple[Path, Path]) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*untrusted)

    assert check(Server(b"HTTP/1.1 200 OK\r\n\r\n"), tls=tls).status == 200


def test_tls_to_a_plain_port_says_so() -> None:
    async def main() -> ProbeResult:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        listening = await asyncio.start_server(plain, "127.0.0.1", 0)
        async with listening:
            target = Target("https", "127.0.0.1", listening.sockets[0].getsockname()[1])
            return await run_probe(probe_http, target, CHECK)

    result = asyncio.run(main())

    assert result.failure == "Target.FailedHealthChecks"
    assert result.detail.startswith("TLS handshake failed: ")


@pytest.mark.parametrize(
    ("target", "host"),
    [
        pytest.param(Target("http", "127.0.0.1", 80), "127.0.0.1", id="default port of http"),
        pytest.param(Target("https", "127.0.0.1", 443), "127.0.0.1", id="default port of https"),
        pytest.param(Target("http", "127.0.0.1", 443), "127.0.0.1:443", id="the other scheme's default port"),
        pytest.param(Target("http", "::1", 8000), "[::1]:8000", id="IPv6 in brackets"),
    ],
)
def test_host_header(target: Target, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen before it is sent, because ports below 1024 cannot be listened on everywhere."""
    seen: list[httpx.Request] = []

    async def answer(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer)
    asyncio.run(probe_http(target, CHECK))

    assert seen[0].headers.multi_items()[0] == ("host", host)
