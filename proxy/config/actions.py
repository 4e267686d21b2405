"""The actions of a rule and of a default (alb.md 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from proxy.config.authentication import AUTHENTICATION
from proxy.config.model import ActionConfig, AuthenticationConfig, FixedResponseConfig, ForwardConfig
from proxy.config.problem import Place, Report
from proxy.config.records import Either, Field, Fields, MapOf, Record
from proxy.config.redirect import REDIRECT
from proxy.config.shapes import Boolean, Choice, Fault, Integer, Shape, Text

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
    return ForwardConfig(((name, 1),), place=place)


def _forward_by_weight(weights: dict[str, int], place: Place, report: Report) -> ForwardConfig:
    if len(weights) == 1 and 0 in weights.values():
        (name,) = weights
        message = f"the weight of a single target group is 1 to {MAX_WEIGHT}; write forward: {name}"
        report.error("out-of-range", place.of(name), message)
    elif len(weights) > 1 and not any(weights.values()):
        message = "every weight is 0: no target group can be chosen and each request gets a 503"
        report.warning("all-weights-zero", place, message)
    return ForwardConfig(tuple(weights.items()), place=place)


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


def _stickiness(fields: Fields) -> int:
    """The duration in seconds, 0 for off."""
    enabled = fields.get(_STICKINESS_ENABLED, True)
    if enabled and not fields.has(_STICKINESS_SECONDS):
        fields.report.error("missing-key", fields.place, "duration_seconds is missing: stickiness needs it")
    return fields.get(_STICKINESS_SECONDS, 0) if enabled else 0


FORWARD_STICKINESS: Field[int] = Field(
    "stickiness",
    Record("stickiness", (_STICKINESS_ENABLED, _STICKINESS_SECONDS), _stickiness),
    "Target group stickiness of this forward.",
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

# Action of a rule or a default

_ROUTING: tuple[Field[Any], ...] = (FORWARD, REDIRECT, FIXED_RESPONSE)
ACTION_FIELDS: tuple[Field[Any], ...] = (*_ROUTING, FORWARD_STICKINESS, *AUTHENTICATION)


@dataclass(frozen=True, slots=True)
class Actions:
    """The routing action of a rule or a default, and what comes before it (alb.md 3)."""

    authentication: AuthenticationConfig | None
    routing: ActionConfig


def actions_of(fields: Fields) -> Actions:
    """What the fields of a rule or a default say it does; a fixed response stands in after an error."""
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
    routing: ActionConfig = next((value for field in given if (value := fields.find(field))), FixedResponseConfig(503))
    if isinstance(routing, ForwardConfig):
        routing = replace(routing, stickiness_seconds=fields.find(FORWARD_STICKINESS) or None)
    return Actions(next((value for field in first if (value := fields.find(field))), None), routing)


DEFAULT_ACTIONS: Shape[Actions] = Record("the default", ACTION_FIELDS, actions_of)
