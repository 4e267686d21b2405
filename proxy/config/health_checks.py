"""The health check of a target group; its defaults depend on what the targets are (alb.md 5.7, 7)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, cast

from proxy.config.model import FunctionConfig, HealthCheckConfig, ProtocolVersion
from proxy.config.problem import Place, Report
from proxy.config.records import Either, Field, Fields, Record
from proxy.config.shapes import Boolean, Choice, Fault, Integer, IntegerOrWord, Shape, Text, printable

Ranges = tuple[tuple[int, int], ...]

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
FUNCTION_DEFAULTS = HealthCheckConfig(
    enabled=False, interval_seconds=35, timeout_seconds=30, unhealthy_threshold_count=5
)
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
INTERVAL = Field(
    "interval_seconds", Integer(5, 300, "seconds"), "Time between two checks; with target_type lambda 35.", default=30
)
TIMEOUT = Field(
    "timeout_seconds", Integer(2, 120, "seconds"), "Smaller than the interval; with target_type lambda 30.", default=5
)
HEALTHY = Field("healthy_threshold_count", Integer(2, 10), "Passes in a row to recover.", default=5)
UNHEALTHY = Field(
    "unhealthy_threshold_count", Integer(2, 10), "Failures in a row to fail; with target_type lambda 5.", default=2
)
MATCHER = Field(
    "matcher",
    Either(
        _CODES.then(lambda codes, place, report: _Matcher(http_code=codes)),
        Record("a matcher", (_HTTP_CODE, _GRPC_CODE), _matcher),
    ),
    'Codes of a pass, 200 to 499, such as "200-299,302". Default 200; with GRPC {grpc_code: 12}.',
)
ENABLED = Field(
    "enabled", Boolean(), "The load balancer always checks targets of type ip, functions only if told to.", default=True
)


def health_check(
    fields: Fields | None, version: ProtocolVersion, function: FunctionConfig | None, report: Report
) -> HealthCheckConfig:
    """The health check of a group with targets of this kind, from what the file says of it."""
    defaults = FUNCTION_DEFAULTS if function is not None else _DEFAULTS
    defaults = replace(defaults, protocol_version=version, function=function)
    if version == "GRPC":
        defaults = replace(defaults, path=GRPC_HEALTH_PATH, matcher=GRPC_MATCHER)
    if fields is None:
        return defaults
    _check_times(fields, defaults)
    enabled = fields.get(ENABLED, defaults.enabled)
    if function is not None:
        for field in (PROTOCOL, PORT):
            if fields.has(field):
                message = f"a function has no {field.name}: remove it"
                fields.error("not-for-target-type", field, message)
    elif not enabled:
        message = "the load balancer refuses enabled: false for targets of type ip; here it is obeyed"
        report.warning("refused-by-load-balancer", fields.at(ENABLED), message)
    port = fields.get(PORT, "traffic-port")
    return replace(
        defaults,
        enabled=enabled,
        protocol=cast(Any, fields.find(PROTOCOL)),
        port=port if isinstance(port, int) else None,
        path=fields.get(PATH, defaults.path),
        interval_seconds=fields.get(INTERVAL, defaults.interval_seconds),
        timeout_seconds=fields.get(TIMEOUT, defaults.timeout_seconds),
        healthy_threshold_count=fields.get(HEALTHY, defaults.healthy_threshold_count),
        unhealthy_threshold_count=fields.get(UNHEALTHY, defaults.unhealthy_threshold_count),
        matcher=_codes(fields, version, report) or defaults.matcher,
    )


def _check_times(fields: Fields, defaults: HealthCheckConfig) -> None:
    interval = fields.get(INTERVAL, defaults.interval_seconds)
    timeout = fields.get(TIMEOUT, defaults.timeout_seconds)
    if any(fields.has(field) and fields.find(field) is None for field in (INTERVAL, TIMEOUT)):
        return  # refused for itself
    if timeout >= interval:
        default = "" if fields.has(TIMEOUT) else " (its default)"
        message = f"timeout_seconds, {timeout}{default}, must be smaller than interval_seconds, {interval}"
        fields.error("timeout-not-below-interval", TIMEOUT if fields.has(TIMEOUT) else INTERVAL, message)


def _codes(fields: Fields, version: ProtocolVersion, report: Report) -> Ranges | None:
    matcher = fields.get(MATCHER, _Matcher())
    if version == "GRPC" and matcher.http_code is not None:
        message = "a group with protocol_version GRPC is checked by gRPC codes: write {grpc_code: 12}"
        report.error("conflicting-keys", fields.at(MATCHER), message)
    if version != "GRPC" and matcher.grpc_code is not None:
        report.error("conflicting-keys", fields.at(MATCHER), "grpc_code is for groups with protocol_version: GRPC")
    return matcher.grpc_code if version == "GRPC" else matcher.http_code


HEALTH_CHECK: Field[Fields] = Field(
    "health_check",
    Record(
        "a health check",
        (PROTOCOL, PORT, PATH, INTERVAL, TIMEOUT, HEALTHY, UNHEALTHY, MATCHER, ENABLED),
        lambda fields: fields,
    ),
    "How targets are checked.",
)
