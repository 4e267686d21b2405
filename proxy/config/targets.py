"""Entries of `targets`: addresses of type ip, and functions (alb.md 5.1, 7)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal, cast

from proxy.config.model import TargetConfig
from proxy.config.problem import Place, Report
from proxy.config.records import Field, ListOf
from proxy.config.shapes import Fault, ScalarShape, Schema, Text, shown
from proxy.config.tree import Scalar

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


# The function name of the Invoke API: a name, with the account before it, or an ARN; then an alias or a version.
_FUNCTION = re.compile(
    r"(?:arn:(?:aws[a-zA-Z-]*):lambda:[a-z]{2}(?:-[a-z]+)+-[0-9]:)?(?:[0-9]{12}:)?(?:function:)?"
    r"[a-zA-Z0-9-_]{1,64}(?::(?:\$LATEST|[a-zA-Z0-9-_]{1,128}))?"
)
_FUNCTION_FORM = "is not a function: write its name or its ARN, with :alias or :version where it has one"


def _function(text: str) -> Fault | None:
    return None if _FUNCTION.fullmatch(text) else Fault("invalid-target", _FUNCTION_FORM)


@dataclass(frozen=True, slots=True)
class WrittenTarget:
    """A target before the type of its group is known, which says what it may look like."""

    text: str
    shown: str
    place: Place

    def judged(self, report: Report, *, is_function: bool) -> TargetConfig | None:
        """The target, or None with its fault reported."""
        fault = _function(self.text) if is_function else _target_url(self.text)
        if fault is not None:
            report.error(fault.code, self.place, f"{self.shown} {fault.message}")
            return None
        if is_function:
            return TargetConfig("lambda", self.text, 0, self.place)
        parts = _URL.fullmatch(self.text)
        assert parts is not None
        scheme = cast(Literal["http", "https"], parts[1])
        return TargetConfig(scheme, parts[2].strip("[]").lower(), int(parts[3]), self.place)


class _Target(ScalarShape[WrittenTarget]):
    noun = "a target"
    _text = Text(noun, longest=300)

    def read_scalar(self, value: Scalar, place: Place, report: Report) -> WrittenTarget | None:
        text = self._text.read_scalar(value, place, report)
        return None if text is None else WrittenTarget(text, shown(value), place)

    def schema(self) -> Schema:
        return self._text.schema()


TARGETS: Field[tuple[WrittenTarget, ...]] = Field(
    "targets",
    ListOf(_Target(), "a list of targets such as http://localhost:8000"),
    "http://host:port or https://host:port; a name that resolves to several addresses is several targets. "
    "With target_type lambda one function: its name or ARN.",
)
