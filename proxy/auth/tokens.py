"""JSON Web Tokens: taken apart, and their claims checked. Time is an argument.

Signatures are PyJWT's business (`proxy.auth.keys`); claims are checked here, so that every refusal has its own reason
and nothing depends on a library's defaults.
"""

from __future__ import annotations

import json
import math
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any, Final

from proxy.config.model import JwtClaimConfig
from proxy.errors import LoginFailedError, TokenRejectedError

CLOCK_SKEW_SECONDS: Final = 60
"""How far the provider's clock may be ahead in `nbf` and `iat`; `exp` has no such grace."""
ASYMMETRIC: Final = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
"""What an ID token may be signed with: never `none`, never a shared secret."""

Claims = dict[str, Any]


class NotJsonError(ValueError):
    """Not a JSON object."""


def json_object(text: bytes | str) -> Claims:
    """Return the object; raise `NotJsonError` for everything else that a stranger may send."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise NotJsonError("this is no JSON") from None
    if not isinstance(value, dict):
        raise NotJsonError("this is no JSON object")
    return value


def parse(token: str) -> tuple[Claims, Claims]:
    """Return header and payload of a compact token (RFC 7515 3.1), unverified; raise `NotJsonError`."""
    parts = token.split(".")
    if len(parts) != 3:
        raise NotJsonError("a token has three parts")
    return _decoded(parts[0]), _decoded(parts[1])


def _decoded(part: str) -> Claims:
    try:
        if not part.isascii() or "+" in part or "/" in part:
            raise NotJsonError("this is no base64url")
        return json_object(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (Base64Error, ValueError):
        raise NotJsonError("a part of the token is no JSON object in base64url") from None


def number(value: Any) -> float | None:
    """A NumericDate (RFC 7519 2), None if it is something else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) else None


def check_id_token(token: str, *, issuer: str, client_id: str, nonce: str | None, now: float) -> str:
    """Check an ID token that came from the token endpoint; return its `sub` (OpenID Connect Core 3.1.3.7).

    Its signature is not looked at: it came over TLS from the token endpoint itself, for which 3.1.3.7, item 6, accepts
    the server's certificate, and the load balancer's configuration names no keys.

    Args:
        nonce: None after a refresh, where it need not be in there (OpenID Connect Core 12.2).

    Raises:
        LoginFailedError: AuthInvalidIdToken.
    """
    try:
        header, claims = parse(token)
    except NotJsonError as error:
        raise _bad_id_token(str(error)) from None
    if header.get("alg") not in ASYMMETRIC or "crit" in header:
        raise _bad_id_token(f"alg {str(header.get('alg'))[:20]!r} or crit is not accepted")
    if claims.get("iss") != issuer:
        raise _bad_id_token("iss is not the issuer")
    audience = claims.get("aud")
    if audience != client_id and not (isinstance(audience, list) and client_id in audience):
        raise _bad_id_token("aud does not name the client")
    has_several = isinstance(audience, list) and len(audience) > 1
    if (has_several or "azp" in claims) and claims.get("azp") != client_id:
        raise _bad_id_token("azp is not the client")
    expires = number(claims.get("exp"))
    if expires is None or expires <= now:
        raise _bad_id_token("exp is missing or over")
    if nonce is not None and claims.get("nonce") != nonce:
        raise _bad_id_token("nonce is not the one of this login")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not is_header_text(subject):
        raise _bad_id_token("sub is not a text that a header can hold")
    return subject


def is_header_text(text: str) -> bool:
    """Whether a header can hold it as it is: visible ASCII, blanks inside, not empty."""
    return bool(text) and text.isascii() and text.isprintable() and text.strip() == text


def _bad_id_token(why: str) -> LoginFailedError:
    return LoginFailedError("AuthInvalidIdToken", f"ID token: {why}")


def check_claims(claims: Mapping[str, Any], *, issuer: str, additional: tuple[JwtClaimConfig, ...], now: float) -> None:
    """Check the claims of a bearer token (alb.md 3.5).

    Raises:
        TokenRejectedError: With the reason of alb.md 9.3.
    """
    if _claim(claims, "iss") != issuer:
        raise TokenRejectedError("JWTClaimValueInvalid", "iss is not the issuer")
    if _date(claims, "exp") <= now:
        raise TokenRejectedError("JWTClaimValueInvalid", "exp is over")
    for name in ("nbf", "iat"):
        if name in claims and _date(claims, name) > now + CLOCK_SKEW_SECONDS:
            raise TokenRejectedError("JWTClaimValueInvalid", f"{name} is in the future")
    for config in additional:
        _check_additional(_claim(claims, config.name), config)


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    if claims.get(name) is None:
        raise TokenRejectedError("JWTClaimNotPresent", f"{name[:80]} is missing")
    return claims[name]


def _date(claims: Mapping[str, Any], name: str) -> float:
    seconds = number(_claim(claims, name))
    if seconds is None:
        raise TokenRejectedError("JWTClaimFormatInvalid", f"{name} is not a date in seconds")
    return seconds


def _check_additional(value: Any, config: JwtClaimConfig) -> None:
    """One of the accepted values has to be there, whatever else the claim says."""
    if config.format == "string-array":
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise TokenRejectedError("JWTClaimFormatInvalid", f"{config.name} is not a list of texts")
        found = value
    elif not isinstance(value, str):
        raise TokenRejectedError("JWTClaimFormatInvalid", f"{config.name} is not a text")
    else:
        found = value.split(" ") if config.format == "space-separated-values" else [value]
    if set(found).isdisjoint(config.values):
        raise TokenRejectedError("JWTClaimValueInvalid", f"{config.name} has none of the accepted values")
