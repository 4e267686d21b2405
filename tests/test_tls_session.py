"""What targets and logs are told of a TLS connection."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from athena import connection_log_row
from certificates import Authority
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from proxy.config.model import LoadBalancerAttributes
from proxy.forward.headers import ForwardedLines, request_head_to_target
from proxy.http1.head import HeaderBlock
from proxy.observe.connection_log import line
from proxy.rules.request import RequestView
from proxy.tls import ClientCertificate, TlsSession, certificate_arn


def client_certificate(folder: Path, common_name: str) -> ClientCertificate:
    pem, _ = Authority(folder).issue("client", "client.example.com", common_name=common_name)
    return ClientCertificate(x509.load_pem_x509_certificate(pem.read_bytes()).public_bytes(Encoding.DER))


def head(tls: TlsSession | None, *headers: tuple[str, str], wanted: bool = False) -> list[str]:
    """The lines a target gets, without the request line and what changes each time."""
    view = RequestView.of("GET", "/", [("Host", "a:8443"), *headers], peer="10.0.0.1", scheme="https", port=8443)
    attributes = LoadBalancerAttributes(tls_version_and_cipher_suite=wanted)
    forwarded = ForwardedLines("10.0.0.1", 40000, "https", 8443, attributes, tls)
    block = b"".join(b"%s: %s\r\n" % header for header in view.headers)
    whole, _ = request_head_to_target(view, block, forwarded)
    return [each for each in whole.decode().split("\r\n")[1:] if each and not each.startswith("X-Amzn-Trace-Id")]


PLAIN = ["Host: a:8443", "X-Forwarded-For: 10.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Port: 8443"]
SESSION = TlsSession("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256")
FORGED = ("X-Amzn-Tls-Version", "SSLv2"), ("x-amzn-mtls-clientcert-LEAF", "me")


@pytest.mark.parametrize(
    ("tls", "wanted", "sent", "got"),
    [
        pytest.param(SESSION, False, (), PLAIN, id="off: nothing is told"),
        pytest.param(
            SESSION,
            True,
            (),
            [*PLAIN, "X-Amzn-Tls-Version: TLSv1.2", "X-Amzn-Tls-Cipher-Suite: ECDHE-RSA-AES128-GCM-SHA256"],
            id="on: version and cipher",
        ),
        pytest.param(None, True, (), PLAIN, id="on, on an HTTP listener: nothing to tell"),
        pytest.param(
            SESSION,
            False,
            FORGED,
            [PLAIN[0], "X-Amzn-Tls-Version: SSLv2", "x-amzn-mtls-clientcert-LEAF: me", *PLAIN[1:]],
            id="off: the client's own pass",
        ),
        pytest.param(
            TlsSession("TLSv1.3", "TLS_AES_128_GCM_SHA256", mutual="verify"),
            True,
            FORGED,
            [*PLAIN, "X-Amzn-Tls-Version: TLSv1.3", "X-Amzn-Tls-Cipher-Suite: TLS_AES_128_GCM_SHA256"],
            id="on: the client's own are removed",
        ),
    ],
)
def test_lines_for_the_target(
    tls: TlsSession | None, wanted: bool, sent: tuple[tuple[str, str], ...], got: list[str]
) -> None:
    assert head(tls, *sent, wanted=wanted) == got


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a\r\nX-Admin: yes", id="a line's end"),
        pytest.param('a" TID_forged', id="a quote"),
        pytest.param("ünï\x7f", id="more than ASCII"),
    ],
)
def test_a_name_in_a_certificate_adds_no_line_and_no_field(tmp_path: Path, name: str) -> None:
    certificate = client_certificate(tmp_path, name)
    session = TlsSession("TLSv1.3", "TLS_AES_128_GCM_SHA256", mutual="verify", client_certificate=certificate)

    lines = session.header_lines(version_and_cipher=False).decode("ascii").split("\r\n")
    names = [each.partition(":")[0].removeprefix("X-Amzn-Mtls-Clientcert-") for each in lines]
    row = connection_log_row(line(_Connection(session), 0.0))

    assert names == ["Serial-Number", "Issuer", "Subject", "Validity", "Leaf", ""]
    assert all(re.fullmatch(r"[\x20-\x7e]*", each) for each in lines)
    assert (row["tls_verify_status"], row["conn_trace_id"]) == ("Success", "TID_00")


class _Connection:
    peer = "10.0.0.1"
    client_port = 40000
    port = 8443
    opened_at = 0.0
    conn_trace_id = "TID_00"

    def __init__(self, tls: TlsSession) -> None:
        self.tls = tls


def test_a_certificates_arn_looks_like_one() -> None:
    arn = certificate_arn("0123456789abcdef" * 4)

    assert arn == "arn:aws:acm:local:000000000000:certificate/01234567-89ab-cdef-0123-456789abcdef"


def test_what_is_remembered_of_one_connection_is_not_taken_for_another() -> None:
    """A listener that begins to verify clients has connections of before beside its new ones."""
    lines = HeaderBlock(b"Host: a:8443\r\nX-Amzn-Mtls-Clientcert-Subject: CN=forged\r\n")
    attributes = LoadBalancerAttributes()
    verified = TlsSession("TLSv1.3", "TLS_AES_128_GCM_SHA256", mutual="verify")

    def told(tls: TlsSession) -> bool:
        view = RequestView(b"GET", b"/", lines.headers, lines.fields, "10.0.0.1", "https", 8443)
        view.lines = lines
        forwarded = ForwardedLines("10.0.0.1", 40000, "https", 8443, attributes, tls)
        return b"forged" in request_head_to_target(view, lines.block, forwarded)[0]

    assert [told(SESSION), told(verified), told(verified), told(SESSION)] == [True, False, False, True]
