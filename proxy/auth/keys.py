"""The keys of an identity provider, and signatures checked with them: RS256 and nothing else (alb.md 3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWS
from jwt.exceptions import PyJWTError

from proxy.auth.tokens import Claims, NotJsonError, json_object, parse
from proxy.errors import KeysUnavailableError, TokenRejectedError

MAX_KEYS: Final = 10
MIN_RSA_BITS: Final = 2048

_JWS: Final = PyJWS(algorithms=["RS256"])


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of a JWKS by their `kid`; of a key without one the `kid` is empty."""

    keys: Mapping[str, PyJWK]

    def find(self, kid: str | None) -> PyJWK | None:
        """The key of this id; without an id the only key, if there is just one."""
        if kid is not None:
            return self.keys.get(kid)
        return next(iter(self.keys.values())) if len(self.keys) == 1 else None


def parse_keys(body: bytes) -> KeySet:
    """Read a JWKS. Keys that cannot have signed an RS256 token are passed over, as RFC 7517 5 says.

    Raises:
        KeysUnavailableError: It is none, or has more than 10 keys.
    """
    try:
        written = json_object(body).get("keys")
    except NotJsonError:
        written = None
    if not isinstance(written, list):
        raise KeysUnavailableError("JWKSResponseInvalid", "the answer is no JWKS")
    if len(written) > MAX_KEYS:
        raise KeysUnavailableError("JWKSKeyCountExceeded", f"the JWKS has {len(written)} keys, {MAX_KEYS} are allowed")
    keys: dict[str, PyJWK] = {}
    for each in written:
        key = _rsa_key(each)
        if key is not None:
            keys.setdefault(key.key_id or "", key)
    return KeySet(keys)


def _rsa_key(written: Any) -> PyJWK | None:
    if not isinstance(written, dict) or written.get("kty") != "RSA" or "d" in written:
        return None
    if written.get("use", "sig") != "sig" or written.get("alg", "RS256") != "RS256":
        return None
    operations = written.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations or not isinstance(written.get("kid", ""), str):
        return None
    try:
        key = PyJWK(written, algorithm="RS256")
    except (PyJWTError, ValueError, TypeError, ArithmeticError):
        return None
    public = key.key
    return key if isinstance(public, RSAPublicKey) and public.key_size >= MIN_RSA_BITS else None


def key_id(token: str) -> str | None:
    """The `kid` of a token that may be worth a look at the keys.

    Raises:
        TokenRejectedError: It is no token, or not of the one kind that is accepted.
    """
    try:
        header, _ = parse(token)
    except NotJsonError as error:
        raise TokenRejectedError("JWTRequestFormatInvalid", str(error)) from None
    if header.get("alg") != "RS256":
        raise TokenRejectedError("JWTRequestFormatInvalid", "alg is not RS256")
    if "crit" in header or "b64" in header:
        raise TokenRejectedError("JWTRequestFormatInvalid", "the header has crit or b64, which are not understood")
    kid = header.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise TokenRejectedError("JWTRequestFormatInvalid", "kid is not a text")
    return kid


def verified_claims(token: str, key: PyJWK) -> Claims:
    """The claims of a token that this key signed.

    Raises:
        TokenRejectedError: It did not.
    """
    try:
        payload = _JWS.decode_complete(token, key=key, algorithms=["RS256"])["payload"]
    except PyJWTError:
        raise TokenRejectedError("JWTSignatureValidationError", "the key of this token did not sign it") from None
    try:
        return json_object(payload)
    except NotJsonError as error:
        raise TokenRejectedError("JWTRequestFormatInvalid", str(error)) from None
