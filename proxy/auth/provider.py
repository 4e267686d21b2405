"""Requests to identity providers: bounded in time and size, without cookies, redirects, proxies or kept connections.

httpx's transport is used and not its client, which would mix the cookies of all users (OpenID Connect has none here).
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_plus, urlencode

import httpx

from proxy.auth.tokens import Claims, NotJsonError, is_header_text, json_object, number
from proxy.config.model import LoginConfig
from proxy.errors import ClaimsTooLargeError, LoginError, LoginFailedError, LoginRefusedError

TIMEOUT_SECONDS: Final = 5.0
"""For the whole of a request and its answer (alb.md 3.4, 3.5)."""
MAX_ANSWER_BYTES: Final = 150 * 1024
"""The limit of a JWKS (alb.md 3.5); here for all answers."""


class RequestFailed(Exception):
    """No connection, or it broke."""


class RequestTimeout(Exception):
    """No complete answer within 5 s."""


class AnswerTooLarge(Exception):
    """The answer is over 150 KB."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a token endpoint gave. `expires_in` is None, and the others empty, where it did not say."""

    access_token: str
    id_token: str
    refresh_token: str
    expires_in: float | None


class Fetcher:
    """Asks identity providers. Certificates are verified; `SSL_CERT_FILE` adds an authority of one's own."""

    def __init__(self, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout_seconds
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def fetch(self, method: str, url: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
        """Return status and body.

        Raises:
            RequestFailed, RequestTimeout, AnswerTooLarge: There is no whole answer.
        """
        if self._transport is None:
            # No idle connections: providers are asked seldom, and nothing has to be closed at the end.
            limits = httpx.Limits(max_connections=100, max_keepalive_connections=0)
            context = httpx.create_ssl_context(trust_env=True)
            self._transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        request = httpx.Request(method, url, headers=headers, content=body)
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._transport.handle_async_request(request)
                try:
                    return response.status_code, await _read(response)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException):
            raise RequestTimeout(f"no answer within {self._timeout:g} s") from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise RequestFailed(type(error).__name__) from None


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for piece in response.stream:
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise AnswerTooLarge(f"the answer is over {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


async def ask_for_tokens(fetcher: Fetcher, config: LoginConfig, form: dict[str, str]) -> Tokens:
    """Ask the token endpoint (RFC 6749 4.1.3, 6). The client names itself by HTTP Basic, which every server must
    take (RFC 6749 2.3.1); one without a secret in the form.

    Raises:
        LoginError: AuthTokenEpRequestFailed, AuthTokenEpRequestTimeout.
        LoginFailedError: AuthInvalidGrantError, AuthInvalidTokenResponse.
        LoginRefusedError: Another error code.
    """
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if config.client_secret:
        pair = f"{quote_plus(config.client_id)}:{quote_plus(config.client_secret)}"
        headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
    else:
        form = {**form, "client_id": config.client_id}
    try:
        status, body = await fetcher.fetch("POST", config.token_endpoint, headers, urlencode(form).encode())
    except RequestTimeout as error:
        raise LoginError("AuthTokenEpRequestTimeout", f"token endpoint: {error}") from None
    except RequestFailed as error:
        raise LoginError("AuthTokenEpRequestFailed", f"token endpoint: {error}") from None
    except AnswerTooLarge as error:
        raise LoginFailedError("AuthInvalidTokenResponse", f"token endpoint: {error}") from None
    if 400 <= status <= 499:
        _raise_error_code(status, body)
    if status != 200:
        raise LoginError("AuthTokenEpRequestFailed", f"token endpoint: status {status}")
    return _tokens(body)


def _raise_error_code(status: int, body: bytes) -> None:
    try:
        code = str(json_object(body).get("error"))[:80]
    except NotJsonError:
        raise LoginError("AuthTokenEpRequestFailed", f"token endpoint: status {status} without an error code") from None
    if code == "invalid_grant":
        raise LoginFailedError(
            "AuthInvalidGrantError", "token endpoint: the code or refresh token is not good any more"
        )
    raise LoginRefusedError("Auth.ProviderError", f"token endpoint: {code!r}")


def _tokens(body: bytes) -> Tokens:
    try:
        answer = json_object(body)
    except NotJsonError as error:
        raise LoginFailedError("AuthInvalidTokenResponse", f"token endpoint: {error}") from None
    access_token = answer.get("access_token")
    if not isinstance(access_token, str) or not is_header_text(access_token) or " " in access_token:
        raise LoginFailedError("AuthInvalidTokenResponse", "token endpoint: no access_token that a header can hold")
    if str(answer.get("token_type")).lower() != "bearer":
        raise LoginFailedError("AuthInvalidTokenResponse", "token endpoint: token_type is not Bearer")
    expires_in = answer.get("expires_in")
    if isinstance(expires_in, str) and expires_in.isascii() and expires_in.isdigit() and len(expires_in) < 12:
        expires_in = int(expires_in)
    return Tokens(access_token, _text(answer, "id_token"), _text(answer, "refresh_token"), number(expires_in))


def _text(answer: Claims, name: str) -> str:
    value = answer.get(name)
    return value if isinstance(value, str) else ""


async def ask_for_claims(fetcher: Fetcher, config: LoginConfig, access_token: str, subject: str) -> Claims:
    """Ask the user info endpoint (OpenID Connect Core 5.3).

    Raises:
        LoginError: AuthUserinfoEpRequestFailed, AuthUserinfoEpRequestTimeout.
        LoginFailedError: AuthInvalidUserinfoResponse: no JSON, or about another user than the ID token.
        ClaimsTooLargeError: The answer is over every limit.
    """
    headers = {"Authorization": f"Bearer {access_token}"}
    try:
        status, body = await fetcher.fetch("GET", config.user_info_endpoint, headers)
    except RequestTimeout as error:
        raise LoginError("AuthUserinfoEpRequestTimeout", f"user info endpoint: {error}") from None
    except RequestFailed as error:
        raise LoginError("AuthUserinfoEpRequestFailed", f"user info endpoint: {error}") from None
    except AnswerTooLarge as error:
        raise ClaimsTooLargeError("AuthUserinfoResponseSizeExceeded", f"user info endpoint: {error}") from None
    if status != 200:
        raise LoginError("AuthUserinfoEpRequestFailed", f"user info endpoint: status {status}")
    try:
        claims = json_object(body)
    except NotJsonError as error:
        raise LoginFailedError("AuthInvalidUserinfoResponse", f"user info endpoint: {error}") from None
    if claims.get("sub") != subject:
        raise LoginFailedError("AuthInvalidUserinfoResponse", "user info endpoint: sub is not the ID token's")
    return claims
