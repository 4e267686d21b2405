"""Spans to a collector by the OpenTelemetry SDK. What it needs comes with the extra `otel`.

The SDK samples, encodes and sends, and reads its own variables for that (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, _TIMEOUT, _COMPRESSION, _CERTIFICATE). Its tracer and its batch
processor are not used: spans are made of what has ended, and its queue does not tell what it drops.
"""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from proxy.tracing.context import TraceContext
from proxy.tracing.span import Span

_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "consumer": SpanKind.CONSUMER}
_UNKNOWN_PARENT = 1
"""Stands for the span of a sender that names none but has decided."""
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED = TraceFlags(TraceFlags.DEFAULT)
_UNSET = Status(StatusCode.UNSET)
_ERROR = Status(StatusCode.ERROR)


class OtlpCollector:
    """A collector that is spoken to by OTLP over HTTP.

    Args:
        endpoint: The whole URL, as a rule ending in `/v1/traces`.
        service: `service.name` where the environment gives none.
        version: `service.version`, and the version of the instrumentation scope.
    """

    def __init__(self, endpoint: str, service: str, version: str) -> None:
        self._exporter = OTLPSpanExporter(endpoint=endpoint)
        resource = Resource.create({"service.version": version})
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: service}))
        self._resource = resource
        self._scope = InstrumentationScope("strangler", version)
        self._sampler = TracerProvider(resource=resource, shutdown_on_exit=False).sampler

    def samples(self, context: TraceContext, name: str) -> bool:
        parent = None
        if context.sampled is not None:
            flags = _SAMPLED if context.sampled else _NOT_SAMPLED
            span_id = int(context.parent_id, 16) if context.parent_id else _UNKNOWN_PARENT
            sender = SpanContext(int(context.trace_id, 16), span_id, is_remote=True, trace_flags=flags)
            parent = set_span_in_context(NonRecordingSpan(sender))
        return (
            self._sampler.should_sample(parent, int(context.trace_id, 16), name).decision is Decision.RECORD_AND_SAMPLE
        )

    def send(self, spans: list[Span]) -> bool:
        return self._exporter.export([self.readable(span) for span in spans]) is SpanExportResult.SUCCESS

    def close(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def readable(self, span: Span) -> ReadableSpan:
        """The span as the SDK has it."""
        return ReadableSpan(
            span.name,
            context=_context(span.trace_id, span.span_id, is_remote=False),
            parent=_context(span.trace_id, span.parent_id, is_remote=True) if span.parent_id else None,
            resource=self._resource,
            attributes=span.attributes,
            links=[Link(_context(link.trace_id, link.parent_id, is_remote=True)) for link in span.links],
            kind=_KINDS[span.kind],
            status=_ERROR if span.failed else _UNSET,
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=self._scope,
        )


def _context(trace_id: str, span_id: str, *, is_remote: bool) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=is_remote, trace_flags=_SAMPLED)
