"""The certificate files that a table names: read, taken apart and judged (alb.md 1.1).

    Config --with_certificates--> the same with what the files say, and every problem with them

A private key is looked at and not kept: the TLS contexts load it from its file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from proxy.config.model import CertificateConfig, CertificateFacts, Config, ListenerConfig
from proxy.config.problem import Place, Problem

MAX_FILE_BYTES: Final = 1024 * 1024
"""Far more than any chain or trust store has."""
MAX_FURTHER_CERTIFICATES: Final = 25
"""Beside the default certificate, unless AWS raises it (alb.md 1.1)."""


@dataclass(slots=True)
class TableFiles:
    """Reads the files that a table names, relative to its folder, and remembers which were asked for."""

    directory: Path
    asked: list[Path] = field(default_factory=list)

    def read(self, name: str, most_bytes: int = MAX_FILE_BYTES) -> bytes:
        """The file's bytes; raise `CertificateError` saying why there are none."""
        path = self.directory / name
        self.asked.append(path)
        try:
            with path.open("rb") as file:
                content = file.read(most_bytes + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise CertificateError("unreadable", f"cannot read {path}: {reason}") from None
        if len(content) > most_bytes:
            raise CertificateError("too-large", f"{path} is longer than {most_bytes} bytes: no such file is")
        return content


class CertificateError(Exception):
    """A file that cannot be used: a problem code, and what to say."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def with_certificates(config: Config, files: TableFiles, now: datetime | None = None) -> tuple[Config, list[Problem]]:
    """The table with what its certificate files say, their paths resolved; and what is wrong or doubtful with them."""
    problems: list[Problem] = []
    moment = now or datetime.now(UTC)
    listeners = tuple(_listener(listener, files, moment, problems) for listener in config.listeners)
    return replace(config, listeners=listeners), problems


def _listener(listener: ListenerConfig, files: TableFiles, now: datetime, problems: list[Problem]) -> ListenerConfig:
    certificates = tuple(_certificate(each, files, now, problems) for each in listener.certificates)
    further = len(certificates) - 1
    if further > MAX_FURTHER_CERTIFICATES:
        message = f"{further} certificates beside the default; a load balancer has {MAX_FURTHER_CERTIFICATES}"
        problems.append(_warning("too-many-certificates", listener.place.of("certificates"), message))
    mutual = listener.mutual_authentication
    if mutual.mode == "verify" and mutual.trust_store_file:
        place = mutual.place.of("trust_store_file")
        try:
            content = files.read(mutual.trust_store_file)
            parse_certificates(content, mutual.trust_store_file)
        except CertificateError as error:
            problems.append(Problem("error", error.code, place, str(error)))
        else:
            path = str(files.directory / mutual.trust_store_file)
            mutual = replace(mutual, trust_store_file=path, digest=_digest(content))
    return replace(listener, certificates=certificates, mutual_authentication=mutual)


def _certificate(
    written: CertificateConfig, files: TableFiles, now: datetime, problems: list[Problem]
) -> CertificateConfig:
    place = written.place.of("certificate_file")
    try:
        chain = files.read(written.certificate_file)
        leaf = parse_certificates(chain, written.certificate_file)[0]
        place = written.place.of("private_key_file")
        key = files.read(written.private_key_file)
        judge_key(key, leaf, written)
        place = written.place.of("certificate_file")
        facts = facts_of(leaf, _digest(chain + key))
    except CertificateError as error:
        problems.append(Problem("error", error.code, place, str(error)))
        return written
    if not facts.not_before <= now <= facts.not_after:
        word, day = ("has expired on", facts.not_after) if now > facts.not_after else ("begins on", facts.not_before)
        message = f"the certificate in {written.certificate_file} {word} {day:%Y-%m-%d}: clients will refuse it"
        problems.append(_warning("certificate-not-valid", place, message))
    return replace(
        written,
        certificate_file=str(files.directory / written.certificate_file),
        private_key_file=str(files.directory / written.private_key_file),
        facts=facts,
    )


def parse_certificates(content: bytes, name: str) -> list[x509.Certificate]:
    """The certificates of a PEM file, at least one; raise `CertificateError`."""
    try:
        return x509.load_pem_x509_certificates(content)
    except (ValueError, UnsupportedAlgorithm):
        message = f"{name} is no PEM file of certificates (it begins with -----BEGIN CERTIFICATE-----)"
        raise CertificateError("bad-certificate", message) from None


def judge_key(content: bytes, leaf: x509.Certificate, written: CertificateConfig) -> None:
    """Raise `CertificateError` unless this is the unencrypted private key of the certificate."""
    name = written.private_key_file
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:
        message = f"the key in {name} is encrypted: give it without a passphrase (openssl pkey -in {name} -out ...)"
        raise CertificateError("encrypted-key", message) from None
    except (ValueError, UnsupportedAlgorithm):
        message = f"{name} is no PEM file of a private key (it begins with -----BEGIN PRIVATE KEY-----)"
        raise CertificateError("bad-private-key", message) from None
    if _public_bytes(key.public_key()) != _public_bytes(leaf.public_key()):
        message = (
            f"the key in {name} is not that of the certificate in {written.certificate_file}, "
            "whose first certificate must be the server's own: give the two files of one pair"
        )
        raise CertificateError("key-mismatch", message)


def facts_of(leaf: x509.Certificate, digest: str = "") -> CertificateFacts:
    """What the choice among certificates looks at; raise `CertificateError` for a key that a server cannot have."""
    key = leaf.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise CertificateError("bad-certificate", "the certificate's key is neither RSA nor ECDSA: make one that is")
    signature_hash = leaf.signature_hash_algorithm
    return CertificateFacts(
        names=names_of(leaf),
        key_algorithm="ECDSA" if isinstance(key, ec.EllipticCurvePublicKey) else "RSA",
        key_bits=key.key_size,
        is_signed_with_md5=signature_hash is not None and signature_hash.name == "md5",
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        digest=digest,
    )


def names_of(leaf: x509.Certificate) -> tuple[str, ...]:
    """The host names it is for, in lower case: the alternative names, or without those the common name (RFC 6125)."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        names = [str(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(dict.fromkeys(name.lower() for name in names))


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _warning(code: str, place: Place, message: str) -> Problem:
    return Problem("warning", code, place, message)
