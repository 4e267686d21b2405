"""Rows of TLS hold: one gateway as a user runs it, with all listeners of the table."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from athena import access_log_row, connection_log_row
from certificates import Authority
from cryptography import x509
from http2_peers import Http2Client
from scripted_target import OK, ScriptedTarget
from served import Served, free_port, serving
from wire import Message, Wire

from tests.conformance.gateway_bench import SWITCH, as_fields, as_wire, expect_fields, expect_headers
from tests.conformance.rows import Secured, get
from tests.conformance.section_1_tls import CERTIFICATES, LISTENERS
from tests.conformance.table import ROWS

NO_CONNECTION = (ssl.SSLError, ConnectionError)


class Site:
    """The gateway, its target and its logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.target = ScriptedTarget(self._serve)
        self.authority = Authority(folder)
        for file, options in CERTIFICATES.items():
            names: tuple[str, ...] = options["names"]  # type: ignore[assignment]
            others = {name: value for name, value in options.items() if name != "names"}
            self.authority.issue(file, *names, **others)  # type: ignore[arg-type]
        self.authority.issue("client", "client.example.com")
        Authority(folder, "Another CA").issue("stranger", "stranger.example.com")
        self.ports = {name: free_port() for name in LISTENERS}
        self.served: Served
        self._contexts: dict[Secured, ssl.SSLContext] = {}

    def table(self) -> str:
        listeners = [
            f"  - {{name: {name}, port: {self.ports[name]}, protocol: HTTPS, {rest}}}"
            for name, rest in LISTENERS.items()
        ]
        group = f'targets: ["http://127.0.0.1:{self.target.port}"], health_check: {{enabled: false}}'
        return "\n".join((
            "version: 1",
            "attributes: {routing.http.x_amzn_tls_version_and_cipher_suite.enabled: true}",
            "listeners:",
            "  - {name: plain, port: PORT, default: {fixed-response: {status_code: 200}}}",
            *listeners,
            "target_groups:",
            f"  targets: {{{group}}}",
            f"  sticky: {{{group}, attributes: {{stickiness.enabled: true}}}}",
            "  empty: {targets: []}",
        ))  # fmt: skip

    def _serve(self, wire: Wire) -> None:
        while True:
            request = self.target.take(wire)
            if request.values("upgrade"):
                wire.send(SWITCH)
                wire.rest()
                return
            wire.send(OK)

    def context(self, row: Secured) -> ssl.SSLContext:
        if row in self._contexts:
            return self._contexts[row]
        context = self._contexts[row] = ssl.create_default_context(cafile=str(self.authority.file))
        context.check_hostname = False
        if row.offers:
            context.set_alpn_protocols(list(row.offers))
        if row.certificate:
            context.load_cert_chain(self.folder / f"{row.certificate}.pem", self.folder / f"{row.certificate}.key")
        if row.version:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = ssl.TLSVersion[row.version]
        if row.ciphers:
            context.set_ciphers(row.ciphers)
        return context

    @contextlib.contextmanager
    def connection(self, row: Secured, session: ssl.SSLSession | None = None) -> Iterator[ssl.SSLSocket]:
        context = self.context(row)
        with (
            socket.create_connection(("127.0.0.1", self.ports[row.listener]), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=row.server_name, session=session) as client,
        ):
            yield client

    def is_refused(self, row: Secured) -> None:
        """In TLS 1.3 a client learns that its certificate does not do when it reads."""
        with self.connection(row) as client:
            client.sendall(get())
            assert client.recv(1) == b""
            raise ConnectionError("closed without a word")

    def ask(self, row: Secured, client: ssl.SSLSocket) -> Message:
        request = get("/", *row.lines, host="a.example.com")
        if row.chosen == "h2":
            peer = Http2Client(0, connection=client)
            return as_wire(peer.response(peer.begin(pseudo=as_fields(request)[0])))
        wire = Wire(client)
        wire.send(request)
        return wire.response()

    def line_of(self, log: str, client_port: int) -> str:
        """The last line of a client's connection; logs are written twice a second."""
        found: list[str] = []
        mark = re.compile(rf"127\.0\.0\.1[: ]{client_port} ").search

        def is_there() -> bool:
            path = self.folder / log
            found[:] = [line for line in path.read_text().splitlines() if mark(line)] if path.exists() else []
            return bool(found)

        self.served.eventually(is_there, f"no line in {log}")
        return found[-1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("secured")
    site = Site(folder)
    logs = "--access-log", str(folder / "access.log"), "--connection-log", str(folder / "connections.log")
    with serving(folder, site.table(), *logs, "--access-log-format", "alb") as served:
        site.served = served
        yield site
    site.target.close()
    assert site.target.failures == []


@pytest.mark.parametrize(
    "row", [row for row in ROWS if isinstance(row, Secured)], ids=lambda row: f"{row.section}-{row.id}"
)
def test_secured(site: Site, row: Secured) -> None:
    if not row.status:
        with pytest.raises(NO_CONNECTION):
            site.is_refused(row)
        return
    session = None
    if row.resumes:
        with site.connection(row) as client:
            session = client.session
    before = len(site.target.requests)
    with site.connection(row, session) as client:
        certificate = x509.load_der_x509_certificate(client.getpeercert(binary_form=True) or b"")
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert row.presented in ("", names.get_values_for_type(x509.DNSName)[0])
        assert client.selected_alpn_protocol() == row.chosen
        client_port = client.getsockname()[1]
        response = site.ask(row, client)
    port = b"%d" % site.ports[row.listener]
    assert response.status == row.status
    expect_headers(response, row.answers, port)
    if row.gets:
        expect_headers(site.target.requests[before], row.gets, port)
    if row.log:
        expect_fields(access_log_row(site.line_of("access.log", client_port)), row.log)
    if row.connection_log:
        request = access_log_row(site.line_of("access.log", client_port))
        found = connection_log_row(site.line_of("connections.log", client_port))
        expected = [(name, value.replace("PORT", port.decode())) for name, value in row.connection_log]
        expect_fields(found, (*expected, ("conn_trace_id", request["conn_trace_id"])))
