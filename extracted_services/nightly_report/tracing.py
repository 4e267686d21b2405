"""One trace through all services: the two headers that carry it, and spans for a collector.

Which trace a piece of work belongs to is known with and without OpenTelemetry, since it is in every log line and goes
on to whoever is called. Spans are sent when OTEL_EXPORTER_OTLP_ENDPOINT names a collector and
`opentelemetry-sdk` and `opentelemetry-exporter-otlp-proto-http` are installed.
"""

from __future__ import annotations

import atexit
import functools
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple

Kind = Literal["server", "producer", "consumer", "internal"]

FLUSH_SECONDS = 3.0
"""How long a process that ends may wait for a collector that does not answer."""

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_ROOT = re.compile(r"(?:^|;)\s*Root=1-([0-9a-f]{8})-([0-9a-f]{24})(?:;|$)")
_PARENT = re.compile(r"(?:^|;)\s*Parent=([0-9a-f]{16})(?:;|$)")
_SAMPLED = re.compile(r"(?:^|;)\s*Sampled=([01])(?:;|$)")
_log = logging.getLogger(__name__)


class Trace(NamedTuple):
    """What a request or a message says of its trace.

    Attributes:
        trace_id: 32 hex digits, which all parts of a trace have in common.
        parent_id: The sender's span, 16 hex digits; empty if it names none (a load balancer does not).
        sampled: Whether the trace is recorded; None if nobody has decided yet.
    """

    trace_id: str
    parent_id: str = ""
    sampled: bool | None = None

    def headers(self) -> dict[str, str]:
        """Both headers, for whoever is called from here."""
        sampled = int(self.sampled or False)
        root = f"1-{self.trace_id[:8]}-{self.trace_id[8:]}"
        return {
            "traceparent": f"00-{self.trace_id}-{self.parent_id}-{sampled:02x}",
            "X-Amzn-Trace-Id": f"Root={root};Parent={self.parent_id};Sampled={sampled}",
        }


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def trace_of(headers: Mapping[str, str]) -> Trace:
    """The trace of these headers, names in lower case: of `traceparent` first, else of Amazon's, else a new one.

    A header that is malformed, or all zeros, counts as missing (W3C Trace Context 3.2.2).
    """
    match = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    if match and match[1].strip("0") and match[2].strip("0") and (match[4] is None or not match[0].startswith("00")):
        return Trace(match[1], match[2], bool(int(match[3], 16) & 1))
    amazon = headers.get("x-amzn-trace-id", "")
    if (root := _ROOT.search(amazon)) and (root[1] + root[2]).strip("0"):
        parent, sampled = _PARENT.search(amazon), _SAMPLED.search(amazon)
        parent_id = parent[1] if parent and parent[1].strip("0") else ""
        return Trace(root[1] + root[2], parent_id, sampled[1] == "1" if sampled else None)
    # The first eight digits are a time, as X-Ray has it, so that both headers can carry the same id.
    return Trace(f"{int(time.time()):08x}{secrets.token_hex(12)}")


def current_trace() -> Trace | None:
    """The trace of the work in hand, with its span as the parent; None outside of any."""
    return _current.get()


class Span:
    """A piece of work in hand.

    Attributes:
        name: May be changed until it ends.
        trace: For whoever is called from here: this span is the parent.
        attributes: By OpenTelemetry's conventions; may be added to until it ends.
        error: What kind of error it ended with; empty for none.
    """

    def __init__(self, name: str, trace: Trace, attributes: dict[str, Any]) -> None:
        self.name = name
        self.trace = trace
        self.attributes = attributes
        self.error = ""


@contextmanager
def span(name: str, kind: Kind, trace: Trace, **attributes: Any) -> Iterator[Span]:
    """Do a piece of work that belongs to this trace; `__` in an attribute's name stands for a dot."""
    exporter = _exporter()
    sampled = exporter.samples(trace, name) if exporter else bool(trace.sampled)
    own = Trace(trace.trace_id, secrets.token_hex(8), sampled)
    made = Span(name, own, {key.replace("__", "."): value for key, value in attributes.items()})
    token = _current.set(own)
    began = time.time_ns()
    try:
        yield made
    except BaseException as error:
        made.error = made.error or type(error).__name__
        raise
    finally:
        _current.reset(token)
        if exporter and sampled:
            exporter.export(made, kind, trace.parent_id, began)


class _Exporter:
    """Hands spans to OpenTelemetry's batch processor, which sends them from a thread of its own."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self._provider = TracerProvider(shutdown_on_exit=False)
        self._resource = self._provider.resource
        if str(self._resource.attributes["service.name"]).startswith("unknown_service"):
            self._resource = self._resource.merge(Resource({"service.name": __package__.rpartition(".")[2]}))
        self._exporter: Any = OTLPSpanExporter()
        self._processor: Any = BatchSpanProcessor(self._exporter)
        atexit.register(self._end)

    def samples(self, trace: Trace, name: str) -> bool:
        """Whether the work is recorded, as OTEL_TRACES_SAMPLER says."""
        from opentelemetry.trace import NonRecordingSpan, set_span_in_context

        parent = None
        if trace.sampled is not None:
            # A sender that has decided and names no span: any span stands for it.
            sender = _context(trace.trace_id, trace.parent_id or "1", trace.sampled)
            parent = set_span_in_context(NonRecordingSpan(sender))
        decision: Any = self._provider.sampler.should_sample(parent, int(trace.trace_id, 16), name).decision
        return bool(decision.is_sampled())

    def export(self, made: Span, kind: Kind, parent_id: str, began: int) -> None:
        """Take a span that has ended just now."""
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanKind, Status, StatusCode

        if made.error:
            made.attributes.setdefault("error.type", made.error)
        trace_id = made.trace.trace_id
        self._processor.on_end(
            ReadableSpan(
                made.name,
                context=_context(trace_id, made.trace.parent_id, True),
                parent=_context(trace_id, parent_id, True) if parent_id else None,
                resource=self._resource,
                attributes=made.attributes,
                kind=SpanKind[kind.upper()],
                status=Status(StatusCode.ERROR if made.error else StatusCode.UNSET),
                start_time=began,
                end_time=time.time_ns(),
            )
        )

    def _end(self) -> None:
        # By itself the processor waits for a collector that does not answer until its last attempt is over.
        enough = threading.Timer(FLUSH_SECONDS, self._exporter.shutdown)
        enough.daemon = True
        enough.start()
        self._processor.shutdown()
        enough.cancel()


def _context(trace_id: str, span_id: str, sampled: bool) -> Any:
    from opentelemetry.trace import SpanContext, TraceFlags

    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(sampled)))


@functools.cache
def _exporter() -> _Exporter | None:
    environment = os.environ
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if not environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") and not environment.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return None
    try:
        return _Exporter()
    except ImportError as error:
        _log.warning("no spans are sent: %s; pip install opentelemetry-exporter-otlp-proto-http", error)
        return None
