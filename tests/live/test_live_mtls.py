"""Client certificates on HTTPS listeners: what passes unverified, what targets learn, what the connection log says."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import ssl
import subprocess
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
from cryptography.hazmat.primitives.serialization import Encoding
from scripted_target import ScriptedTarget
from served import Served, free_port, serving
from wire import Wire

TABLE = """
version: 1
attributes: {routing.http.x_amzn_tls_version_and_cipher_suite.enabled: true}
listeners:
  - name: pass
    port: PORT
    protocol: HTTPS
    ssl_policy: ELBSecurityPolicy-TLS13-1-2-Res-2021-06
    certificates:
      - {certificate_file: default.pem, private_key_file: default.key}
      - {certificate_file: shop.pem, private_key_file: shop.key}
      - {certificate_file: shop-rsa.pem, private_key_file: shop-rsa.key}
    mutual_authentication: {mode: passthrough}
    default: {forward: targets}
  - name: renamed
    port: RENAMED
    protocol: HTTPS
    ssl_policy: ELBSecurityPolicy-TLS13-1-2-Res-2021-06
    certificates: [{certificate_file: default.pem, private_key_file: default.key}]
    mutual_authentication: {mode: passthrough}
    attributes:
      routing.http.request.x_amzn_mtls_clientcert.header_name: X-Client-Chain
      routing.http.request.x_amzn_tls_version.header_name: X-Tls
    default: {forward: targets}
  - name: verify
    port: VERIFY
    protocol: HTTPS
    ssl_policy: ELBSecurityPolicy-TLS13-1-2-Res-2021-06
    certificates: [{certificate_file: default.pem, private_key_file: default.key}]
    mutual_authentication: {mode: verify, trust_store_file: Test-CA.pem}
    attributes: {routing.http.request.x_amzn_mtls_clientcert_subject.header_name: X-Client-Name}
    default: {forward: targets}
target_groups:
  targets: {targets: ["http://127.0.0.1:TARGET"], health_check: {enabled: false}}
"""
NO_UVLOOP = "raise ImportError('hidden by a test')\n"


class Mutual:
    """A served table, its target, and clients with certificates of every kind."""

    def __init__(self, folder: Path, target: ScriptedTarget) -> None:
        self.folder = folder
        self.target = target
        self.ports = {"RENAMED": free_port(), "VERIFY": free_port()}
        self.served: Served
        self.authority = Authority(folder)
        issue = self.authority.issue
        issue("default", "default.example.com")
        issue("shop", "shop.example.com")
        issue("shop-rsa", "shop.example.com", kind="RSA")
        issue("client", "client.example.com")
        issue("expired", "old.example.com", begins=datetime.now(UTC) - timedelta(days=31))
        issue("early", "new.example.com", begins=datetime.now(UTC) + timedelta(days=1))
        Authority(folder, "Another CA").issue("stranger", "stranger.example.com", kind="RSA")
        root = Authority(folder, "Far Root")
        middle = Authority(folder, "Far Middle", under=root)
        pem, _ = middle.issue("chain", "far.example.com")
        pem.write_bytes(pem.read_bytes() + middle.file.read_bytes() + root.file.read_bytes())
        own = Authority(folder, "Own")
        der = own.certificate.public_bytes(Encoding.DER)
        year = der.index(b"\x17\x0d") + 2
        (folder / "own.pem").write_text(ssl.DER_cert_to_PEM_cert(der))
        (folder / "odd.pem").write_text(ssl.DER_cert_to_PEM_cert(der[: year + 2] + b"13" + der[year + 4 :]))
        for name in ("own", "odd"):
            (folder / f"{name}.key").write_bytes(own.private_key())

    def table(self) -> str:
        text = TABLE.replace("TARGET", str(self.target.port))
        for name, port in self.ports.items():
            text = text.replace(f"port: {name}", f"port: {port}")
        return text

    def context(self, client: str = "", *, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """Trusts everybody: with an authority at hand OpenSSL would send its certificate, too."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if client:
            context.load_cert_chain(self.folder / f"{client}.pem", self.folder / f"{client}.key")
        if version is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
                context.set_ciphers("ALL:@SECLEVEL=0")
        return context

    def connect(
        self, context: ssl.SSLContext, name: str | None = "shop.example.com", *, port: int = 0
    ) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", port or self.served.port), timeout=10)
        try:
            return context.wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise

    def speak(self, context: ssl.SSLContext) -> int:
        """GET over a connection of its own; the port it came from."""
        with self.connect(context) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
            return int(client.getsockname()[1])

    def ask(
        self,
        client: str = "",
        *,
        port: int = 0,
        http2: bool = False,
        version: ssl.TLSVersion | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, str]:
        """GET as this client; what the target was told, by names in lower case."""
        context = self.context(client, version=version)
        with httpx.Client(verify=context, http2=http2, trust_env=False, timeout=20) as asking:
            response = asking.get(f"https://127.0.0.1:{port or self.served.port}/", headers=headers)
        assert (response.status_code, response.content) == (200, b"ok")
        assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        return {name.decode().lower(): value.decode() for name, value in self.target.requests[-1].headers}

    def row_of(self, port: int, log: str = "connections.log") -> dict[str, str]:
        """The row of the client with this port."""
        read = connection_log_row if log == "connections.log" else access_log_row
        return row_of_client(self.folder / log, port, read)


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def mutual(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mutual]:
    folder = tmp_path_factory.mktemp("mtls")
    target = ScriptedTarget()
    mutual = Mutual(folder, target)
    logs = ["--access-log", str(folder / "access.log"), "--connection-log", str(folder / "connections.log")]
    environment = {}
    if request.param == "asyncio":
        hidden = folder / "hidden"
        hidden.mkdir()
        (hidden / "uvloop.py").write_text(NO_UVLOOP)
        environment["PYTHONPATH"] = f"{hidden}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    with serving(folder, mutual.table(), *logs, "--access-log-format", "alb", environment=environment) as mutual.served:
        yield mutual
    target.close()


@pytest.fixture(autouse=True)
def rows_of_this_test(request: pytest.FixtureRequest) -> None:
    if "mutual" in request.fixturenames:
        folder = request.getfixturevalue("mutual").folder
        begin_rows(folder / "access.log", folder / "connections.log")


def certificates_of(header: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(urllib.parse.unquote(header).encode())


# Passthrough

CLIENTS = [
    pytest.param("own", id="self-signed"),
    pytest.param("expired", id="expired"),
    pytest.param("early", id="not valid yet"),
    pytest.param("stranger", id="of an unknown authority"),
    pytest.param("chain", id="with its whole chain"),
]


@pytest.mark.parametrize("http2", [pytest.param(False, id="HTTP/1.1"), pytest.param(True, id="HTTP/2")])
@pytest.mark.parametrize("client", CLIENTS)
def test_whatever_a_client_presents_is_passed_on(mutual: Mutual, client: str, http2: bool) -> None:
    """Its certificates as they came, its own first (alb.md 6.4), over each version of TLS."""
    presented = x509.load_pem_x509_certificates((mutual.folder / f"{client}.pem").read_bytes())

    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        headers = mutual.ask(client, http2=http2, version=version)

        assert certificates_of(headers["x-amzn-mtls-clientcert"]) == presented
        assert headers["x-amzn-mtls-clientcert"].startswith("-----BEGIN%20CERTIFICATE-----%0AMII")
        assert not {name for name in headers if name.startswith("x-amzn-mtls-clientcert-")}
        assert headers["x-amzn-tls-version"] == str(version.name).replace("_", ".")
        assert headers["x-forwarded-proto"] == "https"


@pytest.mark.parametrize("http2", [pytest.param(False, id="HTTP/1.1"), pytest.param(True, id="HTTP/2")])
def test_a_client_without_a_certificate_passes_and_cannot_pretend_to_have_one(mutual: Mutual, http2: bool) -> None:
    forged = {"X-Amzn-Mtls-Clientcert": "forged", "X-Amzn-Mtls-Clientcert-Subject": "CN=root"}

    headers = mutual.ask(http2=http2, headers=forged)

    assert not {name for name in headers if "mtls" in name}


def test_a_client_must_have_the_key_of_its_certificate(mutual: Mutual) -> None:
    """That the client owns the certificate is proven in the handshake, in every mode."""
    hello, answer = ssl.MemoryBIO(), ssl.MemoryBIO()
    pair = mutual.context("client", version=ssl.TLSVersion.TLSv1_2).wrap_bio(answer, hello)
    with socket.create_connection(("127.0.0.1", mutual.served.port), timeout=10) as plain:
        port = plain.getsockname()[1]
        with pytest.raises(ssl.SSLWantReadError):
            pair.do_handshake()
        plain.sendall(hello.read())
        received = b""
        while b"\x0e\x00\x00\x00" not in received:
            received += plain.recv(65536)
        answer.write(received)
        with pytest.raises(ssl.SSLWantReadError):
            pair.do_handshake()
        flight = bytearray(hello.read())
        # The record before ChangeCipherSpec is the CertificateVerify: its signature is spoiled.
        flight[flight.rindex(b"\x14\x03\x03\x00\x01\x01") - 1] ^= 1
        plain.sendall(flight)
        assert plain.recv(65536)[0] == 21, "no alert"

    assert mutual.row_of(port)["tls_verify_status"] == "Failed:UnmappedConnectionError"


def test_the_connection_log_names_a_client_that_nobody_verified(mutual: Mutual) -> None:
    port = mutual.speak(mutual.context("own"))

    row = mutual.row_of(port)
    (own,) = x509.load_pem_x509_certificates((mutual.folder / "own.pem").read_bytes())
    assert row["leaf_client_cert_subject"] == own.subject.rfc4514_string()
    assert int(row["leaf_client_cert_serial_number"], 16) == own.serial_number
    assert (row["tls_verify_status"], row["tls_protocol"]) == ("Success", "TLSv1.3")
    assert float(row["tls_handshake_latency"]) >= 0


@pytest.mark.parametrize(
    ("name", "ciphers", "file"),
    [
        pytest.param("shop.example.com", "", "shop", id="by name, ECDSA first"),
        pytest.param("SHOP.example.com", "", "shop", id="case does not count"),
        pytest.param("shop.example.com", "aRSA", "shop-rsa", id="a client without ECDSA"),
        pytest.param("nobody.test", "", "default", id="no match: the default"),
        pytest.param(None, "", "default", id="no SNI: the default"),
    ],
)
def test_sni_chooses_as_on_other_listeners(mutual: Mutual, name: str | None, ciphers: str, file: str) -> None:
    context = mutual.context(version=ssl.TLSVersion.TLSv1_2 if ciphers else None)
    if ciphers:
        context.set_ciphers(ciphers)
    certificate = x509.load_pem_x509_certificate((mutual.folder / f"{file}.pem").read_bytes())

    with mutual.connect(context, name) as client:
        port = client.getsockname()[1]
        assert client.getpeercert(binary_form=True) == certificate.public_bytes(Encoding.DER)
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")

    files = (mutual.folder / f"{file}.{kind}" for kind in ("pem", "key"))
    digest = hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()
    row = mutual.row_of(port, "access.log")
    assert row["chosen_cert_arn"].rpartition("/")[2].replace("-", "") == digest[:32]
    assert row["domain_name"] == (name if file != "default" else "-")


def test_the_policy_holds_and_sessions_are_not_resumed(mutual: Mutual) -> None:
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        mutual.connect(mutual.context(version=ssl.TLSVersion.TLSv1_1))
    cbc = mutual.context(version=ssl.TLSVersion.TLSv1_2)
    cbc.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        mutual.connect(cbc)
    context = mutual.context("chain", version=ssl.TLSVersion.TLSv1_2)
    with mutual.connect(context) as client:
        session = client.session
    plain = socket.create_connection(("127.0.0.1", mutual.served.port), timeout=10)
    with context.wrap_socket(plain, session=session) as client:
        assert not client.session_reused


def test_big_bodies_go_both_ways(mutual: Mutual) -> None:
    """More than all buffers on the way hold, so that each side has to wait for the other."""
    big = os.urandom(1 << 20) * 8
    received = hashlib.sha256()

    def echo(wire: Wire) -> None:
        request = mutual.target.take(wire)
        received.update(request.body)
        wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(request.body))
        wire.send(request.body)

    before, mutual.target.script = mutual.target.script, echo
    try:
        for wire in mutual.target._wires:
            with contextlib.suppress(OSError):
                wire.socket.shutdown(socket.SHUT_RDWR)
        mutual.served.eventually(
            lambda: mutual.served.metric("strangler_target_connections", target_group="targets") == 0, "still open"
        )
        with httpx.Client(verify=mutual.context("own"), trust_env=False, timeout=30) as client:
            response = client.post(f"https://127.0.0.1:{mutual.served.port}/", content=big)
    finally:
        mutual.target.script = before

    assert received.digest() == hashlib.sha256(big).digest()
    assert hashlib.sha256(response.content).digest() == received.digest()


def test_a_client_that_closes_without_a_word_has_closed(mutual: Mutual) -> None:
    client = mutual.connect(mutual.context("own"))
    port = client.getsockname()[1]
    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.recv(65536).endswith(b"ok")
    raw = socket.socket(fileno=client.detach())
    raw.close()

    assert mutual.row_of(port)["tls_verify_status"] == "Success"
    assert "Traceback" not in mutual.served.log.read_text()


def test_a_certificate_that_cannot_be_read_is_passed_on_all_the_same(mutual: Mutual) -> None:
    """Targets judge it; the log leaves its fields out (user guide, connection logs)."""
    row = mutual.row_of(mutual.speak(mutual.context("odd")))

    assert (row["tls_verify_status"], row["leaf_client_cert_subject"]) == ("Success", "-")
    header = dict(mutual.target.requests[-1].headers)[b"X-Amzn-Mtls-Clientcert"].decode()
    assert urllib.parse.unquote(header) == (mutual.folder / "odd.pem").read_text()


# Headers under other names


def test_headers_have_the_names_that_the_listener_gives_them(mutual: Mutual) -> None:
    forged = {"X-Client-Chain": "forged", "X-Amzn-Mtls-Clientcert": "forged", "X-Tls": "SSLv2"}

    headers = mutual.ask("own", port=mutual.ports["RENAMED"], headers=forged)

    assert len(certificates_of(headers["x-client-chain"])) == 1
    assert headers["x-tls"] == "TLSv1.3"
    assert headers["x-amzn-tls-cipher-suite"].startswith("TLS_")
    assert not {"x-amzn-mtls-clientcert", "x-amzn-tls-version"} & headers.keys()


def test_verified_clients_have_them_too(mutual: Mutual) -> None:
    headers = mutual.ask("client", port=mutual.ports["VERIFY"], headers={"X-Client-Name": "CN=root"})

    assert headers["x-client-name"] == "CN=client.example.com"
    assert headers["x-amzn-mtls-clientcert-issuer"] == "CN=Test CA,O=Tests\\, Inc,C=US"
    assert "x-amzn-mtls-clientcert-subject" not in headers


# Handshakes that fail


def read_anything(context: ssl.SSLContext, plain: socket.socket) -> bytes:
    """With TLS 1.3 a client learns only after its own part of the handshake that it is refused."""
    with context.wrap_socket(plain) as client:
        return client.recv(1) or b"closed"


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        pytest.param("stranger", "ClientCertUntrusted", id="of an unknown authority"),
        pytest.param("own", "ClientCertUntrusted", id="self-signed"),
        pytest.param("chain", "ClientCertUntrusted", id="a chain to an unknown root"),
        pytest.param("expired", "ClientCertExpired", id="expired"),
        pytest.param("early", "ClientCertNotYetValid", id="not valid yet"),
        pytest.param("", "UnmappedConnectionError", id="no certificate"),
    ],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_refused_client_has_a_line_with_the_reason(
    mutual: Mutual, client: str, reason: str, version: ssl.TLSVersion
) -> None:
    with socket.create_connection(("127.0.0.1", mutual.ports["VERIFY"]), timeout=10) as plain:
        port = plain.getsockname()[1]
        with pytest.raises((ssl.SSLError, ConnectionError)):
            read_anything(mutual.context(client, version=version), plain)

    row = mutual.row_of(port)
    assert row["client_ip"] == "127.0.0.1"
    assert row["listener_port"] == str(mutual.ports["VERIFY"])
    assert (row["tls_verify_status"], row["tls_handshake_latency"]) == (f"Failed:{reason}", "-")
    assert row["conn_trace_id"].startswith("TID_")


@pytest.mark.parametrize(
    ("sent", "counted"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, id="plain HTTP"),
        pytest.param(b"", 0, id="a client that goes away"),
    ],
)
@pytest.mark.parametrize("listener", ["pass", "verify"])
def test_what_is_no_handshake_has_a_line(mutual: Mutual, listener: str, sent: bytes, counted: int) -> None:
    port = mutual.served.port if listener == "pass" else mutual.ports["VERIFY"]
    before = mutual.served.metric("strangler_client_tls_negotiation_errors_total", listener=listener)

    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        own_port = plain.getsockname()[1]
        plain.sendall(sent)
        plain.shutdown(socket.SHUT_WR)
        while plain.recv(4096):
            pass

    row = mutual.row_of(own_port)
    assert row["tls_verify_status"] == "Failed:UnmappedConnectionError"
    after = mutual.served.metric("strangler_client_tls_negotiation_errors_total", listener=listener)
    assert after == before + counted


# Other clients


@pytest.mark.system
@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_curl(mutual: Mutual, http: str) -> None:
    folder = mutual.folder
    command = ["curl", "-sS", http, "--cacert", str(mutual.authority.file), "--noproxy", "*", "-w", " %{http_version}"]
    command += ["--cert", str(folder / "own.pem"), "--key", str(folder / "own.key")]
    command += ["--resolve", f"shop.example.com:{mutual.served.port}:127.0.0.1"]
    command += [f"https://shop.example.com:{mutual.served.port}/"]

    output = subprocess.run(command, capture_output=True, check=True, timeout=20).stdout

    assert output == (b"ok 1.1" if http == "--http1.1" else b"ok 2")
    headers = {name.lower(): value for name, value in mutual.target.requests[-1].headers}
    assert len(certificates_of(headers[b"x-amzn-mtls-clientcert"].decode())) == 1


@pytest.mark.system
def test_openssl_is_asked_for_a_certificate(mutual: Mutual) -> None:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{mutual.served.port}", "-servername", "shop.example.com"]
    command += ["-cert", str(mutual.folder / "expired.pem"), "-key", str(mutual.folder / "expired.key")]
    command += ["-CAfile", str(mutual.authority.file), "-verify_return_error"]

    output = subprocess.run(command, input=b"", capture_output=True, check=True, timeout=20).stdout

    assert b"Verify return code: 0 (ok)" in output
    assert b"Requested Signature Algorithms" in output
