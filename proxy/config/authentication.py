"""The actions before a routing action: OpenID Connect, Cognito and JWT (alb.md 3.4, 3.5).

They are checked, and refused until there is something behind them.
"""

from __future__ import annotations

import re
from typing import Any

from proxy.config.problem import Place, Report
from proxy.config.records import Effect, Field, Fields, ListOf, MapOf, OneOrMany, Record
from proxy.config.shapes import Boolean, Choice, Fault, Integer, Text

LONGEST_SESSION_SECONDS = 604_800


def _https_url(text: str) -> Fault | None:
    return None if re.fullmatch(r"https://[^\s/]+(/\S*)?", text) else Fault("invalid-value", "is not an https:// URL")


def _present(fields: Fields) -> bool:
    return True


def _claim_values_fit(fields: Fields) -> bool:
    if fields.find(_CLAIM_FORMAT) == "space-separated-values" and any(
        " " in value for value in fields.get(_CLAIM_VALUES, ())
    ):
        fields.error("invalid-value", _CLAIM_VALUES, "a value of space-separated-values cannot contain a blank")
    return True


def _claim_count(claims: tuple[Any, ...], place: Place, report: Report) -> tuple[Any, ...]:
    if len(claims) > 10:
        report.error("too-many-claims", place, f"here are {len(claims)} claims; at most 10 are allowed")
    return claims


def _own_claim(text: str) -> Fault | None:
    if text not in ("exp", "iss", "nbf", "iat"):
        return None
    return Fault("invalid-value", "is always checked and cannot be listed")


_URL = Text("an https:// URL", checks=(_https_url,))
_SESSION_FIELDS: tuple[Field[Any], ...] = (
    Field("session_cookie_name", Text("a cookie name", longest=256), "Default AWSELBAuthSessionCookie."),
    Field("session_timeout", Integer(1, LONGEST_SESSION_SECONDS, "seconds"), "In seconds; default 604800."),
    Field("scope", Text("a scope"), "Default openid."),
    Field(
        "authentication_request_extra_params",
        MapOf(
            Text("a parameter name"),
            Text("a parameter value"),
            "a mapping of up to 10 parameters",
            longest=10,
        ),
        "Added to the request to the authorization endpoint.",
    ),
    Field("on_unauthenticated_request", Choice("authenticate", "deny", "allow"), "Default authenticate."),
)
_CLIENT_ID = Field("client_id", Text("a client id"), "The client id.", required=True)
_CLAIM_FORMAT = Field(
    "format",
    Choice("single-string", "string-array", "space-separated-values"),
    "How the claim is written in the token.",
    required=True,
)
_CLAIM_VALUES = Field("values", OneOrMany(Text("a claim value", longest=256)), "Accepted values.", required=True)
_CLAIM = Record(
    "a claim",
    (
        _CLAIM_FORMAT,
        Field("name", Text("a claim name", longest=256, checks=(_own_claim,)), "The claim.", required=True),
        _CLAIM_VALUES,
    ),
    _claim_values_fit,
)

AUTHENTICATION: tuple[Field[bool], ...] = (
    Field(
        "authenticate-oidc",
        Record(
            "authenticate-oidc",
            (
                Field("issuer", _URL, "The issuer.", required=True),
                Field("authorization_endpoint", _URL, "Where users log in.", required=True),
                Field("token_endpoint", _URL, "Where codes become tokens.", required=True),
                Field("user_info_endpoint", _URL, "Where claims come from.", required=True),
                _CLIENT_ID,
                Field("client_secret", Text("a secret", secret=True), "Only as ${NAME}.", required=True),
                Field("use_existing_client_secret", Boolean(), "As in the API."),
                *_SESSION_FIELDS,
            ),
            _present,
        ),
        "Log in with an OpenID Connect provider first; HTTPS listeners only.",
        effect=Effect.LATER,
    ),
    Field(
        "authenticate-cognito",
        Record(
            "authenticate-cognito",
            (
                Field("user_pool_arn", Text("an ARN"), "The user pool.", required=True),
                Field("user_pool_client_id", Text("a client id"), "The client id.", required=True),
                Field("user_pool_domain", Text("a domain"), "The user pool's domain.", required=True),
                *_SESSION_FIELDS,
            ),
            _present,
        ),
        "Log in with a Cognito user pool first; HTTPS listeners only.",
        effect=Effect.LATER,
    ),
    Field(
        "jwt-validation",
        Record(
            "jwt-validation",
            (
                Field("issuer", Text("an issuer", longest=256), "The iss claim.", required=True),
                Field(
                    "jwks_endpoint",
                    Text("an https:// URL", longest=256, checks=(_https_url,)),
                    "Where the keys are.",
                    required=True,
                ),
                Field(
                    "additional_claims",
                    ListOf(_CLAIM, "a list of up to 10 claims").then(_claim_count),
                    "Claims to check beyond exp, iss, nbf and iat.",
                ),
            ),
            _present,
        ),
        "Check the bearer token first; HTTPS listeners only.",
        effect=Effect.LATER,
    ),
)
