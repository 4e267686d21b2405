"""HTTP/2 as users have it: HTTPS listeners of `strangler serve`, ALPN, curl, httpx and gRPC over TLS."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import httpx
import pytest
from certificates import Authority
from http2_peers import Http2Client, Http2Target
from scripted_target import ScriptedTarget
from served import Served, serving
from test_grpc import Handlers

TABLE = """
version: 1
attributes: {routing.http2.enabled: HTTP2}
listeners:
  - port: PORT
    protocol: HTTPS
    certificates: [{certificate_file: shop.pem, private_key_file: shop.key}]
    default: {forward: plain}
    rules:
      - {priority: 1, conditions: [{path-pattern: /test.Echo/*}], forward: grpc}
      - {priority: 2, conditions: [{path-pattern: /h2/*}], forward: h2}
target_groups:
  plain: {targets: ["http://127.0.0.1:PLAIN"], health_check: {enabled: false}}
  grpc:
    targets: ["http://127.0.0.1:GRPC"]
    protocol_version: GRPC
    health_check: {interval_seconds: 10}
  h2:
    targets: ["https://127.0.0.1:SECURE"]
    protocol_version: HTTP2
    health_check: {path: /up, interval_seconds: 10}
"""


class SecureTarget(Http2Target):
    """Speaks TLS with ALPN."""

    def __init__(self, folder: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "shop.pem", folder / "shop.key")
        self.context.set_alpn_protocols(["h2"])
        super().__init__()

    def wrap(self, connection: socket.socket) -> socket.socket:
        return self.context.wrap_socket(connection, server_side=True)


class World:
    def __init__(self, served: Served, folder: Path) -> None:
        self.served = served
        self.folder = folder
        self.url = f"https://shop.example.com:{served.port}"
        self.authority = folder / "Test-CA.pem"

    def context(self, *alpn: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority))
        context.set_alpn_protocols(list(alpn))
        return context

    def connect(self, *alpn: str) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.served.port), timeout=10)
        return self.context(*alpn).wrap_socket(plain, server_hostname="shop.example.com")

    @property
    def log(self) -> list[list[str]]:
        return [line.split() for line in (self.folder / "access.log").read_text().splitlines()]


def run(folder: Path, http2: str) -> Iterator[World]:
    Authority(folder).issue("shop", "shop.example.com")
    plain, secure = ScriptedTarget(), SecureTarget(folder)
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Handlers()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    table = TABLE.replace("PLAIN", str(plain.port)).replace('GRPC"', f'{port}"').replace("SECURE", str(secure.port))
    try:
        with serving(
            folder,
            table.replace("HTTP2}", f"{http2}}}"),
            "--access-log",
            str(folder / "access.log"),
            "--access-log-format",
            "alb",
        ) as served:
            yield World(served, folder)
    finally:
        server.stop(0).wait()
        plain.close()
        secure.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from run(tmp_path_factory.mktemp("http2"), "true")


def test_alpn_chooses_the_protocol(world):
    for offered, chosen in ((("h2", "http/1.1"), "h2"), (("http/1.1",), "http/1.1"), (("h3",), None)):
        with world.connect(*offered) as client:
            assert client.selected_alpn_protocol() == chosen


def test_a_plain_client(world):
    with Http2Client(0, connection=world.connect("h2")) as client:
        assert client.ask(path="/a").body == b"ok"
        assert {client.response(stream).status for stream in [client.begin() for _ in range(50)]} == {200}
    world.served.eventually(lambda: any(line[0] == "h2" for line in world.log), "no line of type h2")


def test_httpx(world):
    with (
        httpx.HTTPTransport(http2=True, http1=False, verify=world.context("h2"), trust_env=False) as transport,
        httpx.Client(transport=transport) as client,
    ):
        response = client.get(
            f"https://127.0.0.1:{world.served.port}/",
            extensions={"sni_hostname": "shop.example.com"},
        )
    assert (response.status_code, response.http_version, response.text) == (200, "HTTP/2", "ok")


@pytest.mark.system
@pytest.mark.parametrize(("path", "body"), [("/a", "ok"), ("/h2/a", "ok")])
def test_curl(world, path, body):
    command = ["curl", "-sS", "--http2", "--cacert", str(world.authority), "-w", "\n%{json}"]
    command += ["--resolve", f"shop.example.com:{world.served.port}:127.0.0.1", world.url + path]
    if path.startswith("/h2"):
        world.served.eventually(lambda: healthy(world, "h2"), "the target is not healthy")
    output = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    text, _, facts = output.rpartition("\n")
    assert (text, json.loads(facts)["http_version"], json.loads(facts)["response_code"]) == (body, "2", 200)


def healthy(world, group):
    return world.served.metric("strangler_target_healthy", target_group=group) == 1


def test_grpc_with_its_health_check(world):
    """The server does not know /AWS.ALB/healthcheck, so its code is 12, UNIMPLEMENTED: healthy (alb.md 5.7)."""
    world.served.eventually(lambda: healthy(world, "grpc"), "the target is not healthy")
    credentials = grpc.ssl_channel_credentials(world.authority.read_bytes())
    options = [("grpc.ssl_target_name_override", "shop.example.com")]
    with grpc.secure_channel(f"127.0.0.1:{world.served.port}", credentials, options) as channel:
        assert channel.unary_unary("/test.Echo/Unary")(b"abc", timeout=10) == b"cba"
        assert b"".join(channel.unary_stream("/test.Echo/Spread")(b"abc", timeout=10)) == b"abc"
    world.served.eventually(lambda: any(line[0] == "grpcs" for line in world.log), "no line of type grpcs")


def test_switched_off(tmp_path):
    """`routing.http2.enabled: false` (alb.md 11)."""
    for world in run(tmp_path, "false"):
        with world.connect("h2", "http/1.1") as client:
            assert client.selected_alpn_protocol() == "http/1.1"


def test_sigterm_lets_streams_finish(tmp_path):
    for world in run(tmp_path, "true"):
        with Http2Client(0, connection=world.connect("h2")) as client:
            stream = client.begin("POST", end=False)
            client.send_body(stream, b"half", end=False)
            assert client.ask().status == 200
            world.served.process.send_signal(signal.SIGTERM)
            client.until(lambda: bool(client.goaways))
            client.send_body(stream, b"half")
            assert client.response(stream).status == 200
        assert world.served.process.wait(15) == 0


@pytest.mark.system
def test_h2load(world):
    command = ["h2load", "-n", "2000", "-c", "4", "-m", "50", f"https://127.0.0.1:{world.served.port}/"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "2000 succeeded, 0 failed" in output
