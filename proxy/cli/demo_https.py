"""The demo's HTTPS listener: a certificate of its own, made at each start and signed by nobody."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

REDIRECTED_HOST: Final = "secure.localhost"
"""Who asks for it over HTTP is sent on to HTTPS; names under localhost are this machine (RFC 6761 6.3)."""
CERTIFICATE_FILE: Final = "demo.pem"
KEY_FILE: Final = "demo.key"
DAYS: Final = 30

_RULE: Final = """
      - name: to-https                        # BY HOST: the same request again, over HTTPS; the demo adds this rule
        priority: 5
        conditions:
          - host-header: {host}     # browsers and curl know that this is this machine
        redirect:
          protocol: HTTPS
          port: "{port}"
          status_code: HTTP_301
"""
_LISTENER: Final = """
  - name: secure                              # the demo adds this listener, with a certificate made at its start
    port: {port}
    protocol: HTTPS
    certificates:
      - certificate_file: {certificate}
        private_key_file: {key}
    ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06
    default: {{forward: monolith}}

"""


def with_https(table: str, port: int) -> str:
    """The repository's `routes.yaml` with an HTTPS listener, and a rule that redirects to it."""
    head, rules, rest = table.partition("\n    rules:")
    comment, newline, rest = rest.partition("\n")
    listeners, groups, rest = rest.partition("\ntarget_groups:")
    rule = _RULE.format(host=REDIRECTED_HOST, port=port)[1:]
    listener = _LISTENER.format(port=port, certificate=CERTIFICATE_FILE, key=KEY_FILE)[:-1]
    return head + rules + comment + newline + rule + "\n" + listeners.rstrip("\n") + "\n" + listener + groups + rest


def write_certificate(folder: Path) -> None:
    """Write `CERTIFICATE_FILE` and `KEY_FILE`, self-signed, for localhost and the other names of this machine.

    Raises:
        OSError: The folder cannot be written to.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "strangler demo")])
    began = datetime.now(UTC) - timedelta(hours=1)
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName(REDIRECTED_HOST)]
    names += [x509.IPAddress(ip_address(address)) for address in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / CERTIFICATE_FILE).write_bytes(certificate.public_bytes(Encoding.PEM))
    path = folder / KEY_FILE
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
