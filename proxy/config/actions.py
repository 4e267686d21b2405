"""The actions of a rule and of a default (alb.md 3), and the transforms before them (alb.md 4)."""

from __future__ import annotations

import re
from typing import Any, Literal

from proxy.config.model import ActionConfig, FixedResponseConfig, ForwardConfig, RedirectConfig
from proxy.config.problem import Place, Report
from proxy.config.records import Effect, Either, Field, Fields, ListOf, MapOf, OneOrMany, Record
from proxy.config.regexes import regex_fault
from proxy.config.shapes import Boolean, Check, Choice, Fault, Integer, IntegerOrWord, Shape, Text, printable

MAX_WEIGHT = 999
MAX_TARGET_GROUPS = 5
LONGEST_STICKINESS_SECONDS = 604_800

# Names


def _hyphens_inside(text: str) -> Fault | None:
    if not text.startswith("-") and not text.endswith("-"):
        return None
    return Fault("invalid-value", "begins or ends with a hyphen")


TARGET_GROUP_NAME = Text(
    "a target group name",
    longest=32,
    allowed="[A-Za-z0-9-]",
    allowed_words="letters, digits and hyphens",
    checks=(_hyphens_inside,),
)

# forward


def _forward_to_one(name: str, place: Place, report: Report) -> ForwardConfig:
    return ForwardConfig(((name, 1),), place)


def _forward_by_weight(weights: dict[str, int], place: Place, report: Report) -> ForwardConfig:
    if len(weights) == 1 and 0 in weights.values():
        (name,) = weights
        message = f"the weight of a single target group is 1 to {MAX_WEIGHT}; write forward: {name}"
        report.error("out-of-range", place.of(name), message)
    elif len(weights) > 1 and not any(weights.values()):
        message = "every weight is 0: no target group can be chosen and each request gets a 503"
        report.warning("all-weights-zero", place, message)
    return ForwardConfig(tuple(weights.items()), place)


FORWARD: Field[ForwardConfig] = Field(
    "forward",
    Either(
        TARGET_GROUP_NAME.then(_forward_to_one),
        MapOf(
            TARGET_GROUP_NAME,
            Integer(0, MAX_WEIGHT),
            f"a mapping of 1 to {MAX_TARGET_GROUPS} target group names to weights",
            longest=MAX_TARGET_GROUPS,
            too_long="too-many-target-groups-in-action",
        ).then(_forward_by_weight),
    ),
    "A target group, or up to five with their weights (0 to 999); the share is weight / sum of weights.",
)

_STICKINESS_ENABLED = Field("enabled", Boolean(), "Whether it is on; default true.")
_STICKINESS_SECONDS = Field(
    "duration_seconds",
    Integer(1, LONGEST_STICKINESS_SECONDS, "seconds"),
    "How long a client keeps its target group.",
)


def _stickiness(fields: Fields) -> bool:
    enabled = fields.get(_STICKINESS_ENABLED, True)
    if enabled and not fields.has(_STICKINESS_SECONDS):
        fields.report.error("missing-key", fields.place, "duration_seconds is missing: stickiness needs it")
    return enabled


FORWARD_STICKINESS: Field[bool] = Field(
    "stickiness",
    Record("stickiness", (_STICKINESS_ENABLED, _STICKINESS_SECONDS), _stickiness),
    "Target group stickiness of this forward.",
    effect=Effect.LATER,
    default=False,
)

# redirect

_PLACEHOLDER = re.compile(r"#\{(\w*)\}?")


def _placeholders(known: tuple[str, ...], *, once: bool) -> Check:
    def check(text: str) -> Fault | None:
        found = _PLACEHOLDER.findall(text)
        if set(found) - set(known) or text.count("#") != len(re.findall(r"#\{\w+\}", text)):
            words = " ".join(f"#{{{name}}}" for name in known)
            return Fault("invalid-placeholder", f"has a # that begins no placeholder of this field; known: {words}")
        if once and len(found) != len(set(found)):
            return Fault("invalid-placeholder", "has the same placeholder twice; each may come once")
        return None

    return check


def _not_encoded(text: str) -> Fault | None:
    return Fault("invalid-value", "contains %, but must not be percent-encoded") if "%" in text else None


def _begins_with_slash(text: str) -> Fault | None:
    return None if text.startswith("/") else Fault("invalid-value", "must begin with /")


def _no_question_mark_first(text: str) -> Fault | None:
    return Fault("invalid-value", "begins with ?, which is added by itself") if text.startswith("?") else None


def _host_characters(text: str) -> Fault | None:
    if re.fullmatch(r"(?:[A-Za-z0-9._*?-]|#\{host\})+", text):
        return None
    return Fault("invalid-value", "is not a host: letters, digits, - . and #{host}; a port goes into port")


REDIRECT_PROTOCOL = Field("protocol", Choice("HTTP", "HTTPS", "#{protocol}"), "Default #{protocol}.")
REDIRECT_HOST = Field(
    "host",
    Text(
        "a redirect host",
        longest=128,
        checks=(_placeholders(("host",), once=True), _not_encoded, _host_characters),
    ),
    "Default #{host}.",
)
REDIRECT_PORT = Field(
    "port",
    IntegerOrWord(Integer(1, 65535, texts=True), "#{port}"),
    "A number, or #{port} in quotes, which is the default.",
)
REDIRECT_PATH = Field(
    "path",
    Text(
        "a redirect path",
        longest=128,
        checks=(
            printable,
            _begins_with_slash,
            _not_encoded,
            _placeholders(("host", "path", "port"), once=True),
        ),
    ),
    "Begins with /; #{path} is the path without its leading slash. Default /#{path}.",
)
REDIRECT_QUERY = Field(
    "query",
    Text(
        "a redirect query",
        shortest=0,
        longest=128,
        checks=(
            printable,
            _no_question_mark_first,
            _placeholders(("protocol", "host", "port", "path", "query"), once=False),
        ),
    ),
    "Without its ?. In YAML it needs quotes. Default #{query}.",
)
REDIRECT_STATUS = Field("status_code", Choice("HTTP_301", "HTTP_302"), "HTTP_301 or HTTP_302.", required=True)


def _redirect(fields: Fields) -> RedirectConfig:
    status: Literal[301, 302] = 301 if fields.find(REDIRECT_STATUS) == "HTTP_301" else 302
    port = fields.get(REDIRECT_PORT, "#{port}")
    redirect = RedirectConfig(
        status,
        fields.get(REDIRECT_PROTOCOL, "#{protocol}"),
        fields.get(REDIRECT_HOST, "#{host}"),
        str(port),
        fields.get(REDIRECT_PATH, "/#{path}"),
        fields.get(REDIRECT_QUERY, "#{query}"),
        fields.place,
    )
    moved = (REDIRECT_PROTOCOL, REDIRECT_HOST, REDIRECT_PORT, REDIRECT_PATH)
    refused = any(fields.has(field) and fields.find(field) is None for field in moved)
    as_requested = (redirect.protocol, redirect.host, redirect.port, redirect.path) == (
        "#{protocol}",
        "#{host}",
        "#{port}",
        "/#{path}",
    )
    if as_requested and not refused:
        message = "this redirect leads to itself: change protocol, host, port or path; the query is not enough"
        fields.report.error("redirect-loop", fields.place, message)
    return redirect


REDIRECT: Field[RedirectConfig] = Field(
    "redirect",
    Record(
        "redirect",
        (REDIRECT_PROTOCOL, REDIRECT_HOST, REDIRECT_PORT, REDIRECT_PATH, REDIRECT_QUERY, REDIRECT_STATUS),
        _redirect,
    ),
    "Answers with another URL.",
)

# fixed-response


def _fixed_status(status: int, place: Place, report: Report) -> int | None:
    if 300 <= status <= 399:
        report.error("out-of-range", place, f"{status} is not 200 to 299 or 400 to 599: use redirect")
        return None
    return status


FIXED_STATUS = Field(
    "status_code",
    Integer(200, 599, texts=True).then(_fixed_status),
    "200 to 299 or 400 to 599.",
    required=True,
)
FIXED_TYPE = Field(
    "content_type",
    Choice("text/plain", "text/css", "text/html", "application/javascript", "application/json"),
    "The media type of the body.",
)
FIXED_BODY = Field("message_body", Text("a message body", shortest=0, longest=1024), "Up to 1024 characters.")


def _fixed_response(fields: Fields) -> FixedResponseConfig:
    return FixedResponseConfig(
        fields.get(FIXED_STATUS, 503), fields.find(FIXED_TYPE), fields.get(FIXED_BODY, ""), fields.place
    )


FIXED_RESPONSE: Field[FixedResponseConfig] = Field(
    "fixed-response",
    Record("fixed-response", (FIXED_STATUS, FIXED_TYPE, FIXED_BODY), _fixed_response),
    "Answers by itself.",
)

# Authentication: checked, and refused until there is something behind it


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
    Field("session_timeout", Integer(1, LONGEST_STICKINESS_SECONDS, "seconds"), "In seconds; default 604800."),
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

# transforms

_REWRITE = Record(
    "a rewrite",
    (
        Field("regex", Text("a regular expression", checks=(regex_fault,)), "What is searched.", required=True),
        Field("replace", Text("a replacement", shortest=0), "What stands instead; $1 is a group.", required=True),
    ),
    _present,
)
_TRANSFORM_FIELDS = (
    Field("url-rewrite", _REWRITE, "Rewrites path and query."),
    Field("host-header-rewrite", _REWRITE, "Rewrites the Host header."),
)


def _transform_type(fields: Fields) -> str | None:
    return next((field.name for field in _TRANSFORM_FIELDS if fields.has(field)), None)


def _one_of_each(types: tuple[str, ...], place: Place, report: Report) -> tuple[str, ...]:
    for twice in sorted({name for name in types if types.count(name) > 1}):
        report.error("duplicate-transform", place, f"{twice} comes more than once; a rule has one of each type")
    return types


TRANSFORMS: Field[tuple[str, ...]] = Field(
    "transforms",
    ListOf(Record("a transform", _TRANSFORM_FIELDS, _transform_type, exactly_one=True), "a list of transforms").then(
        _one_of_each
    ),
    "Rewrites before the action; which rule matched does not change.",
    effect=Effect.LATER,
    default=(),
)

# Action of a rule or a default

_ROUTING: tuple[Field[Any], ...] = (FORWARD, REDIRECT, FIXED_RESPONSE)
ACTION_FIELDS: tuple[Field[Any], ...] = (*_ROUTING, FORWARD_STICKINESS, *AUTHENTICATION)


def action_of(fields: Fields) -> ActionConfig:
    """The one routing action among the fields of a rule or a default; a stand-in after an error."""
    given = [field for field in _ROUTING if fields.has(field)]
    names = ", ".join(field.name for field in _ROUTING)
    if not given:
        fields.report.error("missing-action", fields.place, f"there is no action; give one of {names}")
    elif len(given) > 1:
        both = " and ".join(field.name for field in given)
        fields.error("several-actions", given[1], f"{both} cannot stand together; give one of {names}")
    if fields.has(FORWARD_STICKINESS) and not fields.has(FORWARD):
        fields.error("conflicting-keys", FORWARD_STICKINESS, "stickiness belongs to forward, which is not here")
    first = [field for field in AUTHENTICATION if fields.has(field)]
    if len(first) > 1:
        both = " and ".join(field.name for field in first)
        fields.error("several-actions", first[1], f"{both} cannot stand together; give one")
    return next((value for field in given if (value := fields.find(field))), FixedResponseConfig(503))


DEFAULT_ACTION: Shape[ActionConfig] = Record("the default", ACTION_FIELDS, action_of)
