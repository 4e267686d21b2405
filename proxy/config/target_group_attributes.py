"""Attributes of a target group, verbatim as in the ELBv2 API (alb.md 5.2 to 5.8)."""

from __future__ import annotations

import re
from typing import Any, cast

from proxy.config.model import StickinessConfig, TargetGroupAttributes
from proxy.config.records import Effect, Field, Fields, Record
from proxy.config.shapes import Boolean, Choice, Fault, Integer, IntegerOrWord, Text

_COOKIE_SECONDS = Integer(1, 604_800, "seconds")
_COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNHEALTHY_ROUTING = "target_group_health.unhealthy_state_routing.minimum_healthy_targets"
_DNS_FAILOVER = "target_group_health.dns_failover.minimum_healthy_targets"


def _slow_start(seconds: int, place: Any, report: Any) -> int | None:
    if 0 < seconds < 30:
        report.error("out-of-range", place, f"{seconds} is neither 0 (off) nor 30 to 900 seconds")
        return None
    return seconds


def _cookie_name(text: str) -> Fault | None:
    """RFC 6265 4.1.1; names that begin with AWSALB are reserved (alb.md 5.5)."""
    if not _COOKIE_NAME.fullmatch(text):
        return Fault("invalid-character", "is no cookie name: letters, digits and !#$%&'*+-.^_`|~ (RFC 6265)")
    if text.upper().startswith("AWSALB"):
        return Fault("invalid-value", "begins with AWSALB, which is the load balancer's own")
    return None


DEREGISTRATION_DELAY = Field(
    "deregistration_delay.timeout_seconds",
    Integer(0, 3600, "seconds"),
    "How long a target that leaves may finish its requests.",
    default=300,
)
ALGORITHM = Field(
    "load_balancing.algorithm.type",
    Choice("round_robin", "least_outstanding_requests", "weighted_random"),
    "How a target is chosen.",
    default="round_robin",
)
ANOMALY_MITIGATION = Field(
    "load_balancing.algorithm.anomaly_mitigation",
    Choice("off", "on"),
    "Whether anomalous targets get less; with weighted_random only.",
    default="off",
)
SLOW_START = Field(
    "slow_start.duration_seconds",
    Integer(0, 900, "seconds").then(_slow_start),
    "How long a new target's share grows: 0 for off, or 30 to 900; with round_robin only.",
    default=0,
)
STICKINESS = Field("stickiness.enabled", Boolean(), "Whether a client keeps its target.", default=False)
STICKINESS_TYPE = Field(
    "stickiness.type", Choice("lb_cookie", "app_cookie"), "Whose cookie it is.", default="lb_cookie"
)
LB_COOKIE_SECONDS = Field(
    "stickiness.lb_cookie.duration_seconds", _COOKIE_SECONDS, "How long a client keeps its target.", default=86_400
)
APP_COOKIE_SECONDS = Field(
    "stickiness.app_cookie.duration_seconds", _COOKIE_SECONDS, "How long a client keeps its target.", default=86_400
)
APP_COOKIE_NAME = Field(
    "stickiness.app_cookie.cookie_name",
    Text("a cookie name", longest=256, checks=(_cookie_name,)),
    "The application's cookie.",
)
MINIMUM_HEALTHY_COUNT = Field(
    f"{_UNHEALTHY_ROUTING}.count",
    Integer(1, 1000),
    "With fewer healthy targets all targets get requests.",
    default=1,
)
MINIMUM_HEALTHY_PERCENTAGE = Field(
    f"{_UNHEALTHY_ROUTING}.percentage",
    IntegerOrWord(Integer(1, 100), "off"),
    "With a smaller part healthy all targets get requests.",
    default="off",
)
DNS_FAILOVER_COUNT = Field(
    f"{_DNS_FAILOVER}.count", IntegerOrWord(Integer(1, 1000), "off"), "DNS failover.", effect=Effect.NONE
)
DNS_FAILOVER_PERCENTAGE = Field(
    f"{_DNS_FAILOVER}.percentage", IntegerOrWord(Integer(1, 100), "off"), "DNS failover.", effect=Effect.NONE
)
CROSS_ZONE = Field(
    "load_balancing.cross_zone.enabled",
    Choice("true", "false", "use_load_balancer_configuration"),
    "Cross-zone load balancing.",
    effect=Effect.NONE,
)
LAMBDA_MULTI_VALUE = Field(
    "lambda.multi_value_headers.enabled",
    Boolean(),
    "Lists of header and query values in the events of functions; with target_type lambda only.",
    default=False,
)


OF_FUNCTIONS = (LAMBDA_MULTI_VALUE, CROSS_ZONE, MINIMUM_HEALTHY_COUNT, MINIMUM_HEALTHY_PERCENTAGE)
"""What a group with a function may have; all others are for targets with an address (alb.md 5.4 to 5.8, 7)."""


def multi_value_headers(fields: Fields | None) -> bool:
    """Whether events have lists of header and query values (alb.md 7)."""
    return fields is not None and fields.get(LAMBDA_MULTI_VALUE, False)


def target_group_attributes(fields: Fields | None, *, is_function: bool) -> TargetGroupAttributes:
    """The attributes of a group, judged by what its targets are."""
    if fields is None:
        return TargetGroupAttributes()
    if is_function:
        for field in TARGET_GROUP_ATTRIBUTES.fields.values():
            if field not in OF_FUNCTIONS and fields.has(field) and fields.find(field) is not False:
                fields.error("not-for-target-type", field, f"{field.name} is for targets of type ip: remove it")
        if fields.get(CROSS_ZONE, "") == "false":
            message = "a function cannot be had with cross-zone load balancing off (alb.md 5.6): remove it"
            fields.error("not-for-target-type", CROSS_ZONE, message)
    elif multi_value_headers(fields):
        message = f"{LAMBDA_MULTI_VALUE.name} is for groups with target_type: lambda"
        fields.error("not-for-target-type", LAMBDA_MULTI_VALUE, message)
    defaults = TargetGroupAttributes()
    algorithm = fields.get(ALGORITHM, defaults.algorithm)
    slow_start_seconds = fields.get(SLOW_START, defaults.slow_start_seconds)
    percentage = fields.get(MINIMUM_HEALTHY_PERCENTAGE, "off")
    mitigation = fields.get(ANOMALY_MITIGATION, "off") == "on"
    if mitigation and algorithm != "weighted_random":
        remedy = f"{ALGORITHM.name}: weighted_random"
        fields.error("conflicting-keys", ANOMALY_MITIGATION, f"anomaly mitigation needs {remedy}")
    if slow_start_seconds and algorithm != "round_robin":
        effect = "it has no effect" if algorithm == "least_outstanding_requests" else "it is obeyed"
        message = f"the load balancer refuses slow start together with {algorithm}; here {effect}"
        fields.report.warning("refused-by-load-balancer", fields.at(SLOW_START), message)
    _dns_failover_is_no_stricter(fields, MINIMUM_HEALTHY_COUNT, DNS_FAILOVER_COUNT)
    _dns_failover_is_no_stricter(fields, MINIMUM_HEALTHY_PERCENTAGE, DNS_FAILOVER_PERCENTAGE)
    return TargetGroupAttributes(
        deregistration_delay_seconds=fields.get(DEREGISTRATION_DELAY, defaults.deregistration_delay_seconds),
        algorithm=cast(Any, algorithm),
        anomaly_mitigation=mitigation,
        slow_start_seconds=slow_start_seconds,
        stickiness=_stickiness(fields) if fields.get(STICKINESS, False) else None,
        minimum_healthy_count=fields.get(MINIMUM_HEALTHY_COUNT, defaults.minimum_healthy_count),
        minimum_healthy_percentage=percentage if isinstance(percentage, int) else None,
    )


def _stickiness(fields: Fields) -> StickinessConfig:
    if fields.get(CROSS_ZONE, "") == "false":
        message = "stickiness cannot be had with cross-zone load balancing off (alb.md 5.5): remove one of the two"
        fields.error("conflicting-keys", CROSS_ZONE, message)
    if fields.get(STICKINESS_TYPE, "lb_cookie") == "lb_cookie":
        return StickinessConfig("lb_cookie", fields.get(LB_COOKIE_SECONDS, LB_COOKIE_SECONDS.default))
    if not fields.has(APP_COOKIE_NAME):
        message = f"{APP_COOKIE_NAME.name} is missing: app_cookie follows a cookie of the application"
        fields.report.error("missing-key", fields.place, message)
    seconds = fields.get(APP_COOKIE_SECONDS, APP_COOKIE_SECONDS.default)
    return StickinessConfig("app_cookie", seconds, fields.get(APP_COOKIE_NAME, ""))


def _dns_failover_is_no_stricter(fields: Fields, routing: Field[Any], dns_failover: Field[Any]) -> None:
    """Targets must count as too few for routing no later than for DNS (alb.md 5.8)."""
    least, given = fields.find(routing), fields.find(dns_failover)
    if isinstance(least, int) and isinstance(given, int) and given < least:
        message = f"{given} is less than {least}, the same threshold of unhealthy state routing: give at least {least}"
        fields.error("out-of-range", dns_failover, message)


TARGET_GROUP_ATTRIBUTES: Record[Fields] = Record(
    "target group attributes",
    (
        DEREGISTRATION_DELAY,
        ALGORITHM,
        ANOMALY_MITIGATION,
        SLOW_START,
        STICKINESS,
        STICKINESS_TYPE,
        LB_COOKIE_SECONDS,
        APP_COOKIE_SECONDS,
        APP_COOKIE_NAME,
        MINIMUM_HEALTHY_COUNT,
        MINIMUM_HEALTHY_PERCENTAGE,
        DNS_FAILOVER_COUNT,
        DNS_FAILOVER_PERCENTAGE,
        CROSS_ZONE,
        LAMBDA_MULTI_VALUE,
    ),
    lambda fields: fields,
)
