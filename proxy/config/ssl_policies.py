"""The load balancer's predefined SSL policies: which TLS versions and ciphers a listener accepts.

Cipher names are OpenSSL's, in the order of preference. A cipher that the OpenSSL at hand does not have is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

TlsVersion = Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]

_GCM: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
)
_CBC: Final = (
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
)
_CBC_SHA1: Final = (
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
)
_WITHOUT_FORWARD_SECRECY: Final = ("AES128-GCM-SHA256", "AES128-SHA256", "AES256-GCM-SHA384", "AES256-SHA256")
_WITHOUT_FORWARD_SECRECY_SHA1: Final = ("AES128-SHA", "AES256-SHA")

_RESTRICTED: Final = _GCM
_FORWARD_SECRET: Final = _GCM + _CBC
_FORWARD_SECRET_SHA1: Final = _FORWARD_SECRET + _CBC_SHA1
_EXT1: Final = _FORWARD_SECRET + _WITHOUT_FORWARD_SECRECY
_EXT2: Final = _FORWARD_SECRET_SHA1 + _WITHOUT_FORWARD_SECRECY + _WITHOUT_FORWARD_SECRECY_SHA1


@dataclass(frozen=True, slots=True)
class SslPolicy:
    """The versions from `minimum` to `maximum`, and the ciphers up to TLS 1.2; those of TLS 1.3 are its own."""

    minimum: TlsVersion
    maximum: TlsVersion
    ciphers: tuple[str, ...] = ()


def _tls13(suffix: str, *, fips: bool) -> dict[str, SslPolicy]:
    names = {
        "1-3": SslPolicy("TLSv1.3", "TLSv1.3"),
        "1-2-Res": SslPolicy("TLSv1.2", "TLSv1.3", _RESTRICTED),
        "1-2": SslPolicy("TLSv1.2", "TLSv1.3", _FORWARD_SECRET),
        "1-2-Ext1": SslPolicy("TLSv1.2", "TLSv1.3", _EXT1),
        "1-2-Ext2": SslPolicy("TLSv1.2", "TLSv1.3", _EXT2),
        "1-1": SslPolicy("TLSv1.1", "TLSv1.3", _EXT2),
        "1-0": SslPolicy("TLSv1", "TLSv1.3", _EXT2),
    }
    if fips:
        names["1-2-Ext0"] = SslPolicy("TLSv1.2", "TLSv1.3", _FORWARD_SECRET_SHA1)
    return {f"ELBSecurityPolicy-TLS13-{name}-{suffix}": policy for name, policy in names.items()}


SSL_POLICIES: Final[dict[str, SslPolicy]] = {
    "ELBSecurityPolicy-2016-08": SslPolicy("TLSv1", "TLSv1.2", _EXT2),
    **_tls13("2021-06", fips=False),
    **_tls13("FIPS-2023-04", fips=True),
    "ELBSecurityPolicy-TLS-1-2-2017-01": SslPolicy("TLSv1.2", "TLSv1.2", _EXT1),
    "ELBSecurityPolicy-TLS-1-2-Ext-2018-06": SslPolicy("TLSv1.2", "TLSv1.2", _EXT2),
    "ELBSecurityPolicy-TLS-1-1-2017-01": SslPolicy("TLSv1.1", "TLSv1.2", _EXT2),
    "ELBSecurityPolicy-TLS-1-0-2015-04": SslPolicy("TLSv1", "TLSv1.2", (*_EXT2, "DES-CBC3-SHA")),
    "ELBSecurityPolicy-2015-05": SslPolicy("TLSv1", "TLSv1.2", _EXT2),
    "ELBSecurityPolicy-FS-1-2-Res-2020-10": SslPolicy("TLSv1.2", "TLSv1.2", _RESTRICTED),
    "ELBSecurityPolicy-FS-1-2-Res-2019-08": SslPolicy("TLSv1.2", "TLSv1.2", _FORWARD_SECRET),
    "ELBSecurityPolicy-FS-1-2-2019-08": SslPolicy("TLSv1.2", "TLSv1.2", _FORWARD_SECRET_SHA1),
    "ELBSecurityPolicy-FS-1-1-2019-08": SslPolicy("TLSv1.1", "TLSv1.2", _FORWARD_SECRET_SHA1),
    "ELBSecurityPolicy-FS-2018-06": SslPolicy("TLSv1", "TLSv1.2", _FORWARD_SECRET_SHA1),
}
DEFAULT_SSL_POLICY: Final = "ELBSecurityPolicy-2016-08"
"""What the API takes for a listener that names none."""
