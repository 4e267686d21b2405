"""A certificate for the listeners of a comparison: the same for every proxy."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "bench.example.com"


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files; `bundle` is certificate and key in one, as HAProxy takes them."""

    certificate: Path
    key: Path
    bundle: Path


def make(directory: Path) -> Certificate:
    """Write a self-signed ECDSA P-256 certificate, valid for a day, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files = Certificate(directory / "web.pem", directory / "web.key", directory / "web.bundle.pem")
    files.certificate.write_bytes(public)
    files.key.write_bytes(private)
    files.bundle.write_bytes(public + private)
    return files
