"""pyOpenSSL behind the interface of `ssl`, side by side with `ssl` itself: event loops must see no difference."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.certificates import TableFiles
from proxy.config.load import load
from proxy.config.model import ListenerConfig, MutualAuthenticationConfig
from proxy.config.ssl_policies import SSL_POLICIES
from proxy.listen.handshake import failure_reason
from proxy.listen.tls import TlsError, session_of, tls_context

BOTH = pytest.mark.parametrize("mode", ["off", "passthrough"])


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> ListenerConfig:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    authority.issue("a", "a.com")
    table = (
        "version: 1\nlisteners: [{port: 1, protocol: HTTPS, default: {fixed-response: {status_code: 200}}, "
        "ssl_policy: ELBSecurityPolicy-TLS13-1-0-2021-06, mutual_authentication: {mode: passthrough}, "
        "certificates: [{certificate_file: a.pem, private_key_file: a.key}]}]\n"
        "target_groups: {none: {targets: []}}"
    )
    return load(table, {}, files=TableFiles(folder)).listeners[0]


@dataclass
class Pair:
    """A client of `ssl`, and a server of the listener's context, with the bytes on their way between them."""

    client: ssl.SSLObject
    server: Any
    to_client: ssl.MemoryBIO
    to_server: ssl.MemoryBIO
    failures: list[None]

    def shake_hands(self) -> None:
        for _ in range(3):
            for side in (self.client, self.server):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        # What is left for the client are session tickets.
        with pytest.raises(ssl.SSLWantReadError):
            self.client.read(1)


def pair(
    listener: ListenerConfig,
    mode: str,
    version: ssl.TLSVersion | None = None,
    certificate: Path | None = None,
    **options: Any,
) -> Pair:
    failures: list[None] = []
    mutual = MutualAuthenticationConfig(mode)  # type: ignore[arg-type]
    context = tls_context(replace(listener, mutual_authentication=mutual, **options), lambda: failures.append(None))
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        client.minimum_version = client.maximum_version = version
        client.set_ciphers("ALL:@SECLEVEL=0")
    if certificate is not None:
        client.load_cert_chain(certificate, certificate.with_suffix(".key"))
    client.set_alpn_protocols(["h2", "http/1.1"])
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    return Pair(
        client.wrap_bio(to_client, to_server, server_hostname="a.com"),
        context.wrap_bio(to_server, to_client, server_side=True),
        to_client,
        to_server,
        failures,
    )


@BOTH
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_is_known_after_the_handshake(listener: ListenerConfig, mode: str, version: ssl.TLSVersion) -> None:
    both = pair(listener, mode, version)
    both.shake_hands()

    session = session_of(both.server)

    assert session.version == both.client.version()
    assert (session.cipher, *both.server.cipher()[1:]) == both.client.cipher()
    assert (session.server_name, session.failure, session.mutual) == ("a.com", "", mode)
    assert (session.client_certificate, session.chain) == (None, ())
    assert both.server.selected_alpn_protocol() == "h2"
    assert both.server.getpeercert() is None
    assert both.server.getpeercert(binary_form=True) is None
    assert both.server.compression() is None
    assert both.failures == []


def test_a_clients_certificate(listener: ListenerConfig) -> None:
    """Its own, and what it sends beside it."""
    both = pair(listener, "passthrough", certificate=Path(listener.certificates[0].certificate_file))
    both.shake_hands()

    session = session_of(both.server)

    own = ssl.PEM_cert_to_DER_cert(Path(listener.certificates[0].certificate_file).read_text())
    assert session.chain == (own,)
    assert session.client_certificate is not None
    assert session.client_certificate.subject == "CN=a.com"
    assert both.server.getpeercert(binary_form=True) == own
    assert both.server.getpeercert() == {}


@BOTH
def test_reading(listener: ListenerConfig, mode: str) -> None:
    both = pair(listener, mode)
    both.shake_hands()
    with pytest.raises(ssl.SSLWantReadError):
        both.server.read(100)

    both.client.write(b"one two three")
    assert both.server.read(3) == b"one"
    assert both.server.pending() == 10
    buffer = bytearray(5)
    assert both.server.read(5, buffer) == 5
    assert both.server.read(3, memoryview(buffer)[2:]) == 3
    assert bytes(buffer) == b" tthr"
    assert both.server.read(100) == b"ee"
    assert both.server.pending() == 0

    both.client.write(b"a")
    both.client.write(b"b")
    assert [both.server.read(100), both.server.read(100)] == [b"a", b"b"]


@given(st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=40_000)), max_size=6), st.integers(1, 70_000))
@settings(max_examples=20, deadline=None)
def test_what_goes_in_comes_out(
    listener_of_module: ListenerConfig, messages: list[tuple[bool, bytes]], step: int
) -> None:
    """In both directions, however the bytes are cut on their way; `pending` and the BIO tell when to stop reading."""
    both = pair(listener_of_module, "passthrough")
    both.shake_hands()
    for from_client, message in messages:
        sender, receiver = (both.client, both.server) if from_client else (both.server, both.client)
        wire = both.to_server if from_client else both.to_client
        rest = memoryview(message)
        while rest:
            rest = rest[sender.write(rest) :]
        sealed, received = wire.read(), b""
        for start in range(0, len(sealed), step):
            wire.write(sealed[start : start + step])
            try:
                while wire.pending or receiver.pending():
                    received += receiver.read(65536)
            except ssl.SSLWantReadError:
                pass
        assert received == message


@pytest.fixture(scope="module")
def listener_of_module(listener: ListenerConfig) -> ListenerConfig:
    return listener


@BOTH
def test_a_client_that_closes(listener: ListenerConfig, mode: str) -> None:
    both = pair(listener, mode)
    both.shake_hands()
    both.client.write(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        both.client.unwrap()

    assert both.server.read(100) == b"last"
    assert both.to_server.pending + both.server.pending() > 0, "nobody would read that it has closed"
    assert both.server.read(100) == b""
    assert both.server.read(100, bytearray(10)) == 0
    both.server.unwrap()
    both.client.unwrap()


@BOTH
def test_a_server_that_closes(listener: ListenerConfig, mode: str) -> None:
    both = pair(listener, mode)
    both.shake_hands()

    with pytest.raises(ssl.SSLWantReadError):
        both.server.unwrap()
    assert both.client.read(100) == b""
    both.client.unwrap()
    both.server.unwrap()


@BOTH
def test_a_client_whose_connection_ends(listener: ListenerConfig, mode: str) -> None:
    both = pair(listener, mode)
    both.shake_hands()
    both.client.write(b"last")
    both.to_server.write_eof()

    assert both.server.read(100) == b"last"
    with pytest.raises(ssl.SSLEOFError):
        both.server.read(100)


def spoil(both: Pair) -> None:
    both.client.write(b"a")
    record = bytearray(both.to_server.read())
    record[-1] ^= 1
    both.to_server.write(record)


@BOTH
@pytest.mark.parametrize(
    "break_it",
    [pytest.param(spoil, id="a record that was changed"), pytest.param(lambda both: both.to_server.write(b"x" * 99))],
)
def test_what_is_no_tls_ends_the_connection(
    listener: ListenerConfig, mode: str, break_it: Callable[[Pair], None]
) -> None:
    both = pair(listener, mode)
    both.shake_hands()
    break_it(both)

    with pytest.raises(ssl.SSLError) as error:
        both.server.read(100)

    assert not isinstance(error.value, ssl.SSLWantReadError | ssl.SSLZeroReturnError)
    assert both.to_client.pending, "no alert is sent"


@BOTH
def test_a_handshake_that_fails_sends_its_alert_first(listener: ListenerConfig, mode: str) -> None:
    both = pair(listener, mode, ssl.TLSVersion.TLSv1_2, ssl_policy="ELBSecurityPolicy-TLS13-1-3-2021-06")
    with pytest.raises(ssl.SSLWantReadError):
        both.client.do_handshake()

    with pytest.raises(ssl.SSLWantReadError):
        both.server.do_handshake()
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        both.client.do_handshake()
    with pytest.raises(ssl.SSLError) as error:
        both.server.do_handshake()

    assert error.value.reason == "UNSUPPORTED_PROTOCOL"
    assert len(both.failures) == 1
    assert session_of(both.server).failure == "UnmappedConnectionError"


@pytest.mark.parametrize("policy", SSL_POLICIES)
def test_every_policy_holds_as_with_ssl(listener: ListenerConfig, policy: str) -> None:
    """Which versions pass, and which cipher is chosen."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        ciphers = []
        for mode in ("off", "passthrough"):
            both = pair(listener, mode, version, ssl_policy=policy)
            try:
                both.shake_hands()
            except ssl.SSLError:
                ciphers.append(None)
            else:
                ciphers.append(both.client.cipher())
        assert ciphers[0] == ciphers[1]


def test_files_that_changed_are_refused_without_a_question(listener: ListenerConfig, tmp_path: Path) -> None:
    """OpenSSL would ask for a passphrase on the terminal."""
    authority = Authority(tmp_path)
    _, locked = authority.issue("locked", "a.com", passphrase="hunter2")
    _, other = authority.issue("other", "a.com")
    certificate = listener.certificates[0]

    for key in (locked, other, tmp_path / "none"):
        changed = replace(certificate, private_key_file=str(key))
        with pytest.raises(TlsError, match=r"OpenSSL does not take a\.pem: \w+"):
            tls_context(replace(listener, certificates=(changed,)))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (10, "ClientCertExpired"),
        (9, "ClientCertNotYetValid"),
        (20, "ClientCertUntrusted"),
        (22, "ClientCertMaxChainDepthExceeded"),
        (26, "ClientCertPurposeInvalid"),
        (66, "ClientCertIncompatible"),
        (7, "ClientCertInvalid"),
    ],
)
def test_reasons_of_verification(code: int, reason: str) -> None:
    error = ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, "no")
    error.verify_code = code

    assert failure_reason(error) == reason


def test_reasons_of_everything_else() -> None:
    large = ssl.SSLError(ssl.SSL_ERROR_SSL, "no")
    large.reason = "EXCESSIVE_MESSAGE_SIZE"

    assert failure_reason(large) == "ClientCertMaxSizeExceeded"
    assert failure_reason(ssl.SSLError(ssl.SSL_ERROR_SSL, "no")) == "UnmappedConnectionError"
    assert failure_reason(None) == "UnmappedConnectionError"
