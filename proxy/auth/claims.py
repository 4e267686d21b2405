"""The headers that tell a target who the user is (alb.md 3.4).

`x-amzn-oidc-data` is a token signed with ES256. Its key follows from the cookie key: every worker has the same one, a
restart keeps it, and nothing has to be stored. Its base64url keeps the padding, as the load balancer's does, which most
libraries refuse unless told.
"""

from __future__ import annotations

import json
import uuid
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from proxy.auth.session import Session
from proxy.http1.sealed import Sealer

HEADERS: Final = frozenset((b"x-amzn-oidc-accesstoken", b"x-amzn-oidc-identity", b"x-amzn-oidc-data"))
"""What only the gateway may say to a target."""
SIGNER: Final = "arn:aws:elasticloadbalancing:local:000000000000:loadbalancer/app/strangler-fig/0000000000000000"
DATA_SECONDS: Final = 120
"""How long `x-amzn-oidc-data` is good: a target checks it as the request comes."""

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the group of P-256 (FIPS 186-4 D.1.2.3)."""


class ClaimsSigner:
    """Signs claims for targets.

    Attributes:
        kid: The key's id.
        public_key: PEM, for targets that check signatures.
    """

    def __init__(self, sealer: Sealer) -> None:
        # 16 bytes more than the order has, so that no key is likelier than another (FIPS 186-4 B.4.1).
        chance = int.from_bytes(sealer.derive(b"x-amzn-oidc-data ES256", 48), "big")
        self._key = ec.derive_private_key(chance % (_ORDER - 1) + 1, ec.SECP256R1())
        self.public_key = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.kid = str(uuid.UUID(bytes=sha256(self.public_key).digest()[:16]))

    def headers(self, session: Session, issuer: str, client_id: str, now: float) -> list[tuple[bytes, bytes]]:
        """The three headers of a request by this user."""
        return [
            (b"x-amzn-oidc-accesstoken", session.access_token.encode()),
            (b"x-amzn-oidc-identity", session.subject.encode()),
            (b"x-amzn-oidc-data", self._data(session, issuer, client_id, int(now) + DATA_SECONDS)),
        ]

    def _data(self, session: Session, issuer: str, client_id: str, expires: int) -> bytes:
        header = {
            "typ": "JWT",
            "kid": self.kid,
            "alg": "ES256",
            "iss": issuer,
            "client": client_id,
            "signer": SIGNER,
            "exp": expires,
        }
        signed = _part(header) + b"." + _part({**session.claims, "exp": expires, "iss": issuer})
        r, s = decode_dss_signature(self._key.sign(signed, ec.ECDSA(SHA256())))
        return signed + b"." + urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def _part(value: dict[str, Any]) -> bytes:
    return urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode())
