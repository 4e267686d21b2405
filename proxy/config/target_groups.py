"""Target groups: their targets and health checks (alb.md 5)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from proxy.config.actions import TARGET_GROUP_NAME
from proxy.config.model import (
    NOWHERE,
    HealthCheckConfig,
    ProtocolVersion,
    TargetConfig,
    TargetGroupAttributes,
    TargetGroupConfig,
)
from proxy.config.problem import Place, Report
from proxy.config.records import Effect, Either, Field, Fields, ListOf, MapOf, Record, Unknown
from proxy.config.shapes import Boolean, Choice, Fault, Integer, IntegerOrWord, Shape, Text, printable
from proxy.config.target_group_attributes import TARGET_GROUP_ATTRIBUTES

Ranges = tuple[tuple[int, int], ...]

# Targets

_URL = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]+))?(.*)", re.DOTALL)
_FORM = "is not a target: write http://host:port or https://host:port"


def _target_url(text: str) -> Fault | None:
    parts = _URL.fullmatch(text)
    if parts is None:
        return Fault("invalid-target", _FORM)
    scheme, host, port, rest = parts.groups()
    if "@" in text:
        return Fault("invalid-target", "names a user, which no request to a target has")
    if rest not in ("", "/") or text.endswith("/"):
        return Fault("invalid-target", "goes on after the port: a target has no path, requests keep theirs")
    if port is None:
        return Fault("invalid-target", f"has no port: add :{443 if scheme == 'https' else 80}")
    if not 1 <= int(port[:6]) <= 65535:
        return Fault("invalid-target", "has a port that is not 1 to 65535")
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return Fault("invalid-target", "has brackets around something that is no IPv6 address")
    elif re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return Fault("invalid-target", "has a host that is no IPv4 address and cannot be a name")
    return None


def _target(url: str, place: Place, report: Report) -> TargetConfig:
    parts = _URL.fullmatch(url)
    assert parts is not None
    scheme = cast(Literal["http", "https"], parts[1])
    return TargetConfig(scheme, parts[2].strip("[]").lower(), int(parts[3]), place)


TARGETS = Field(
    "targets",
    ListOf(
        Text("a target", longest=300, checks=(_target_url,)).then(_target),
        "a list of targets such as http://localhost:8000",
    ),
    "http://host:port or https://host:port; a name that resolves to several addresses is several targets.",
)

# Health check

_RANGE = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3}))?")


def _ranges(text: str, least: int, most: int) -> Ranges | None:
    found = [_RANGE.fullmatch(part.strip()) for part in text.split(",")]
    ranges = tuple((int(each[1]), int(each[2] or each[1])) for each in found if each)
    good = len(ranges) == len(found) and all(least <= low <= high <= most for low, high in ranges)
    return ranges if good else None


class Codes(Text):
    """Status codes as the API writes them; a single one may stand without quotes, being unmistakable.

    Args:
        examples: How such a list looks; the last one stands for the rest.
    """

    def __init__(self, least: int, most: int, *examples: str) -> None:
        def check(text: str) -> Fault | None:
            if _ranges(text, least, most):
                return None
            listed = f"{', '.join(examples[:-1])} or {examples[-1]}"
            return Fault("invalid-value", f"is not a list of codes from {least} to {most} such as {listed}")

        super().__init__(f"codes such as {examples[-1]}", longest=255, checks=(check,))
        self._least, self._most = least, most

    def read_scalar(self, value: Any, place: Place, report: Report) -> str | None:
        if value.kind == "integer":
            value = replace(value, kind="string")
        return super().read_scalar(value, place, report)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "integer", "minimum": self._least, "maximum": self._most}, super().schema()]}


_CODES: Shape[Ranges] = Codes(200, 499, '"200"', '"200,302"', '"200-299"').then(
    lambda text, place, report: _ranges(text, 200, 499)
)
_GRPC_CODES: Shape[Ranges] = Codes(0, 99, '"12"', '"0,12"', '"0-99"').then(
    lambda text, place, report: _ranges(text, 0, 99)
)
_HTTP_CODE = Field("http_code", _CODES, "Codes from 200 to 499. Default 200.")
_GRPC_CODE = Field("grpc_code", _GRPC_CODES, "Codes from 0 to 99, for protocol_version GRPC. Default 12.")


@dataclass(frozen=True, slots=True)
class _Matcher:
    http_code: Ranges | None = None
    grpc_code: Ranges | None = None


def _matcher(fields: Fields) -> _Matcher:
    return _Matcher(fields.find(_HTTP_CODE), fields.find(_GRPC_CODE))


def _health_path(text: str) -> Fault | None:
    if text.startswith("/") and " " not in text and "#" not in text:
        return None
    return Fault("invalid-value", "is not a path: it begins with / and has no blank and no #")


_DEFAULTS = HealthCheckConfig()
GRPC_MATCHER: Ranges = ((12, 12),)
"""UNIMPLEMENTED: what a server answers that does not know the method (alb.md 5.7)."""
GRPC_HEALTH_PATH = "/AWS.ALB/healthcheck"
PROTOCOL = Field("protocol", Choice("HTTP", "HTTPS"), "Default: that of the targets.")
PORT = Field("port", IntegerOrWord(Integer(1, 65535), "traffic-port"), "Default traffic-port.")
PATH = Field(
    "path",
    Text("a path", checks=(printable, _health_path)),
    "What is asked for; with GRPC /AWS.ALB/healthcheck.",
    default="/",
)
INTERVAL = Field("interval_seconds", Integer(5, 300, "seconds"), "Time between two checks.", default=30)
TIMEOUT = Field("timeout_seconds", Integer(2, 120, "seconds"), "Smaller than the interval.", default=5)
HEALTHY = Field("healthy_threshold_count", Integer(2, 10), "Passes in a row to recover.", default=5)
UNHEALTHY = Field("unhealthy_threshold_count", Integer(2, 10), "Failures in a row to fail.", default=2)
MATCHER = Field(
    "matcher",
    Either(
        _CODES.then(lambda codes, place, report: _Matcher(http_code=codes)),
        Record("a matcher", (_HTTP_CODE, _GRPC_CODE), _matcher),
    ),
    'Codes of a pass, 200 to 499, such as "200-299,302". Default 200; with GRPC {grpc_code: 12}.',
)
ENABLED = Field("enabled", Boolean(), "The load balancer always checks targets of type ip.", default=True)


@dataclass(frozen=True, slots=True)
class _HealthCheck:
    """A health check before the protocol version is known, which its defaults depend on."""

    config: HealthCheckConfig
    has_path: bool = False
    matcher: _Matcher = _Matcher()
    matcher_at: Place = NOWHERE


def _health_check(fields: Fields) -> _HealthCheck:
    interval = fields.get(INTERVAL, _DEFAULTS.interval_seconds)
    timeout = fields.get(TIMEOUT, _DEFAULTS.timeout_seconds)
    if timeout >= interval:
        default = "" if fields.has(TIMEOUT) else " (its default)"
        message = f"timeout_seconds, {timeout}{default}, must be smaller than interval_seconds, {interval}"
        fields.error("timeout-not-below-interval", TIMEOUT if fields.has(TIMEOUT) else INTERVAL, message)
    enabled = fields.get(ENABLED, True)
    if not enabled:
        message = "the load balancer refuses enabled: false for targets of type ip; here it is obeyed"
        fields.report.warning("refused-by-load-balancer", fields.at(ENABLED), message)
    port = fields.get(PORT, "traffic-port")
    config = HealthCheckConfig(
        enabled=enabled,
        protocol=cast(Any, fields.find(PROTOCOL)),
        port=port if isinstance(port, int) else None,
        path=fields.get(PATH, _DEFAULTS.path),
        interval_seconds=interval,
        timeout_seconds=timeout,
        healthy_threshold_count=fields.get(HEALTHY, _DEFAULTS.healthy_threshold_count),
        unhealthy_threshold_count=fields.get(UNHEALTHY, _DEFAULTS.unhealthy_threshold_count),
    )
    return _HealthCheck(config, fields.has(PATH), fields.get(MATCHER, _Matcher()), fields.at(MATCHER))


def _for_version(check: _HealthCheck, version: ProtocolVersion, report: Report) -> HealthCheckConfig:
    """The health check of a group of this protocol version (alb.md 5.7)."""
    http, grpc = check.matcher.http_code, check.matcher.grpc_code
    if version == "GRPC" and http is not None:
        message = "a group with protocol_version GRPC is checked by gRPC codes: write {grpc_code: 12}"
        report.error("conflicting-keys", check.matcher_at, message)
    if version != "GRPC" and grpc is not None:
        report.error("conflicting-keys", check.matcher_at, "grpc_code is for groups with protocol_version: GRPC")
    matcher = (grpc or GRPC_MATCHER) if version == "GRPC" else (http or _DEFAULTS.matcher)
    path = GRPC_HEALTH_PATH if version == "GRPC" and not check.has_path else check.config.path
    return replace(check.config, path=path, matcher=matcher, protocol_version=version)


HEALTH_CHECK: Field[_HealthCheck] = Field(
    "health_check",
    Record(
        "a health check",
        (PROTOCOL, PORT, PATH, INTERVAL, TIMEOUT, HEALTHY, UNHEALTHY, MATCHER, ENABLED),
        _health_check,
    ),
    "How targets are checked.",
)

# Target group

TARGET_TYPE = Field("target_type", Choice("ip", "lambda"), "What the targets are.", effect=Effect.LATER, default="ip")
PROTOCOL_VERSION = Field(
    "protocol_version",
    Choice("HTTP1", "HTTP2", "GRPC"),
    "What the targets speak; HTTP2 and GRPC need an HTTPS listener.",
    default="HTTP1",
)
ATTRIBUTES: Field[TargetGroupAttributes] = Field(
    "attributes", TARGET_GROUP_ATTRIBUTES, "Target group attributes, keys and values as in the ELBv2 API."
)
LOCAL = Field(
    "local",
    Unknown("a mapping of settings that the load balancer does not have"),
    "What the load balancer has no word for.",
    effect=Effect.LATER,
    default=False,
)


def _target_group(fields: Fields) -> TargetGroupConfig:
    targets = fields.get(TARGETS, ())
    if not fields.has(TARGETS) and fields.get(TARGET_TYPE, "ip") != "lambda":
        fields.report.error("missing-key", fields.place, "targets is missing: a list such as [http://localhost:8000]")
    elif fields.find(TARGETS) == () and not fields.report.failed:
        message = "there is no target: each request for this group gets a 503"
        fields.report.warning("no-targets", fields.at(TARGETS), message)
    seen: set[str] = set()
    for target in targets:
        if target.url in seen:
            fields.report.error("duplicate-target", target.place, f"{target.url} stands in this group already")
        seen.add(target.url)
    if len({target.scheme for target in targets}) > 1:
        message = "http and https targets in one group: the load balancer has one protocol for a group"
        fields.report.warning("mixed-protocols", fields.at(TARGETS), message)
    version = cast(ProtocolVersion, fields.get(PROTOCOL_VERSION, "HTTP1"))
    return TargetGroupConfig(
        fields.place.path,
        targets,
        _for_version(fields.get(HEALTH_CHECK, _HealthCheck(_DEFAULTS)), version, fields.report),
        fields.get(ATTRIBUTES, TargetGroupAttributes()),
        version,
        fields.place,
    )


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
