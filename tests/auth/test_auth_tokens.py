"""Additional claims (alb.md 3.5); everything else about tokens is in tests/live/test_live_auth.py."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.auth.tokens import NotJsonError, check_claims, is_header_text, number, parse
from proxy.config.model import JwtClaimConfig
from proxy.errors import TokenRejectedError

NOW = 1_800_000_000.0
SINGLE, ARRAY, SPACES = (
    JwtClaimConfig("role", written, ("admin", "writer"))  # type: ignore[arg-type]
    for written in ("single-string", "string-array", "space-separated-values")
)


def judged(value: Any, claim: JwtClaimConfig) -> str:
    claims = {"iss": "i", "exp": NOW + 1, "role": value}
    try:
        check_claims(claims, issuer="i", additional=(claim,), now=NOW)
    except TokenRejectedError as error:
        return error.reason
    return "good"


@pytest.mark.parametrize(
    ("claim", "value", "verdict"),
    [
        (SINGLE, "writer", "good"),
        (SINGLE, "writer admin", "JWTClaimValueInvalid"),
        (SINGLE, "Writer", "JWTClaimValueInvalid"),
        (SINGLE, ["writer"], "JWTClaimFormatInvalid"),
        (SINGLE, None, "JWTClaimNotPresent"),
        (ARRAY, ["reader", "admin"], "good"),
        (ARRAY, ["reader"], "JWTClaimValueInvalid"),
        (ARRAY, [], "JWTClaimValueInvalid"),
        (ARRAY, "admin", "JWTClaimFormatInvalid"),
        (ARRAY, ["admin", 1], "JWTClaimFormatInvalid"),
        (SPACES, "reader writer", "good"),
        (SPACES, "reader", "JWTClaimValueInvalid"),
        (SPACES, "", "JWTClaimValueInvalid"),
        (SPACES, ["writer"], "JWTClaimFormatInvalid"),
    ],
)
def test_an_additional_claim(claim: JwtClaimConfig, value: Any, verdict: str) -> None:
    assert judged(value, claim) == verdict


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize(("ahead", "good"), [(0, True), (60, True), (61, False)])
def test_a_clock_may_be_a_minute_ahead(name: str, ahead: int, good: bool) -> None:
    claims = {"iss": "i", "exp": NOW + 1, name: NOW + ahead}
    if good:
        check_claims(claims, issuer="i", additional=(), now=NOW)
    else:
        with pytest.raises(TokenRejectedError):
            check_claims(claims, issuer="i", additional=(), now=NOW)


@given(st.text() | st.text("eyJ.-_0", max_size=30))
def test_whatever_is_sent_as_a_token_is_taken_apart_or_refused(text: str) -> None:
    try:
        header, claims = parse(text)
    except NotJsonError:
        return
    assert isinstance(header, dict)
    assert isinstance(claims, dict)


@given(st.text())
def test_a_header_text_cannot_end_its_line(text: str) -> None:
    if is_header_text(text):
        assert text.encode("ascii").strip() == text.encode()
        assert not set(text) & set("\r\n\0")


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), float("inf"), 10**400, [1]])
def test_what_is_no_date(value: Any) -> None:
    assert number(value) is None
