"""The actions before a routing action: OpenID Connect, Cognito and JWT (alb.md 3.4, 3.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

from proxy.config.model import AuthenticationConfig, JwtClaimConfig, JwtValidationConfig, LoginConfig
from proxy.config.problem import Place, Report
from proxy.config.records import Field, Fields, ListOf, MapOf, OneOrMany, Record
from proxy.config.shapes import Boolean, Choice, Fault, Integer, Shape, Text

LONGEST_SESSION_SECONDS: Final = 604_800
MAX_CLAIMS: Final = 10
MAX_CLAIM_VALUES: Final = 10
MAX_EXTRA_PARAMS: Final = 10
LOOPBACK: Final = frozenset(("127.0.0.1", "::1", "localhost"))
"""Where plain `http://` endpoints are accepted."""
OWN_PARAMS: Final = ("client_id", "client_secret", "nonce", "redirect_uri", "response_type", "scope", "state")
"""Parameters of the request to the authorization endpoint that the flow sets itself."""

# Endpoints


def _endpoint(text: str) -> Fault | None:
    if not re.fullmatch(r"https?://[\x21-\x7e]+", text) or "#" in text:
        return Fault("invalid-value", "is not an https:// URL")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return Fault("invalid-value", "is not an https:// URL with a host name and a port")
    if not url.hostname or port == 0:
        return Fault("invalid-value", "is not an https:// URL with a host name")
    if url.username is not None or url.password is not None:
        return Fault("invalid-value", "has a user name in it, which an endpoint cannot have")
    if url.scheme != "https" and url.hostname not in LOOPBACK:
        return Fault(
            "invalid-value", "is not an https:// URL; http:// is accepted on 127.0.0.1, ::1 and localhost only"
        )
    return None


def _warn_of_plain_http(url: str, place: Place, report: Report) -> str:
    if url.startswith("http:"):
        message = "the endpoint is plain http: good on this machine for trying out, refused by the load balancer"
        report.warning("plain-http", place, message)
    return url


def _url(longest: int = 1024) -> Shape[str]:
    return Text("an https:// URL", longest=longest, checks=(_endpoint,)).then(_warn_of_plain_http)


# Logins

_COOKIE_NAME = Text(
    "a cookie name",
    longest=256,
    allowed="[A-Za-z0-9!#$%&'*+.^_`|~-]",
    allowed_words="letters, digits and !#$%&'*+-.^_`|~",
)


def _visible(text: str) -> Fault | None:
    return None if text.isprintable() else Fault("invalid-character", "contains a character that is not printable")


def _extra_params(params: dict[str, str], place: Place, report: Report) -> tuple[tuple[str, str], ...]:
    for name in params:
        if name.lower() in OWN_PARAMS:
            report.error(
                "invalid-value", place.of(name), f"{name} is set by the load balancer and cannot be given here"
            )
    return tuple(params.items())


_COOKIE = Field("session_cookie_name", _COOKIE_NAME, "Default AWSELBAuthSessionCookie.")
_TIMEOUT = Field("session_timeout", Integer(1, LONGEST_SESSION_SECONDS, "seconds"), "In seconds; default 604800.")
_SCOPE = Field("scope", Text("a scope", checks=(_visible,)), "Default openid.")
_EXTRA_PARAMS = Field(
    "authentication_request_extra_params",
    MapOf(
        Text("a parameter name", checks=(_visible,)),
        Text("a parameter value", checks=(_visible,)),
        f"a mapping of up to {MAX_EXTRA_PARAMS} parameters",
        longest=MAX_EXTRA_PARAMS,
    ).then(_extra_params),
    "Added to the request to the authorization endpoint.",
)
_UNAUTHENTICATED = Field("on_unauthenticated_request", Choice("authenticate", "deny", "allow"), "Default authenticate.")
_SESSION_FIELDS: tuple[Field[Any], ...] = (_COOKIE, _TIMEOUT, _SCOPE, _EXTRA_PARAMS, _UNAUTHENTICATED)
_SECRET = Text("a secret", secret=True)


def _session(fields: Fields) -> dict[str, Any]:
    """The settings that both kinds of login have."""
    if "openid" not in fields.get(_SCOPE, "openid").split():
        message = (
            "the scope has no openid, without which no identity provider gives an ID token: each login ends with 401"
        )
        fields.report.warning("scope-without-openid", fields.at(_SCOPE), message)
    return {
        "session_cookie_name": fields.get(_COOKIE, LoginConfig.COOKIE_NAME),
        "session_timeout_seconds": fields.get(_TIMEOUT, LONGEST_SESSION_SECONDS),
        "scope": fields.get(_SCOPE, "openid"),
        "extra_params": fields.get(_EXTRA_PARAMS, ()),
        "on_unauthenticated_request": cast(Any, fields.get(_UNAUTHENTICATED, "authenticate")),
        "place": fields.place,
    }


_ISSUER = Field("issuer", _url(), "The issuer, as in the ID token's iss.", required=True)
_AUTHORIZATION = Field("authorization_endpoint", _url(), "Where users log in.", required=True)
_TOKEN = Field("token_endpoint", _url(), "Where codes become tokens.", required=True)
_USER_INFO = Field("user_info_endpoint", _url(), "Where claims come from.", required=True)
_CLIENT_ID = Field("client_id", Text("a client id", checks=(_visible,)), "The client id.", required=True)
_CLIENT_SECRET = Field("client_secret", _SECRET, "Only as ${NAME}.", required=True)
_EXISTING_SECRET = Field("use_existing_client_secret", Boolean(), "As in the API; the secret is always needed here.")


def _oidc(fields: Fields) -> LoginConfig:
    return LoginConfig(
        type="authenticate-oidc",
        issuer=fields.get(_ISSUER, ""),
        authorization_endpoint=fields.get(_AUTHORIZATION, ""),
        token_endpoint=fields.get(_TOKEN, ""),
        user_info_endpoint=fields.get(_USER_INFO, ""),
        client_id=fields.get(_CLIENT_ID, ""),
        client_secret=fields.get(_CLIENT_SECRET, ""),
        **_session(fields),
    )


_POOL_ARN = re.compile(r"arn:aws[a-z-]*:cognito-idp:([a-z0-9-]+):[0-9]{12}:userpool/([A-Za-z0-9_-]+)")
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")


def _pool_arn(text: str) -> Fault | None:
    if _POOL_ARN.fullmatch(text):
        return None
    return Fault("invalid-value", "is not arn:aws:cognito-idp:<region>:<account>:userpool/<id>")


def _domain(text: str) -> Fault | None:
    if _DOMAIN.fullmatch(text):
        return None
    return Fault("invalid-value", "is neither the prefix of a Cognito domain nor a host name")


_POOL = Field("user_pool_arn", Text("an ARN", checks=(_pool_arn,)), "The user pool.", required=True)
_POOL_CLIENT = Field("user_pool_client_id", Text("a client id", checks=(_visible,)), "The client id.", required=True)
_POOL_DOMAIN = Field(
    "user_pool_domain",
    Text("a domain", checks=(_domain,)),
    "The user pool's domain: its prefix, or a custom domain's full name.",
    required=True,
)
_LOCAL_SECRET = Field("client_secret", _SECRET, "The app client's, only as ${NAME}; an ALB asks Cognito for it.")
_LOCAL_ENDPOINT = Field("endpoint", _url(), "Base URL instead of the user pool's domain, for a stand-in of Cognito.")


@dataclass(frozen=True, slots=True)
class _Local:
    """What the load balancer finds out by itself."""

    client_secret: str = ""
    endpoint: str = ""


_LOCAL: Field[_Local] = Field(
    "local",
    Record(
        "local",
        (_LOCAL_SECRET, _LOCAL_ENDPOINT),
        lambda fields: _Local(fields.get(_LOCAL_SECRET, ""), fields.get(_LOCAL_ENDPOINT, "")),
    ),
    "What an ALB learns from Cognito itself.",
)


def _cognito(fields: Fields) -> LoginConfig:
    """The same login with what Cognito derives from the user pool and its domain."""
    local = fields.get(_LOCAL, _Local())
    if not fields.has(_LOCAL):
        message = (
            "the load balancer asks Cognito for the client's secret; here give it as local: {client_secret: ${NAME}}"
        )
        fields.report.warning("client-secret-missing", fields.place, f"{message} unless the app client has none")
    arn = _POOL_ARN.fullmatch(fields.get(_POOL, ""))
    region, pool = (arn[1], arn[2]) if arn else ("", "")
    domain = fields.get(_POOL_DOMAIN, "")
    base = f"https://{domain}" if "." in domain else f"https://{domain}.auth.{region}.amazoncognito.com"
    base = local.endpoint.rstrip("/") or base
    return LoginConfig(
        type="authenticate-cognito",
        issuer=f"https://cognito-idp.{region}.amazonaws.com/{pool}",
        authorization_endpoint=f"{base}/oauth2/authorize",
        token_endpoint=f"{base}/oauth2/token",
        user_info_endpoint=f"{base}/oauth2/userInfo",
        client_id=fields.get(_POOL_CLIENT, ""),
        client_secret=local.client_secret,
        **_session(fields),
    )


# Tokens


def _own_claim(text: str) -> Fault | None:
    if text not in ("exp", "iss", "nbf", "iat"):
        return None
    return Fault("invalid-value", "is always checked and cannot be listed")


_CLAIM_FORMAT = Field(
    "format",
    Choice("single-string", "string-array", "space-separated-values"),
    "How the claim is written in the token.",
    required=True,
)
_CLAIM_NAME = Field("name", Text("a claim name", longest=256, checks=(_own_claim,)), "The claim.", required=True)
_CLAIM_VALUES = Field("values", OneOrMany(Text("a claim value", longest=256)), "Accepted values.", required=True)


def _claim(fields: Fields) -> JwtClaimConfig:
    values = fields.get(_CLAIM_VALUES, ())
    claim_format = fields.get(_CLAIM_FORMAT, "single-string")
    if claim_format == "space-separated-values" and any(" " in value for value in values):
        fields.error("invalid-value", _CLAIM_VALUES, "a value of space-separated-values cannot contain a blank")
    if len(values) > MAX_CLAIM_VALUES:
        message = f"here are {len(values)} values; a claim has at most {MAX_CLAIM_VALUES}"
        fields.error("too-many-claims", _CLAIM_VALUES, message)
    return JwtClaimConfig(fields.get(_CLAIM_NAME, ""), cast(Any, claim_format), values)


def _claims(claims: tuple[JwtClaimConfig, ...], place: Place, report: Report) -> tuple[JwtClaimConfig, ...]:
    if len(claims) > MAX_CLAIMS:
        report.error("too-many-claims", place, f"here are {len(claims)} claims; at most {MAX_CLAIMS} are allowed")
    return claims


_JWT_ISSUER = Field("issuer", Text("an issuer", longest=256), "The iss claim.", required=True)
_JWKS = Field("jwks_endpoint", _url(256), "Where the keys are.", required=True)
_ADDITIONAL = Field(
    "additional_claims",
    ListOf(Record("a claim", (_CLAIM_FORMAT, _CLAIM_NAME, _CLAIM_VALUES), _claim), "a list of up to 10 claims").then(
        _claims
    ),
    "Claims to check beyond exp, iss, nbf and iat.",
)


def _jwt(fields: Fields) -> JwtValidationConfig:
    return JwtValidationConfig(
        fields.get(_JWT_ISSUER, ""), fields.get(_JWKS, ""), fields.get(_ADDITIONAL, ()), fields.place
    )


# Actions

AUTHENTICATION: tuple[Field[AuthenticationConfig], ...] = (
    Field(
        "authenticate-oidc",
        Record(
            "authenticate-oidc",
            (
                _ISSUER,
                _AUTHORIZATION,
                _TOKEN,
                _USER_INFO,
                _CLIENT_ID,
                _CLIENT_SECRET,
                _EXISTING_SECRET,
                *_SESSION_FIELDS,
            ),
            _oidc,
        ),
        "Log in with an OpenID Connect provider first; HTTPS listeners only.",
    ),
    Field(
        "authenticate-cognito",
        Record("authenticate-cognito", (_POOL, _POOL_CLIENT, _POOL_DOMAIN, *_SESSION_FIELDS, _LOCAL), _cognito),
        "Log in with a Cognito user pool first; HTTPS listeners only.",
    ),
    Field(
        "jwt-validation",
        Record("jwt-validation", (_JWT_ISSUER, _JWKS, _ADDITIONAL), _jwt),
        "Check the bearer token first; HTTPS listeners only.",
    ),
)
