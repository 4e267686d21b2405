"""What is known of a client's TLS connection, for headers and logs: pure (alb.md 6.4, 9.1, 9.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from ssl import DER_cert_to_PEM_cert
from typing import Final, Literal
from urllib.parse import quote

from cryptography import x509

MutualMode = Literal["off", "passthrough", "verify"]

CHAIN_HEADER: Final = "X-Amzn-Mtls-Clientcert"
"""What a target gets in mode passthrough."""
VERIFIED_HEADERS: Final = (
    "X-Amzn-Mtls-Clientcert-Serial-Number",
    "X-Amzn-Mtls-Clientcert-Issuer",
    "X-Amzn-Mtls-Clientcert-Subject",
    "X-Amzn-Mtls-Clientcert-Validity",
    "X-Amzn-Mtls-Clientcert-Leaf",
)
"""What a target gets in mode verify."""
MTLS_HEADERS: Final = (CHAIN_HEADER, *VERIFIED_HEADERS)
TLS_HEADERS: Final = ("X-Amzn-Tls-Version", "X-Amzn-Tls-Cipher-Suite")
CERTIFICATE_ARN_PREFIX: Final = "arn:aws:acm:local:000000000000:certificate"
SESSION_REUSED: Final = "session-reused"

Renamed = tuple[tuple[str, str], ...]
"""Names of `MTLS_HEADERS` and `TLS_HEADERS` with what a listener calls them instead."""


@dataclass(frozen=True)
class ClientCertificate:
    """The certificate of a client, in the load balancer's words. Parsed when something first asks.

    A certificate that nobody verified may hold anything: then every property raises ValueError.
    """

    der: bytes

    @cached_property
    def _parsed(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)

    @cached_property
    def serial_number(self) -> str:
        """In hexadecimal, as `openssl x509 -serial` prints it."""
        number = self._parsed.serial_number
        digits = f"{abs(number):X}"
        return ("-" if number < 0 else "") + (digits if len(digits) % 2 == 0 else f"0{digits}")

    @cached_property
    def issuer(self) -> str:
        """As in RFC 2253."""
        return self._parsed.issuer.rfc4514_string()

    @cached_property
    def subject(self) -> str:
        """As in RFC 2253."""
        return self._parsed.subject.rfc4514_string()

    @cached_property
    def validity(self) -> str:
        """`NotBefore=...;NotAfter=...`, both in ISO 8601."""
        certificate = self._parsed
        return f"NotBefore={_iso(certificate.not_valid_before_utc)};NotAfter={_iso(certificate.not_valid_after_utc)}"

    @cached_property
    def leaf(self) -> str:
        """PEM, URL-encoded with `+=/` left as they are."""
        return url_encoded_pem((self.der,))

    def values(self) -> tuple[str, ...]:
        """Those of `VERIFIED_HEADERS`."""
        return self.serial_number, self.issuer, self.subject, self.validity, self.leaf


@dataclass(frozen=True, slots=True)
class TlsSession:
    """One TLS connection of a client, after its handshake.

    Attributes:
        version, cipher: In OpenSSL's spelling, as the load balancer's; empty where a failed handshake had none yet.
        server_name: What the client asked for by SNI, if a certificate is for it; else empty.
        certificate: The ARN that stands for the certificate it got, or `session-reused`; empty when unknown.
        handshake_seconds: From the first byte to the last of the handshake.
        mutual: How the listener treats client certificates.
        client_certificate: The client's own, if it sent one: verified in mode verify, as it came in mode passthrough.
        chain: In mode passthrough all certificates that the client sent, its own first, as DER.
        failure: Why the handshake failed, in the load balancer's words (alb.md 9.2); empty when it did not.
    """

    version: str
    cipher: str
    server_name: str = ""
    certificate: str = ""
    handshake_seconds: float = 0.0
    mutual: MutualMode = "off"
    client_certificate: ClientCertificate | None = field(default=None, repr=False)
    chain: tuple[bytes, ...] = field(default=(), repr=False)
    failure: str = ""

    def header_lines(self, *, version_and_cipher: bool, renamed: Renamed = ()) -> bytes:
        """The lines that a target gets besides X-Forwarded-* (alb.md 6.4)."""
        headers: list[tuple[str, str]] = []
        if version_and_cipher:
            headers += zip(TLS_HEADERS, (self.version, self.cipher), strict=True)
        if self.mutual == "verify" and self.client_certificate is not None:
            headers += zip(VERIFIED_HEADERS, self.client_certificate.values(), strict=True)
        if self.mutual == "passthrough" and self.chain:
            headers.append((CHAIN_HEADER, url_encoded_pem(self.chain)))
        names = dict(renamed)
        return b"".join(
            b"%s: %s\r\n" % (names.get(name, name).encode("ascii"), _header_value(value)) for name, value in headers
        )

    def removed_headers(self, *, version_and_cipher: bool, renamed: Renamed = ()) -> frozenset[bytes]:
        """Fields that a client cannot send through: a target would take them for the gateway's own."""
        own = (MTLS_HEADERS if self.mutual != "off" else ()) + (TLS_HEADERS if version_and_cipher else ())
        names = dict(renamed)
        return frozenset(each.lower().encode("ascii") for name in own for each in (name, names.get(name, name)))


def url_encoded_pem(certificates: Iterable[bytes]) -> str:
    """DER certificates as PEM, one after the other, URL-encoded with `+=/` left as they are."""
    return quote("".join(map(DER_cert_to_PEM_cert, certificates)), safe="+=/")


def certificate_arn(digest: str) -> str:
    """What the access log calls a certificate, from the digest of its files."""
    parts = digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]
    return f"{CERTIFICATE_ARN_PREFIX}/{'-'.join(parts)}"


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _header_value(text: str) -> bytes:
    """Visible ASCII and blanks; names in a certificate may hold anything, a line's end among it."""
    return "".join(each if " " <= each <= "~" else quote(each) for each in text).encode("ascii")
