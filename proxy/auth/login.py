"""`authenticate-oidc` and `authenticate-cognito`: a user logs in once and is known from then on (alb.md 3.4).

no session       -> on_unauthenticated_request: to the authorization endpoint, 401, or on without claims
callback         -> code to tokens, tokens to claims, session cookies, back to where the user wanted to go
session          -> on with the user's claims
access token old -> refreshed first, if there is a refresh token
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Final
from urllib.parse import parse_qs, quote, urlencode

from proxy.auth.claims import ClaimsSigner
from proxy.auth.flight import SingleFlight
from proxy.auth.outcome import Later, Outcome, Passed
from proxy.auth.provider import Fetcher, Tokens, ask_for_claims, ask_for_tokens
from proxy.auth.session import Session, SessionCookies
from proxy.auth.state import NONCE_GONE, State, check_nonce, nonce_cookie, nonce_of, unsealed
from proxy.auth.tokens import check_id_token
from proxy.config.model import LoginConfig
from proxy.errors import BadRequestError, LoginFailedError, LoginRefusedError, RedirectTooLongError
from proxy.http1.pages import page
from proxy.http1.sealed import Sealer
from proxy.observe.metrics import AuthSeries
from proxy.rules.actions import MAX_LOCATION_BYTES, Reply
from proxy.rules.request import RequestView, raw_path

CALLBACK: Final = b"/oauth2/idpresponse"
MAX_REFRESHED: Final = 1000
REFRESHED_SECONDS: Final = 30.0
"""How long a refreshed session is remembered for requests that still bring the old cookies."""

_HOST: Final = re.compile(rb"(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_STANDS_RAW: Final = "!#$%&'()*+,/:;=?@[]~"


class Login:
    """One login action.

    Args:
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        config: LoginConfig,
        sealer: Sealer,
        signer: ClaimsSigner,
        fetcher: Fetcher,
        series: AuthSeries,
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._sealer = sealer
        self._signer = signer
        self._fetcher = fetcher
        self._series = series
        self._clock = clock
        # A session or state of one client is nonsense for every other.
        parts = (config.issuer, config.client_id, config.token_endpoint, config.user_info_endpoint)
        self._client = sha256("\0".join(parts).encode()).digest()
        self._cookies = SessionCookies(config.session_cookie_name, self._client)
        self._refreshing = SingleFlight[Session]()
        self._refreshed: dict[str, tuple[float, Session]] = {}

    def begin(self, view: RequestView) -> Outcome | Later:
        """Decide on a request that is not a callback; only a refresh has to wait.

        Raises:
            LoginFailedError: The rule denies it, or there is no Host to come back to.
        """
        now = self._clock()
        lines = view.header_values(b"cookie")
        session = self._cookies.read(lines, self._sealer, now)
        if session is None:
            return self._without_session(view, now, has_cookies=self._cookies.are_in(lines))
        if session.logged_in_at + self._config.session_timeout_seconds <= now:
            return self._after_session(view, now)
        if not session.needs_refresh(now):
            return self._with_session(session, now)
        return partial(self._with_refreshed, session, view)

    # Without a session

    def _without_session(self, view: RequestView, now: float, *, has_cookies: bool) -> Outcome:
        """Nobody knows who this is. Cookies that cannot be read (another key, changed) are no information at all."""
        wanted = self._config.on_unauthenticated_request
        if wanted == "deny":
            reason = "AuthInvalidCookie" if has_cookies else "Auth.Denied"
            raise LoginFailedError(reason, "the rule denies requests without a session")
        return Passed() if wanted == "allow" else self._to_provider(view, now)

    def _after_session(self, view: RequestView, now: float) -> Outcome:
        """The session is over: even `deny` sends the user to log in again (alb.md 3.4)."""
        return Passed() if self._config.on_unauthenticated_request == "allow" else self._to_provider(view, now)

    def _to_provider(self, view: RequestView, now: float) -> Reply:
        """302 to the authorization endpoint (OpenID Connect Core 3.1.2.1)."""
        host = host_of(view)
        nonce = nonce_of(view.header_values(b"cookie"), self._sealer, now)
        state = State(host, uri_of(view), nonce)
        config = self._config
        parameters = {
            **dict(config.extra_params),
            "client_id": config.client_id,
            "redirect_uri": redirect_uri(host),
            "response_type": "code",
            "scope": config.scope,
            "state": state.sealed(self._sealer, self._client, now),
            "nonce": state.public_nonce,
        }
        mark = "&" if "?" in config.authorization_endpoint else "?"
        location = f"{config.authorization_endpoint}{mark}{urlencode(parameters, quote_via=quote)}"
        return _found(location, [nonce_cookie(nonce, self._sealer, now)])

    # With a session

    def _with_session(self, session: Session, now: float, cookies: tuple[bytes, ...] = ()) -> Passed:
        config = self._config
        return Passed(tuple(self._signer.headers(session, config.issuer, config.client_id, now)), cookies)

    async def _with_refreshed(self, session: Session, view: RequestView) -> Outcome:
        """Go on with new claims; a provider that will not refresh has the user log in again."""
        lines = view.header_values(b"cookie")
        try:
            session = await self._refresh(session)
            now = self._clock()
            cross_site = b"origin" in view.fields
            cookies = self._cookies.write(session, self._sealer, now, held=lines, cross_site=cross_site)
        except (LoginFailedError, LoginRefusedError):
            return self._after_session(view, self._clock())
        return self._with_session(session, now, tuple(cookies))

    async def _refresh(self, session: Session) -> Session:
        """The session after a refresh, which is made once for all requests that bring the same refresh token.

        Providers that give each refresh token once take a second use for theft.
        """
        key = session.refresh_token
        known = self._refreshed.get(key)
        if known is not None and self._clock() - known[0] < REFRESHED_SECONDS:
            return known[1]
        return await self._refreshing.do(key, lambda: self._ask_again(session))

    async def _ask_again(self, session: Session) -> Session:
        config = self._config
        form = {"grant_type": "refresh_token", "refresh_token": session.refresh_token}
        tokens = await ask_for_tokens(self._fetcher, config, form)
        now = self._clock()
        subject = session.subject
        if tokens.id_token:
            found = check_id_token(
                tokens.id_token, issuer=config.issuer, client_id=config.client_id, nonce=None, now=now
            )
            if found != subject:
                raise LoginFailedError("AuthInvalidIdToken", "the refreshed ID token is about another user")
        claims = await ask_for_claims(self._fetcher, config, tokens.access_token, subject)
        refreshed = replace(
            session,
            claims=claims,
            access_token=tokens.access_token,
            access_until=_until(tokens, now),
            refresh_token=tokens.refresh_token or session.refresh_token,
        )
        self._remember(session.refresh_token, refreshed)
        self._series.refreshed += 1
        return refreshed

    def _remember(self, refresh_token: str, session: Session) -> None:
        now = self._clock()
        kept = self._refreshed
        while kept and (len(kept) >= MAX_REFRESHED or now - next(iter(kept.values()))[0] >= REFRESHED_SECONDS):
            del kept[next(iter(kept))]
        kept.pop(refresh_token, None)
        kept[refresh_token] = (now, session)

    # The callback

    def state_in(self, view: RequestView) -> State | None:
        """The state that a callback brings, if it is one of this client's."""
        value = _parameters(view).get("state", "")
        return unsealed(value.encode(), self._sealer, self._client, self._clock()) if value else None

    def complete(self, view: RequestView, state: State | None) -> Later:
        """End a login: check what the browser brings, ask the provider, and send the user back.

        Raises:
            LoginFailedError: State, nonce or code are missing or not those of a login in this browser.
            LoginRefusedError: The provider sends an error code; `access_denied` is a `LoginFailedError`.
        """
        parameters = _parameters(view)
        if not parameters.get("state"):
            raise LoginFailedError("AuthMissingStateParam", "the callback has no state")
        if state is None:
            raise LoginFailedError("AuthInvalidStateParam", "the state is not of this login, or over 15 minutes old")
        if host_of(view) != state.host:
            raise LoginFailedError("AuthInvalidStateParam", "the login began on another host")
        check_nonce(state, view.header_values(b"cookie"), self._sealer, self._clock())
        if "error" in parameters:
            code = parameters["error"][:80]
            if code == "access_denied":
                raise LoginFailedError("Auth.AccessDenied", "the identity provider denied access")
            raise LoginRefusedError("Auth.ProviderError", f"authorization endpoint: {code!r}")
        if not parameters.get("code"):
            raise LoginFailedError("AuthMissingCodeParam", "the callback has no code")
        return partial(self._complete, view, state, parameters["code"])

    async def _complete(self, view: RequestView, state: State, code: str) -> Outcome:
        config = self._config
        began = time.perf_counter()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri(state.host)}
        try:
            tokens = await ask_for_tokens(self._fetcher, config, form)
            now = self._clock()
            if not tokens.id_token:
                raise LoginFailedError("AuthInvalidTokenResponse", "token endpoint: no id_token; has the scope openid?")
            subject = check_id_token(
                tokens.id_token,
                issuer=config.issuer,
                client_id=config.client_id,
                nonce=state.public_nonce,
                now=now,
            )
            claims = await ask_for_claims(self._fetcher, config, tokens.access_token, subject)
        finally:
            self._series.took(time.perf_counter() - began)
        session = Session(subject, claims, tokens.access_token, _until(tokens, now), tokens.refresh_token, now)
        held = view.header_values(b"cookie")
        cookies = self._cookies.write(session, self._sealer, now, held=held, cross_site=b"origin" in view.fields)
        self._series.succeeded += 1
        return _found(f"https://{state.host}{state.uri}", [*cookies, NONCE_GONE])


def redirect_uri(host: str) -> str:
    """Where the provider sends the browser back to (alb.md 3.4)."""
    return f"https://{host}{CALLBACK.decode()}"


def host_of(view: RequestView) -> str:
    """The Host with its port, in lower case.

    Raises:
        LoginFailedError: AuthMissingHostHeader; there is nothing to make a redirect URL of (alb.md 8).
        BadRequestError: It is no host name.
    """
    if not view.host_port:
        raise LoginFailedError("AuthMissingHostHeader", "without a Host there is no URL to come back to")
    if _HOST.fullmatch(view.host_port) is None:
        raise BadRequestError("a login needs a Host header with a host name")
    return view.host_port.decode()


def uri_of(view: RequestView) -> str:
    """Path and query of a request as received, without what a URI cannot hold; always begins with a slash."""
    path = raw_path(view.target)
    if not path.startswith(b"/"):
        path = b"/"
    uri = path + (b"?" + view.query if view.query else b"")
    return quote(uri, safe=_STANDS_RAW)


def is_callback(view: RequestView) -> bool:
    """Whether this is the path that providers send browsers back to."""
    return view.path == CALLBACK


def _parameters(view: RequestView) -> dict[str, str]:
    """The first value of each parameter of a callback."""
    try:
        found = parse_qs(view.query.decode("ascii"), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}


def _until(tokens: Tokens, now: float) -> float | None:
    return None if tokens.expires_in is None else now + tokens.expires_in


def _found(location: str, cookies: list[bytes]) -> Reply:
    if len(location) > MAX_LOCATION_BYTES:
        raise RedirectTooLongError(f"the Location has {len(location)} bytes, {MAX_LOCATION_BYTES} are allowed")
    headers = [(b"Location", location.encode()), (b"Content-Type", b"text/html"), (b"Cache-Control", b"no-store")]
    headers += [(b"Set-Cookie", cookie) for cookie in cookies]
    return Reply(302, tuple(headers), page(302))
