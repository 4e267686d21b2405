"""A span for each invocation: below that of the caller, and above whatever the function makes itself."""

from __future__ import annotations

import time
from dataclasses import replace

from proxy.functions.model import Invocation, Outcome
from proxy.tracing.context import TraceContext, new_span_id, new_trace_id, of_amazon
from proxy.tracing.export import SpanExport
from proxy.tracing.span import Span


class InvocationSpans:
    """Makes the spans of invocations; without an export it makes none and changes nothing."""

    def __init__(self, export: SpanExport | None = None) -> None:
        self._export = export

    @property
    def dropped(self) -> int:
        """Spans that did not reach the collector."""
        return self._export.dropped if self._export else 0

    def new_trace_id(self) -> str:
        """The X-Amzn-Trace-Id of a trace that begins here: not sampled, or to be decided where spans are made."""
        if self._export is None:
            return TraceContext(new_trace_id(), new_span_id(), False).amazon()
        return TraceContext(new_trace_id(), "", None).amazon()

    def begin(self, function: str, invocation: Invocation) -> InvocationSpan | None:
        """A span that begins now; None without an export."""
        if self._export is None:
            return None
        came = of_amazon(invocation.trace_id) or TraceContext(new_trace_id(), "", None)
        return InvocationSpan(self._export, function, invocation, came)


class InvocationSpan:
    """The span of one invocation that is going on.

    Attributes:
        invocation: As the function gets it: the parent in its trace header is this span, as on Lambda.
    """

    def __init__(self, export: SpanExport, function: str, invocation: Invocation, came: TraceContext) -> None:
        self._export = export
        self._function = function
        self._came = came
        self._began = time.time_ns()
        self._is_sampled = export.samples(came, function)
        self._span_id = new_span_id()
        told = came._replace(parent_id=self._span_id, sampled=self._is_sampled)
        self.invocation = replace(invocation, trace_id=told.amazon())

    def end(self, outcome: Outcome) -> None:
        """It is over."""
        if not self._is_sampled:
            return
        attributes: dict[str, str | int | bool] = {
            "faas.invocation_id": self.invocation.request_id,
            "faas.name": self._function,
            "faas.trigger": self.invocation.trigger,
        }
        if outcome.failed:
            attributes["error.type"] = outcome.error_type or "Unhandled"
        came = self._came
        self._export.add(
            Span(
                self._function,
                "consumer" if self.invocation.trigger == "pubsub" else "server",
                came.trace_id,
                self._span_id,
                came.parent_id,
                self._began,
                time.time_ns(),
                attributes,
                outcome.failed,
                self.invocation.links,
            )
        )
