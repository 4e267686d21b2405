"""Target groups: what their parts say together (alb.md 5, 7)."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from proxy.config.actions import TARGET_GROUP_NAME
from proxy.config.events import EVENT
from proxy.config.health_checks import HEALTH_CHECK, health_check
from proxy.config.local import ENDPOINT, LOCAL, OF_FUNCTIONS, LocalConfig
from proxy.config.model import FunctionConfig, HealthCheckConfig, ProtocolVersion, TargetConfig, TargetGroupConfig
from proxy.config.problem import Place, Report
from proxy.config.records import Field, Fields, MapOf, Record
from proxy.config.shapes import Choice
from proxy.config.target_group_attributes import (
    TARGET_GROUP_ATTRIBUTES,
    multi_value_headers,
    target_group_attributes,
)
from proxy.config.targets import TARGETS

TARGET_TYPE = Field("target_type", Choice("ip", "lambda"), "What the targets are.", default="ip")
PROTOCOL_VERSION = Field(
    "protocol_version",
    Choice("HTTP1", "HTTP2", "GRPC"),
    "What the targets speak; HTTP2 and GRPC need an HTTPS listener.",
    default="HTTP1",
)
ATTRIBUTES: Field[Fields] = Field(
    "attributes", TARGET_GROUP_ATTRIBUTES, "Target group attributes, keys and values as in the ELBv2 API."
)


def _target_group(fields: Fields) -> TargetGroupConfig:
    local = fields.find(LOCAL)
    if local is not None and local.fields.has(EVENT):
        return _event_group(fields, local)
    is_function = fields.get(TARGET_TYPE, "ip") == "lambda"
    targets = _targets(fields, is_function=is_function)
    version = cast(ProtocolVersion, fields.get(PROTOCOL_VERSION, "HTTP1"))
    function = _function(fields, targets, local) if is_function else None
    if is_function and fields.has(PROTOCOL_VERSION):
        fields.error("not-for-target-type", PROTOCOL_VERSION, "a function has no protocol_version: remove it")
    if local is not None and not is_function:
        for field in (*OF_FUNCTIONS, ENDPOINT):
            if local.fields.has(field):
                message = f"{field.name} is for groups with target_type: lambda"
                local.fields.error("not-for-target-type", field, message)
    return TargetGroupConfig(
        fields.place.path,
        targets,
        health_check(fields.find(HEALTH_CHECK), "HTTP1" if is_function else version, function, fields.report),
        target_group_attributes(fields.find(ATTRIBUTES), is_function=is_function),
        "HTTP1" if is_function else version,
        function,
        place=fields.place,
    )


def _event_group(fields: Fields, local: LocalConfig) -> TargetGroupConfig:
    """A group whose requests are put where they are kept: it has nothing else."""
    for field in (TARGETS, TARGET_TYPE, PROTOCOL_VERSION, HEALTH_CHECK, ATTRIBUTES):
        if fields.has(field):
            message = f"a group with local.event has no {field.name}: remove one of the two"
            fields.error("conflicting-keys", field, message)
    for word in OF_FUNCTIONS:
        if local.fields.has(word):
            message = f"{word.name} is for groups with target_type: lambda"
            local.fields.error("not-for-target-type", word, message)
    event = local.event()
    targets = () if event is None else (TargetConfig("event", event.subtype, 0, fields.place),)
    unchecked = HealthCheckConfig(enabled=False)
    return TargetGroupConfig(fields.place.path, targets, unchecked, event=event, place=fields.place)


def _targets(fields: Fields, *, is_function: bool) -> tuple[TargetConfig, ...]:
    written = fields.get(TARGETS, ())
    judged = (target.judged(fields.report, is_function=is_function) for target in written)
    targets = tuple(target for target in judged if target is not None)
    if not fields.has(TARGETS):
        example = "[my-function]" if is_function else "[http://localhost:8000]"
        fields.report.error("missing-key", fields.place, f"targets is missing: a list such as {example}")
    elif not written and not fields.report.failed:
        message = "there is no target: each request for this group gets a 503"
        fields.report.warning("no-targets", fields.at(TARGETS), message)
    if is_function and len(written) > 1:
        message = f"{len(written)} functions; a group has one: give each its own group"
        fields.error("too-many-targets", TARGETS, message)
    seen: set[str] = set()
    for target in targets:
        if target.url in seen:
            fields.report.error("duplicate-target", target.place, f"{target.url} stands in this group already")
        seen.add(target.url)
    if len({target.scheme for target in targets}) > 1:
        message = "http and https targets in one group: the load balancer has one protocol for a group"
        fields.report.warning("mixed-protocols", fields.at(TARGETS), message)
    return targets


def _function(fields: Fields, targets: tuple[TargetConfig, ...], local: LocalConfig | None) -> FunctionConfig:
    name = targets[0].host if targets else ""
    group = fields.place.path.rpartition(".")[2]
    multi_value = multi_value_headers(fields.find(ATTRIBUTES))
    if local is None:
        return FunctionConfig(name, group, multi_value=multi_value)
    function = local.function(name, group, multi_value=multi_value)
    if multi_value and function.payload != "alb":
        message = f"payload {function.payload} has all values anyway: lambda.multi_value_headers.enabled is for alb"
        fields.report.warning("without-effect", fields.at(ATTRIBUTES), message)
    return function


def _named(groups: dict[str, TargetGroupConfig], place: Place, report: Report) -> dict[str, TargetGroupConfig]:
    return {name: replace(group, name=name) for name, group in groups.items()}


TARGET_GROUPS = MapOf(
    TARGET_GROUP_NAME,
    Record(
        "a target group",
        (TARGETS, TARGET_TYPE, PROTOCOL_VERSION, HEALTH_CHECK, ATTRIBUTES, LOCAL),
        _target_group,
    ),
    "a mapping of names to target groups",
    fallback=lambda name: TargetGroupConfig(name, ()),
).then(_named)
