"""A span that is over, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from proxy.tracing.context import TraceContext

Kind = Literal["server", "client", "consumer"]
Attributes = Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class Span:
    """One step of a trace, in the words of OpenTelemetry.

    Attributes:
        parent_id: The span that this one is a part of; empty for none.
        start, end: Nanoseconds since the epoch.
        failed: Whether its status is an error.
        links: Spans of other traces that it has to do with.
    """

    name: str
    kind: Kind
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    attributes: Attributes
    failed: bool = False
    links: tuple[TraceContext, ...] = ()
