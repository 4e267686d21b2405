"""HTTPS listeners, seen by real TLS clients."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import ssl
import subprocess
import threading
import urllib.parse
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from athena import access_log_row, begin_rows, connection_log_row, row_of_client
from certificates import Authority
from cryptography import x509
from scripted_target import OK, ScriptedTarget
from served import Served, free_port, serving
from wire import Wire

TABLE = """
version: 1
attributes:
  routing.http.x_amzn_tls_version_and_cipher_suite.enabled: true
listeners:
  - name: web
    port: PORT
    protocol: HTTPS
    ssl_policy: ELBSecurityPolicy-TLS13-1-2-Res-2021-06
    certificates:
      - {certificate_file: default.pem, private_key_file: default.key}
      - {certificate_file: shop.pem, private_key_file: shop.key}
      - {certificate_file: shop-rsa.pem, private_key_file: shop-rsa.key}
      - {certificate_file: wild.pem, private_key_file: wild.key}
    default: {forward: targets}
  - {name: plain, port: PLAIN, default: {redirect: {protocol: HTTPS, port: PORT, status_code: HTTP_301}}}
  - name: old
    port: OLD
    protocol: HTTPS
    certificates: [{certificate_file: shop-rsa.pem, private_key_file: shop-rsa.key}]
    default: {forward: targets}
  - name: only13
    port: ONLY13
    protocol: HTTPS
    ssl_policy: ELBSecurityPolicy-TLS13-1-3-2021-06
    certificates: [{certificate_file: shop.pem, private_key_file: shop.key}]
    default: {forward: targets}
  - name: mutual
    port: MUTUAL
    protocol: HTTPS
    ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06
    certificates: [{certificate_file: default.pem, private_key_file: default.key}]
    mutual_authentication: {mode: verify, trust_store_file: Test-CA.pem}
    default: {forward: targets}
target_groups:
  targets: {targets: ["http://127.0.0.1:TARGET"], health_check: {enabled: false}}
"""
PORTS = ("PLAIN", "OLD", "ONLY13", "MUTUAL")


class Secure:
    """A served table with HTTPS listeners, its target, and the authority that its clients trust."""

    def __init__(self, folder: Path, target: ScriptedTarget) -> None:
        self.folder = folder
        self.target = target
        self.authority = Authority(folder)
        self.ports = {name: free_port() for name in PORTS}
        self.served: Served
        self.last_port = 0
        issue = self.authority.issue
        issue("default", "default.example.com")
        issue("shop", "shop.example.com")
        issue("shop-rsa", "shop.example.com", kind="RSA")
        issue("wild", "*.example.com", "wild.example.org", kind="RSA")
        issue("client", "client.example.com", common_name='c"li, ent')
        issue("expired", "old.example.com", begins=datetime.now(UTC) - timedelta(days=31))
        stranger = Authority(folder, "Another CA")
        stranger.issue("stranger", "stranger.example.com")

    def table(self) -> str:
        text = TABLE.replace("TARGET", str(self.target.port))
        for name, port in self.ports.items():
            text = text.replace(name, str(port))
        return text

    def context(self, *, client: str = "", version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        context.check_hostname = False
        if client:
            context.load_cert_chain(self.folder / f"{client}.pem", self.folder / f"{client}.key")
        if version is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
                context.set_ciphers("ALL:@SECLEVEL=0")
        return context

    def connect(
        self, name: str | None = "shop.example.com", *, port: int = 0, context: ssl.SSLContext | None = None
    ) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", port or self.served.port), timeout=10)
        self.last_port = plain.getsockname()[1]
        try:
            return (context or self.context()).wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise

    def ask(self, name: str | None = "shop.example.com", **options: object) -> bytes:
        """GET over a connection of its own; the whole response."""
        with self.connect(name, **options) as client:  # type: ignore[arg-type]
            client.sendall(b"GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n")
            response = b""
            with contextlib.suppress(ssl.SSLEOFError):
                while data := client.recv(65536):
                    response += data
            return response

    def presented(self, name: str | None, **options: object) -> list[str]:
        """The names in the certificate that a client of this name gets."""
        with self.connect(name, **options) as client:  # type: ignore[arg-type]
            certificate = x509.load_der_x509_certificate(client.getpeercert(binary_form=True) or b"")
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return extension.value.get_values_for_type(x509.DNSName)

    def access_row(self) -> dict[str, str]:
        """What the access log has of the last request over the last connection."""
        return row_of_client(self.folder / "access.log", self.last_port, access_log_row)

    def connection_row(self) -> dict[str, str]:
        """What the connection log has of the last connection."""
        return row_of_client(self.folder / "connections.log", self.last_port, connection_log_row)

    def last_headers(self) -> dict[str, str]:
        request = self.target.requests[-1]
        return {name.decode().lower(): value.decode() for name, value in request.headers}


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("tls")
    target = ScriptedTarget()
    secure = Secure(folder, target)
    logs = "--access-log", str(folder / "access.log"), "--connection-log", str(folder / "connections.log")
    with serving(folder, secure.table(), *logs, "--access-log-format", "alb") as served:
        secure.served = served
        yield secure
    target.close()


@pytest.fixture(autouse=True)
def rows_of_this_test(request: pytest.FixtureRequest) -> None:
    if "secure" in request.fixturenames:
        folder = request.getfixturevalue("secure").folder
        begin_rows(folder / "access.log", folder / "connections.log")


# Certificates


@pytest.mark.parametrize(
    ("name", "names"),
    [
        pytest.param("shop.example.com", ["shop.example.com"], id="an exact name"),
        pytest.param("SHOP.example.COM", ["shop.example.com"], id="case does not count"),
        pytest.param("other.example.com", ["*.example.com", "wild.example.org"], id="a wildcard"),
        pytest.param("wild.example.org", ["*.example.com", "wild.example.org"], id="a second name"),
        pytest.param("a.b.example.com", ["default.example.com"], id="a wildcard is one label: the default"),
        pytest.param("nobody.test", ["default.example.com"], id="no match: the default"),
        pytest.param(None, ["default.example.com"], id="no SNI: the default"),
    ],
)
def test_the_certificate_follows_the_name(secure: Secure, name: str | None, names: list[str]) -> None:
    assert secure.presented(name) == names


def test_a_client_without_ecdsa_gets_the_rsa_certificate(secure: Secure) -> None:
    context = secure.context(version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("aRSA")

    with secure.connect(context=context) as client:
        cipher = client.cipher()

    assert cipher is not None
    assert cipher[0].startswith("ECDHE-RSA-")


def test_a_server_name_that_is_no_text_breaks_nothing(secure: Secure) -> None:
    """Answered with a failed handshake at worst, and by the next client nothing is noticed."""
    bio_in, bio_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = secure.context().wrap_bio(bio_in, bio_out, server_hostname="aaaa.example.com")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    raw = bio_out.read().replace(b"aaaa.example.com", b"\xff\xfe\xff\xff.example.com")

    with socket.create_connection(("127.0.0.1", secure.served.port), timeout=10) as client:
        client.sendall(raw)
        client.recv(65536)

    assert secure.ask().startswith(b"HTTP/1.1 200")
    assert "Traceback" not in secure.served.log.read_text()


# Policies


@pytest.mark.parametrize(
    ("listener", "version", "accepted"),
    [
        pytest.param("", ssl.TLSVersion.TLSv1_3, True, id="TLS13-1-2-Res takes 1.3"),
        pytest.param("", ssl.TLSVersion.TLSv1_2, True, id="TLS13-1-2-Res takes 1.2"),
        pytest.param("", ssl.TLSVersion.TLSv1_1, False, id="TLS13-1-2-Res refuses 1.1"),
        pytest.param("ONLY13", ssl.TLSVersion.TLSv1_3, True, id="TLS13-1-3 takes 1.3"),
        pytest.param("ONLY13", ssl.TLSVersion.TLSv1_2, False, id="TLS13-1-3 refuses 1.2"),
        pytest.param("OLD", ssl.TLSVersion.TLSv1_3, False, id="2016-08, the default, refuses 1.3"),
        pytest.param("OLD", ssl.TLSVersion.TLSv1_1, True, id="2016-08 takes 1.1"),
        pytest.param("OLD", ssl.TLSVersion.TLSv1, True, id="2016-08 takes 1.0"),
    ],
)
def test_a_policy_holds_the_version(secure: Secure, listener: str, version: ssl.TLSVersion, accepted: bool) -> None:
    port = secure.ports.get(listener, 0)
    name = {"": "web", "ONLY13": "only13", "OLD": "old"}[listener]
    before = secure.served.metric("strangler_client_tls_negotiation_errors_total", listener=name)

    if accepted:
        assert secure.ask(port=port, context=secure.context(version=version)).startswith(b"HTTP/1.1 200")
    else:
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            secure.ask(port=port, context=secure.context(version=version))

    errors = secure.served.metric("strangler_client_tls_negotiation_errors_total", listener=name)
    assert errors == before + (not accepted)


def test_a_policy_holds_the_ciphers(secure: Secure) -> None:
    """The restricted policy has no CBC cipher."""
    context = secure.context(version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256")

    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        secure.ask(context=context)


def test_plain_http_on_an_https_port_is_closed_and_counted(secure: Secure) -> None:
    before = secure.served.metric("strangler_client_tls_negotiation_errors_total", listener="web")

    with socket.create_connection(("127.0.0.1", secure.served.port), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while client.recv(4096):
            pass

    assert secure.served.metric("strangler_client_tls_negotiation_errors_total", listener="web") == before + 1


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), (["h3"], None)]
)
def test_alpn_prefers_http_2(secure: Secure, offered: list[str], chosen: str | None) -> None:
    context = secure.context()
    context.set_alpn_protocols(offered)

    with secure.connect(context=context) as client:
        assert client.selected_alpn_protocol() == chosen


# Headers and logs


def test_what_a_target_learns(secure: Secure) -> None:
    with secure.connect() as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: shop.example.com\r\nX-Amzn-Tls-Version: SSLv2\r\n"
            b"X-Forwarded-Proto: gopher\r\nConnection: close\r\n\r\n"
        )
        client.recv(65536)
        cipher = client.cipher()

    headers = secure.last_headers()
    assert cipher is not None
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-port"] == str(secure.served.port)
    assert (headers["x-amzn-tls-version"], headers["x-amzn-tls-cipher-suite"]) == ("TLSv1.3", cipher[0])
    assert [name for name, _ in secure.target.requests[-1].headers if name.lower() == b"x-amzn-tls-version"] == [
        b"X-Amzn-Tls-Version"
    ]


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        pytest.param("other.example.com", "other.example.com", id="a name with a certificate"),
        pytest.param("nobody.test", "-", id="a name without one"),
        pytest.param(None, "-", id="no name"),
    ],
)
def test_the_access_log_names_cipher_version_domain_and_certificate(
    secure: Secure, name: str | None, domain: str
) -> None:
    secure.ask(name)

    row = secure.access_row()
    assert (row["type"], row["ssl_protocol"], row["domain_name"]) == ("https", "TLSv1.3", domain)
    assert row["ssl_cipher"].startswith("TLS_")
    assert row["request_url"].startswith(f"https://shop.example.com:{secure.served.port}/")
    file = "wild" if domain != "-" else "default"
    digest = hashlib.sha256(
        b"".join((secure.folder / f"{file}.{kind}").read_bytes() for kind in ("pem", "key"))
    ).hexdigest()
    assert row["chosen_cert_arn"].startswith("arn:aws:acm:")
    assert row["chosen_cert_arn"].rpartition("/")[2].replace("-", "") == digest[:32]


def test_a_resumed_session_is_told_from_a_new_one(secure: Secure) -> None:
    context = secure.context(version=ssl.TLSVersion.TLSv1_2)
    with secure.connect(context=context) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv(65536)
        session = client.session
    plain = socket.create_connection(("127.0.0.1", secure.served.port), timeout=10)
    secure.last_port = plain.getsockname()[1]
    with context.wrap_socket(plain, server_hostname="shop.example.com", session=session) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv(65536)
        assert client.session_reused
        assert client.selected_alpn_protocol() is None

    assert secure.access_row()["chosen_cert_arn"] == "session-reused"


def test_http_is_redirected_to_https(secure: Secure) -> None:
    with httpx.Client(verify=secure.context(), trust_env=False) as client:
        first = client.get(f"http://127.0.0.1:{secure.ports['PLAIN']}/a?b=1")
        assert first.status_code == 301
        assert first.headers["location"] == f"https://127.0.0.1:{secure.served.port}/a?b=1"
        assert client.get(first.headers["location"]).status_code == 200


# Mutual authentication


def test_a_trusted_client_is_made_known_to_the_target(secure: Secure) -> None:
    context = secure.context(client="client")
    with secure.connect("default.example.com", port=secure.ports["MUTUAL"], context=context) as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Amzn-Mtls-Clientcert-Subject: CN=root\r\n"
            b"x-amzn-mtls-clientcert: forged\r\nConnection: close\r\n\r\n"
        )
        client.recv(65536)

    pem = (secure.folder / "client.pem").read_text()
    certificate = x509.load_pem_x509_certificate(pem.encode())
    headers = secure.last_headers()
    names = [name.lower() for name, _ in secure.target.requests[-1].headers]
    assert "x-amzn-mtls-clientcert" not in headers
    assert names.count(b"x-amzn-mtls-clientcert-subject") == 1
    assert headers["x-amzn-mtls-clientcert-subject"] == 'CN=c\\"li\\, ent'
    assert headers["x-amzn-mtls-clientcert-issuer"] == "CN=Test CA,O=Tests\\, Inc,C=US"
    assert int(headers["x-amzn-mtls-clientcert-serial-number"], 16) == certificate.serial_number
    assert headers["x-amzn-mtls-clientcert-validity"] == (
        f"NotBefore={certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ};"
        f"NotAfter={certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    )
    leaf = headers["x-amzn-mtls-clientcert-leaf"]
    assert urllib.parse.unquote(leaf) == pem
    assert leaf.startswith("-----BEGIN%20CERTIFICATE-----%0AMII")
    row = secure.connection_row()
    assert row["leaf_client_cert_serial_number"] == headers["x-amzn-mtls-clientcert-serial-number"]
    assert row["leaf_client_cert_validity"] == headers["x-amzn-mtls-clientcert-validity"]
    assert row["tls_verify_status"] == "Success"
    assert (row["tls_protocol"], row["listener_port"]) == ("TLSv1.3", str(secure.ports["MUTUAL"]))
    assert float(row["tls_handshake_latency"]) >= 0


@pytest.mark.parametrize(
    ("client", "version", "alert"),
    [
        pytest.param("", ssl.TLSVersion.TLSv1_3, "CERTIFICATE_REQUIRED", id="no certificate, TLS 1.3"),
        pytest.param("", ssl.TLSVersion.TLSv1_2, "HANDSHAKE_FAILURE", id="no certificate, TLS 1.2"),
        pytest.param("stranger", ssl.TLSVersion.TLSv1_3, "UNKNOWN_CA", id="of another authority, TLS 1.3"),
        pytest.param("stranger", ssl.TLSVersion.TLSv1_2, "UNKNOWN_CA", id="of another authority, TLS 1.2"),
        pytest.param("expired", ssl.TLSVersion.TLSv1_3, "CERTIFICATE_EXPIRED", id="expired"),
    ],
)
def test_other_clients_are_refused(secure: Secure, client: str, version: ssl.TLSVersion, alert: str) -> None:
    """And are told why."""
    before = len(secure.target.requests)
    context = secure.context(client=client, version=version)

    with pytest.raises(ssl.SSLError, match=alert):
        secure.ask("default.example.com", port=secure.ports["MUTUAL"], context=context)

    assert len(secure.target.requests) == before


# The wire


def test_a_connection_is_kept(secure: Secure) -> None:
    with httpx.Client(verify=secure.context(), trust_env=False) as client:
        opened = secure.served.metric("strangler_client_connections_opened_total")
        for _ in range(20):
            assert client.get(f"https://127.0.0.1:{secure.served.port}/").content == b"ok"
        assert secure.served.metric("strangler_client_connections_opened_total") == opened + 1


@contextlib.contextmanager
def scripted(secure: Secure, script: object) -> Iterator[None]:
    before = secure.target.script
    secure.target.script = script  # type: ignore[assignment]
    # Connections that are kept still run the script before this one.
    secure.served.eventually(lambda: drop_idle(secure), "connections to the target stay open")
    try:
        yield
    finally:
        secure.target.script = before
        drop_idle(secure)


def drop_idle(secure: Secure) -> bool:
    for wire in secure.target._wires:
        with contextlib.suppress(OSError):
            wire.socket.shutdown(socket.SHUT_RDWR)
    return secure.served.metric("strangler_target_connections", target_group="targets") == 0


BIG = os.urandom(1 << 20) * 12


def test_big_bodies_go_both_ways(secure: Secure) -> None:
    """More than all buffers on the way hold, so that each side has to wait for the other."""
    received = hashlib.sha256()

    def echo(wire: Wire) -> None:
        request = secure.target.take(wire)
        received.update(request.body)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request.body))
        wire.send(request.body)

    with scripted(secure, echo), httpx.Client(verify=secure.context(), trust_env=False, timeout=30) as client:
        response = client.post(f"https://127.0.0.1:{secure.served.port}/", content=BIG)

    assert received.digest() == hashlib.sha256(BIG).digest()
    assert hashlib.sha256(response.content).digest() == received.digest()


def test_a_client_that_reads_slowly_stops_the_target(secure: Secure) -> None:
    """Without back-pressure the gateway would take the whole response into memory."""
    size = 64 << 20
    sent = 0
    stalled = threading.Event()

    def pour(wire: Wire) -> None:
        nonlocal sent
        secure.target.take(wire)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        wire.socket.settimeout(1)
        chunk = bytes(1 << 20)
        try:
            while sent < size:
                wire.socket.sendall(chunk)
                sent += len(chunk)
        except TimeoutError:
            stalled.set()

    with scripted(secure, pour), secure.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert stalled.wait(20), f"the target could send all of its {sent} bytes"
    assert sent < size


def test_an_early_answer_reaches_a_client_that_still_sends(secure: Secure) -> None:
    """TLS has no half-closed connections in asyncio: the gateway reads on for a while instead."""
    with secure.connect() as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n")
        for _ in range(64):
            client.sendall(bytes(16384))
        answer = client.recv(65536)

    assert answer.startswith(b"HTTP/1.1 501")
    assert b"Connection: close" in answer


def test_a_websocket(secure: Secure) -> None:
    def talk(wire: Wire) -> None:
        secure.target.take(wire)
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
        while data := wire.socket.recv(65536):
            wire.send(data.upper())

    with scripted(secure, talk), secure.connect() as client:
        client.sendall(
            b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        received = b""
        while not received.endswith(b"hello"):
            received += client.recv(65536)
        client.sendall(b"ping")
        assert client.recv(65536) == b"PING"
        client.unwrap()

    assert received.startswith(b"HTTP/1.1 101")
    assert secure.access_row()["type"] == "wss"
    assert "eof_received" not in secure.served.log.read_text()


def test_a_target_that_ends_a_websocket_ends_the_clients(secure: Secure) -> None:
    def leave(wire: Wire) -> None:
        secure.target.take(wire)
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbye")

    with scripted(secure, leave), secure.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        received = b""
        while data := client.recv(65536):
            received += data

    assert received.endswith(b"bye")


@pytest.mark.system
def test_curl_and_openssl(secure: Secure) -> None:
    """Other TLS stacks' command-line clients."""
    url = f"https://shop.example.com:{secure.served.port}/"
    command = ["curl", "-sS", "--cacert", str(secure.authority.file), "--noproxy", "*"]
    command += ["--resolve", f"shop.example.com:{secure.served.port}:127.0.0.1", url]
    assert subprocess.run(command, capture_output=True, check=True, timeout=20).stdout == b"ok"

    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{secure.served.port}", "-servername", "x.example.com"]
    command += ["-CAfile", str(secure.authority.file), "-verify_return_error"]
    output = subprocess.run(command, input=b"", capture_output=True, check=True, timeout=20).stdout
    assert b"Verify return code: 0 (ok)" in output


# Reloads and workers

RELOADED = """
version: 1
listeners:
  - name: web
    port: PORT
    protocol: HTTPS
    ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06
    certificates: [{certificate_file: web.pem, private_key_file: web.key}]
    default: {forward: targets}
target_groups:
  targets: {targets: ["http://127.0.0.1:TARGET"], health_check: {enabled: false}}
"""


@pytest.fixture(params=[pytest.param("1", id="one process"), pytest.param("2", id="two workers")])
def renewed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Secure]:
    target = ScriptedTarget()
    secure = Secure(tmp_path, target)
    secure.authority.issue("web", "one.example.com")
    table = RELOADED.replace("TARGET", str(target.port))
    with serving(tmp_path, table, "--workers", request.param) as served:
        secure.served = served
        yield secure
    target.close()


def test_a_renewed_certificate_is_taken_up(renewed: Secure) -> None:
    """Under the same name, without a word to the gateway; connections that are open live on."""
    assert renewed.presented("one.example.com") == ["one.example.com"]
    with renewed.connect("one.example.com") as old:
        old.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert old.recv(65536).endswith(b"ok")

        renewed.authority.issue("web", "two.example.com")
        renewed.served.eventually(
            lambda: [renewed.presented("one.example.com") for _ in range(6)] == [["two.example.com"]] * 6,
            "the certificate is not taken up",
        )

        old.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert old.recv(65536).endswith(b"ok")
    assert renewed.served.metric("strangler_config_last_reload_successful") == 1


def test_a_bad_certificate_changes_nothing_until_it_is_mended(renewed: Secure) -> None:
    served = renewed.served
    good = (renewed.folder / "web.key").read_bytes()
    (renewed.folder / "web.key").write_bytes((renewed.folder / "client.key").read_bytes())

    served.eventually(lambda: served.metric("strangler_config_last_reload_successful") == 0, "not noticed")

    assert "key-mismatch" in served.admin.post("/api/reload").text
    assert renewed.presented("one.example.com") == ["one.example.com"]
    (renewed.folder / "web.key").write_bytes(good)
    served.eventually(lambda: served.metric("strangler_config_last_reload_successful") == 1, "not mended")


def test_a_listener_becomes_https_and_back(renewed: Secure) -> None:
    served = renewed.served
    secure_table = served.table.read_text()
    lines = secure_table.splitlines(keepends=True)
    plain = "".join(line for line in lines if not line.lstrip().startswith(("protocol:", "ssl_policy:", "certif")))

    served.table.write_text(plain)
    assert served.admin.post("/api/reload").json()["ok"]
    for _ in range(6):
        assert httpx.get(f"http://127.0.0.1:{served.port}/", trust_env=False).content == b"ok"

    served.table.write_text(secure_table)
    assert served.admin.post("/api/reload").json()["ok"]
    for _ in range(6):
        assert renewed.ask("one.example.com").endswith(OK[-2:])


def test_a_stricter_policy_holds_for_new_connections(renewed: Secure) -> None:
    served = renewed.served
    served.table.write_text(served.table.read_text().replace("TLS13-1-2-2021-06", "TLS13-1-3-2021-06"))
    assert served.admin.post("/api/reload").json()["ok"]

    for _ in range(6):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            renewed.ask("one.example.com", context=renewed.context(version=ssl.TLSVersion.TLSv1_2))
        assert renewed.ask("one.example.com").endswith(b"ok")
    assert served.metric("strangler_client_tls_negotiation_errors_total", listener="web") == 6
