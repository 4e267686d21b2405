"""What is known of a client's TLS connection, for headers and logs: pure (alb.md 6.4, 9.1, 9.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

MTLS_HEADERS: Final = frozenset(
    {
        b"x-amzn-mtls-clientcert",
        b"x-amzn-mtls-clientcert-serial-number",
        b"x-amzn-mtls-clientcert-issuer",
        b"x-amzn-mtls-clientcert-subject",
        b"x-amzn-mtls-clientcert-validity",
        b"x-amzn-mtls-clientcert-leaf",
    }
)
TLS_HEADERS: Final = frozenset({b"x-amzn-tls-version", b"x-amzn-tls-cipher-suite"})
CERTIFICATE_ARN_PREFIX: Final = "arn:aws:acm:local:000000000000:certificate"
SESSION_REUSED: Final = "session-reused"


@dataclass(frozen=True)
class ClientCertificate:
    """The verified certificate of a client, in the load balancer's words. Parsed when something first asks."""

    der: bytes

    @cached_property
    def _parsed(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)

    @cached_property
    def serial_number(self) -> str:
        """In hexadecimal, as `openssl x509 -serial` prints it."""
        digits = f"{self._parsed.serial_number:X}"
        return digits if len(digits) % 2 == 0 else f"0{digits}"

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
        return quote(self._parsed.public_bytes(Encoding.PEM).decode("ascii"), safe="+=/")

    def header_lines(self) -> bytes:
        """What a target gets in mode verify (alb.md 6.4)."""
        values = {
            "Serial-Number": self.serial_number,
            "Issuer": self.issuer,
            "Subject": self.subject,
            "Validity": self.validity,
            "Leaf": self.leaf,
        }
        return b"".join(
            b"X-Amzn-Mtls-Clientcert-%s: %s\r\n" % (name.encode(), _header_value(value))
            for name, value in values.items()
        )


@dataclass(frozen=True, slots=True)
class TlsSession:
    """One TLS connection of a client, after its handshake.

    Attributes:
        version, cipher: In OpenSSL's spelling, as the load balancer's.
        server_name: What the client asked for by SNI, if a certificate is for it; else empty.
        certificate: The ARN that stands for the certificate it got, or `session-reused`; empty when unknown.
        handshake_seconds: From the first byte to the last of the handshake.
        verifies: Whether the listener demands client certificates.
        client_certificate: The client's, when it was verified.
    """

    version: str
    cipher: str
    server_name: str = ""
    certificate: str = ""
    handshake_seconds: float = 0.0
    verifies: bool = False
    client_certificate: ClientCertificate | None = field(default=None, repr=False)

    def header_lines(self, *, version_and_cipher: bool) -> bytes:
        """The lines that a target gets besides X-Forwarded-* (alb.md 6.4)."""
        lines = b""
        if version_and_cipher:
            lines += b"X-Amzn-Tls-Version: %s\r\nX-Amzn-Tls-Cipher-Suite: %s\r\n" % (
                self.version.encode(),
                self.cipher.encode(),
            )
        if self.client_certificate is not None:
            lines += self.client_certificate.header_lines()
        return lines

    def removed_headers(self, *, version_and_cipher: bool) -> frozenset[bytes]:
        """Fields that a client cannot send through: a target would take them for the gateway's own."""
        own = MTLS_HEADERS if self.verifies else frozenset()
        return own | TLS_HEADERS if version_and_cipher else own


def certificate_arn(digest: str) -> str:
    """What the access log calls a certificate, from the digest of its files."""
    parts = digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]
    return f"{CERTIFICATE_ARN_PREFIX}/{'-'.join(parts)}"


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _header_value(text: str) -> bytes:
    """Visible ASCII and blanks; names in a certificate may hold anything, a line's end among it."""
    return "".join(each if " " <= each <= "~" else quote(each) for each in text).encode("ascii")
