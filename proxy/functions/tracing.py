"""Which trace an invocation belongs to, in the header X-Amzn-Trace-Id (X-Ray guide)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from proxy.tracing.context import TraceContext, of_amazon, of_traceparent

MAX_LINKS = 128
"""The most that OpenTelemetry keeps of a span."""


class Origin(NamedTuple):
    """Where an invocation comes from that a poller makes.

    Attributes:
        trace_id: For the header X-Amzn-Trace-Id; empty to begin a trace.
        links: Spans of other traces, if it belongs to none of them.
    """

    trace_id: str = ""
    links: tuple[TraceContext, ...] = ()


def trace_id_of(header: str) -> str:
    """The id that all logs of a trace have in common, 32 hex digits; empty if the header has none."""
    found = of_amazon(header)
    return found.trace_id if found else ""


def origin_of(messages: Sequence[dict[str, Any]]) -> Origin:
    """The trace of a batch, as ReceiveMessage gives it: that of its messages if they have one in common.

    A batch with messages of several traces begins one of its own, with links to them, as Lambda does.
    """
    found = {trace: None for message in messages if (trace := _trace_of(message))}
    if len(found) == 1:
        return Origin(next(iter(found)).amazon())
    return Origin("", tuple(trace for trace in found if trace.parent_id)[:MAX_LINKS])


def _trace_of(message: dict[str, Any]) -> TraceContext | None:
    """By the attribute `traceparent`, as OpenTelemetry sends it, else by AWSTraceHeader (SQS API)."""
    attribute = message.get("MessageAttributes", {}).get("traceparent", {})
    return of_traceparent(attribute.get("StringValue", "")) or of_amazon(
        message.get("Attributes", {}).get("AWSTraceHeader", "")
    )
