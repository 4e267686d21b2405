"""Sessions in cookies, state and nonce, and the signer of claims (alb.md 3.4)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.auth.claims import ClaimsSigner
from proxy.auth.outcome import Passed
from proxy.auth.session import MAX_COOKIE_BYTES, Session, SessionCookies
from proxy.auth.state import State, check_nonce, nonce_cookie, nonce_of, unsealed
from proxy.errors import ClaimsTooLargeError, LoginFailedError
from proxy.http1.sealed import Sealer
from proxy.rules.request import RequestView

NOW = 1_800_000_000.0
SEALER = Sealer(b"one key")
COOKIES = SessionCookies("AWSELBAuthSessionCookie", b"a client")
TEXT = st.text(max_size=50)
CLAIMS = st.dictionaries(TEXT, st.recursive(TEXT | st.integers() | st.none(), st.lists, max_leaves=5), max_size=5)


def session(**changes: object) -> Session:
    values: dict[str, object] = {
        "subject": "user-1",
        "claims": {"sub": "user-1"},
        "access_token": "a",
        "access_until": NOW + 300,
        "refresh_token": "r",
        "logged_in_at": NOW,
    }
    return Session(**{**values, **changes})  # type: ignore[arg-type]


def as_sent(lines: list[bytes]) -> list[bytes]:
    return [b"; ".join(line.partition(b";")[0] for line in lines)]


@given(TEXT, CLAIMS, TEXT, st.none() | st.floats(0, 1e10), TEXT)
def test_a_session_comes_back(subject: str, claims: dict[str, object], token: str, until: float, refresh: str) -> None:
    written = session(subject=subject, claims=claims, access_token=token, access_until=until, refresh_token=refresh)
    lines = COOKIES.write(written, SEALER, NOW, held=[], cross_site=False)
    assert COOKIES.read(as_sent(lines), SEALER, NOW) == written


@pytest.mark.parametrize("size", [0, 1000, 2900, 3000, 6000, 11_000])
def test_no_cookie_is_over_4_k_and_the_last_ones_are_not_empty(size: int) -> None:
    lines = COOKIES.write(session(access_token="x" * size), SEALER, NOW, held=[], cross_site=True)
    assert 1 <= len(lines) <= 4
    assert all(len(line) <= MAX_COOKIE_BYTES and re.match(rb"[^=]+-[0-3]=[^;]", line) for line in lines)
    assert all(line.endswith(b"; Path=/; Secure; HttpOnly; SameSite=None") for line in lines)


@pytest.mark.parametrize(
    "changes",
    [{"access_token": "x" * 11_300}, {"claims": {"a": "x" * 11_300}}, {"refresh_token": "x" * 12_000}],
    ids=["access token over 11 K", "claims over 11 K", "more than four cookies"],
)
def test_what_is_too_large_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ClaimsTooLargeError):
        COOKIES.write(session(**changes), SEALER, NOW, held=[], cross_site=False)


def test_shards_of_a_longer_session_are_taken_away() -> None:
    long = COOKIES.write(session(access_token="x" * 9000), SEALER, NOW, held=[], cross_site=False)
    short = COOKIES.write(session(), SEALER, NOW, held=as_sent(long), cross_site=False)
    assert [line.partition(b"=")[0][-2:] for line in short] == [b"-0", b"-1", b"-2", b"-3"][: len(long)]
    assert all(b"=; Expires=Thu, 01 Jan 1970" in line for line in short[1:])


@pytest.mark.parametrize(
    ("cookies", "sealer", "now"),
    [
        (SessionCookies("AWSELBAuthSessionCookie", b"other client"), SEALER, NOW),
        (SessionCookies("Other", b"a client"), SEALER, NOW),
        (COOKIES, Sealer(b"two key"), NOW),
        (COOKIES, SEALER, NOW + 15 * 24 * 3600),
    ],
    ids=["another client", "another name", "another key", "after two weeks"],
)
def test_a_session_counts_where_it_belongs_only(cookies: SessionCookies, sealer: Sealer, now: float) -> None:
    lines = COOKIES.write(session(), SEALER, NOW, held=[], cross_site=False)
    renamed = [line.replace(b"AWSELBAuthSessionCookie", b"Other") for line in lines]
    assert cookies.read(as_sent([*lines, *renamed]), sealer, now) is None


def test_a_state_is_for_its_client_and_15_minutes() -> None:
    state = State("app.example.com", "/a?b=c", "secret")
    sealed = state.sealed(SEALER, b"a client", NOW).encode()
    assert unsealed(sealed, SEALER, b"a client", NOW + 899) == state
    assert unsealed(sealed, SEALER, b"a client", NOW + 901) is None
    assert unsealed(sealed, SEALER, b"another", NOW) is None
    assert unsealed(sealed[:-5], SEALER, b"a client", NOW) is None
    assert "secret" not in state.public_nonce


def test_a_browser_keeps_its_nonce_for_logins_in_several_tabs() -> None:
    nonce = nonce_of([], SEALER, NOW)
    sent = as_sent([nonce_cookie(nonce, SEALER, NOW)])
    assert nonce_of(sent, SEALER, NOW + 60) == nonce
    assert nonce_of(sent, SEALER, NOW + 901) != nonce
    assert nonce_of([b"AWSALBAuthNonce=chosen"], SEALER, NOW) != "chosen"
    check_nonce(State("h", "/", nonce), sent, SEALER, NOW)
    with pytest.raises(LoginFailedError):
        check_nonce(State("h", "/", "other"), sent, SEALER, NOW)


def test_the_signing_key_follows_from_the_cookie_key() -> None:
    assert ClaimsSigner(Sealer(b"one key")).public_key == ClaimsSigner(SEALER).public_key
    assert ClaimsSigner(Sealer(b"two key")).kid != ClaimsSigner(SEALER).kid


def test_what_goes_on_has_the_gateways_headers_only() -> None:
    view = RequestView.of(
        "GET",
        "/",
        [
            ("Host", "a"),
            ("X-Amzn-Oidc-Data", "forged"),
            ("x_amzn_oidc-identity", "forged"),
            ("Connection", "close, X-Amzn-Oidc-Identity, authorization"),
        ],
    )
    result = Passed(((b"x-amzn-oidc-identity", b"u"),)).apply(view)
    assert result.headers == [(b"Host", b"a"), (b"Connection", b"close"), (b"x-amzn-oidc-identity", b"u")]
