"""`jwt-validation`: the bearer token is checked and goes on unchanged (alb.md 3.5)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from proxy.auth.jwks import KeySets
from proxy.auth.keys import KeySet, key_id, verified_claims
from proxy.auth.outcome import Later, Outcome, Passed
from proxy.auth.tokens import check_claims
from proxy.config.model import JwtValidationConfig
from proxy.errors import TokenRejectedError
from proxy.rules.request import RequestView


class Validation:
    """One `jwt-validation` action.

    Args:
        clock: Seconds since 1970.
    """

    __slots__ = ("_clock", "_config", "_key_sets")

    def __init__(self, config: JwtValidationConfig, key_sets: KeySets, clock: Callable[[], float]) -> None:
        self._config = config
        self._key_sets = key_sets
        self._clock = clock

    def begin(self, view: RequestView) -> Outcome | Later:
        """Check the request's token, at once if the keys are at hand.

        Raises:
            TokenRejectedError, KeysUnavailableError
        """
        token = bearer_token(view)
        kid = key_id(token)
        keys = self._key_sets.at_hand(self._config.jwks_endpoint, kid)
        return partial(self._later, token, kid) if keys is None else self._check(token, kid, keys)

    async def _later(self, token: str, kid: str | None) -> Outcome:
        return self._check(token, kid, await self._key_sets.fetch(self._config.jwks_endpoint))

    def _check(self, token: str, kid: str | None, keys: KeySet) -> Passed:
        key = keys.find(kid)
        if key is None:
            raise TokenRejectedError("JWTSignatureValidationError", "the JWKS has no key for this token")
        claims = verified_claims(token, key)
        config = self._config
        check_claims(claims, issuer=config.issuer, additional=config.additional_claims, now=self._clock())
        return Passed()


def bearer_token(view: RequestView) -> str:
    """The token of the one Authorization header (RFC 6750 2.1).

    Raises:
        TokenRejectedError: JWTHeaderNotPresent, JWTRequestFormatInvalid.
    """
    values = view.header_values(b"authorization")
    if not values:
        raise TokenRejectedError("JWTHeaderNotPresent", "there is no Authorization header")
    if len(values) > 1:
        raise TokenRejectedError("JWTRequestFormatInvalid", "there are several Authorization headers")
    scheme, _, token = values[0].partition(b" ")
    if scheme.lower() != b"bearer":
        raise TokenRejectedError("JWTHeaderNotPresent", "the Authorization header has no bearer token")
    try:
        return token.strip(b" ").decode("ascii")
    except UnicodeDecodeError:
        raise TokenRejectedError("JWTRequestFormatInvalid", "the token is not ASCII") from None
