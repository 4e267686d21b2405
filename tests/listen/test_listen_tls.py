"""Which certificate a client gets, and what a policy lets through."""

from __future__ import annotations

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from certificates import Authority
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.certificates import TableFiles
from proxy.config.load import load
from proxy.config.model import CertificateFacts, ListenerConfig
from proxy.config.ssl_policies import DEFAULT_SSL_POLICY, SSL_POLICIES
from proxy.listen.sni import choose, find, selections
from proxy.listen.tls import TlsError, session_of, tls_context

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def facts(*names: str, kind: str = "RSA 2048", days: int = 365, md5: bool = False) -> CertificateFacts:
    algorithm, _, bits = kind.partition(" ")
    until = BEGAN + timedelta(days=days)
    return CertificateFacts(names, algorithm, int(bits), md5, BEGAN, until, "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "certificates", "chosen"),
    [
        pytest.param("a.com", [facts("b.com"), facts("a.com")], (1,), id="a single match wins"),
        pytest.param("c.com", [facts("b.com"), facts("a.com")], None, id="no match"),
        pytest.param("x.a.com", [facts("b.com"), facts("*.a.com")], (1,), id="a wildcard is one label"),
        pytest.param("y.x.a.com", [facts("*.a.com")], None, id="a wildcard is not two labels"),
        pytest.param("a.com", [facts("*.a.com")], None, id="a wildcard is not none"),
        pytest.param("b.com", [facts("a.com", "b.com")], (0,), id="any of its names"),
        pytest.param("a.com", [facts("a.com"), facts("a.com", kind="ECDSA 256")], (1, 0), id="ECDSA before RSA"),
        pytest.param("a.com", [facts("a.com", md5=True), facts("a.com")], (1,), id="SHA before MD5"),
        pytest.param("a.com", [facts("a.com"), facts("a.com", kind="RSA 4096")], (1,), id="the longest key"),
        pytest.param("a.com", [facts("a.com", days=90), facts("a.com", days=91)], (1,), id="the longest validity"),
        pytest.param("a.com", [facts("a.com"), facts("a.com")], (0,), id="as listed"),
        pytest.param(
            "x.a.com", [facts("x.a.com"), facts("*.a.com", kind="RSA 4096")], (1,), id="an exact name is no better"
        ),
        pytest.param(
            "a.com",
            [facts("a.com", md5=True, kind="ECDSA 256"), facts("a.com", kind="RSA 4096")],
            (0, 1),
            id="in order",
        ),
    ],
)
def test_choice(name: str, certificates: list[CertificateFacts], chosen: tuple[int, ...] | None) -> None:
    assert choose(name, certificates) == chosen
    assert find(name, selections(certificates)) == chosen


LABELS = st.sampled_from(["a", "b", "*"])
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
KINDS = st.sampled_from(["RSA 2048", "RSA 4096", "ECDSA 256", "ECDSA 384"])
CERTIFICATES = st.builds(
    lambda names, kind, days, md5: facts(*names, kind=kind, days=days, md5=md5),
    st.lists(NAMES, max_size=3),
    KINDS,
    st.integers(1, 3),
    st.booleans(),
)


@given(NAMES.filter(lambda name: "*" not in name), st.lists(CERTIFICATES, max_size=6))
def test_the_table_finds_what_the_rule_chooses(name: str, certificates: list[CertificateFacts]) -> None:
    assert find(name, selections(certificates)) == choose(name, certificates)


# With OpenSSL


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> ListenerConfig:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    authority.issue("rsa", "a.com", kind="RSA")
    authority.issue("ecdsa", "b.com")
    table = (
        "version: 1\nlisteners: [{port: 1, protocol: HTTPS, default: {fixed-response: {status_code: 200}}, "
        "certificates: [{certificate_file: rsa.pem, private_key_file: rsa.key}, {certificate_file: ecdsa.pem, "
        "private_key_file: ecdsa.key}]}]\ntarget_groups: {none: {targets: []}}"
    )
    return load(table, {}, files=TableFiles(folder)).listeners[0]


@pytest.mark.parametrize("policy", SSL_POLICIES)
def test_every_policy_can_be_set(listener: ListenerConfig, policy: str) -> None:
    """With each of its ciphers that this OpenSSL has, and none besides; those of TLS 1.3 are OpenSSL's own."""
    written = SSL_POLICIES[policy]

    context = tls_context(replace(listener, ssl_policy=policy))

    versions = {"TLSv1": 1, "TLSv1.1": 2, "TLSv1.2": 3, "TLSv1.3": 4}
    assert (context.minimum_version - 0x300, context.maximum_version - 0x300) == (
        versions[written.minimum],
        versions[written.maximum],
    )
    if written.ciphers:
        names = [cipher["name"] for cipher in context.get_ciphers() if not cipher["name"].startswith("TLS_")]
        assert names == [name for name in written.ciphers if name in names]
        assert set(written.ciphers) - set(names) <= {"DES-CBC3-SHA"}


def test_the_default_policy_is_the_apis(listener: ListenerConfig) -> None:
    assert listener.ssl_policy == DEFAULT_SSL_POLICY == "ELBSecurityPolicy-2016-08"


def test_a_file_that_changed_since_it_was_looked_at_is_refused(listener: ListenerConfig) -> None:
    certificate = replace(listener.certificates[0], private_key_file=listener.certificates[1].private_key_file)

    with pytest.raises(TlsError, match=r"rsa\.pem"):
        tls_context(replace(listener, certificates=(certificate,)))


def test_a_key_that_became_encrypted_is_refused_without_a_question(listener: ListenerConfig, tmp_path: Path) -> None:
    """OpenSSL would ask for the passphrase on the terminal, and the gateway would stand still."""
    _, key = Authority(tmp_path).issue("locked", "a.com", passphrase="hunter2")
    certificate = replace(listener.certificates[0], private_key_file=str(key))

    with pytest.raises(TlsError):
        tls_context(replace(listener, certificates=(certificate,)))


def test_a_table_whose_files_were_not_read_is_refused(listener: ListenerConfig) -> None:
    certificate = replace(listener.certificates[0], facts=None)

    with pytest.raises(TlsError, match="not been read"):
        tls_context(replace(listener, certificates=(certificate,)))


def test_a_context_of_somebody_elses_tells_less(listener: ListenerConfig) -> None:
    """As in an application that embeds the gateway behind its own TLS."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = listener.certificates[0]
    server.load_cert_chain(certificate.certificate_file, certificate.private_key_file)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server)
    for side in (theirs, ours, theirs, ours):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue

    session = session_of(ours)

    assert session.version == "TLSv1.3"
    assert (session.certificate, session.server_name, session.client_certificate) == ("", "", None)
