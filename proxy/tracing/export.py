"""Spans on their way to a collector: a bounded queue, and a thread that empties it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

from proxy.tracing.context import TraceContext
from proxy.tracing.span import Span

CLOSE_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)


class Collector(Protocol):
    """Where spans go."""

    def samples(self, context: TraceContext, name: str) -> bool:
        """Whether a span of this name, in the trace that came, is to be recorded."""

    def send(self, spans: list[Span]) -> bool:
        """Hand them over and return whether that worked; it may take as long as it likes."""

    def close(self) -> None:
        """End a `send` that is waiting, and let go of connections."""


class SpanExport:
    """Hands spans to a collector in batches; what the collector does not take in time is dropped and counted.

    Args:
        limit: How many spans may wait (OTEL_BSP_MAX_QUEUE_SIZE).
        batch: How many are sent at once (OTEL_BSP_MAX_EXPORT_BATCH_SIZE).
        delay: Seconds that a span waits for others (OTEL_BSP_SCHEDULE_DELAY).
    """

    def __init__(self, collector: Collector, *, limit: int = 2048, batch: int = 512, delay: float = 5.0) -> None:
        self._collector = collector
        self._limit = limit
        self._batch = min(batch, limit)
        self._delay = delay
        self._spans: deque[Span] = deque()
        # Each counter has one thread that writes it, so no lock is needed.
        self._refused = 0
        self._lost = 0
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Spans that did not arrive: too many waited, or the collector did not take them."""
        return self._refused + self._lost

    def samples(self, context: TraceContext, name: str) -> bool:
        """Whether a span of this name, in the trace that came, is to be recorded."""
        return self._collector.samples(context, name)

    def add(self, span: Span) -> None:
        """Take one span. Never blocks."""
        if len(self._spans) >= self._limit or self._stopping:
            self._refused += 1
            return
        self._spans.append(span)
        if len(self._spans) >= self._batch:
            self._wake.set()

    def close(self) -> None:
        """Send what is left, within `CLOSE_SECONDS`. Later spans are dropped."""
        self._stopping = True
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)
        self._collector.close()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(self._delay)
            self._wake.clear()
            self._drain()
        self._drain()

    def _drain(self) -> None:
        while self._spans:
            batch = [self._spans.popleft() for _ in range(min(len(self._spans), self._batch))]
            try:
                sent = self._collector.send(batch)
            except Exception:
                logger.exception("spans cannot be sent")
                sent = False
            if not sent:
                self._lost += len(batch)


class ExportSettingError(ValueError):
    """A setting of the export cannot be used; the message names it and the remedy."""


def traces_endpoint(given: str, environ: Mapping[str, str]) -> str:
    """Where spans are to be sent, empty for nowhere (OpenTelemetry, "OTLP exporter configuration").

    Args:
        given: The base URL of a flag; it wins over OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, which is used as it is, and
            OTEL_EXPORTER_OTLP_ENDPOINT, a base URL.

    Raises:
        ExportSettingError: It is no URL, or another protocol than OTLP over HTTP in protobuf is asked for.
    """
    off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER", "") == "none"
    place, base = ("--otlp-endpoint", given) if given else ("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    whole = "" if given else environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
    if whole:
        place = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    base = base or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    url = whole or (f"{base.rstrip('/')}/v1/traces" if base else "")
    if not url or (off and not given):
        return ""
    if not _is_http(url):
        raise ExportSettingError(f"{place}: {whole or base!r} is no URL of a collector; write http://localhost:4318")
    for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if (protocol := environ.get(name)) and protocol != "http/protobuf":
            raise ExportSettingError(f"{name}={protocol}: spans are sent as http/protobuf only, mostly to port 4318")
    return url


def _is_http(url: str) -> bool:
    scheme, separator, rest = url.partition("://")
    return scheme in ("http", "https") and bool(separator) and rest[:1] not in ("", "/", ":") and " " not in url


def open_export(endpoint: str, service: str, version: str, environ: Mapping[str, str]) -> SpanExport:
    """Begin to export to `endpoint`; the other OTEL_* variables are the SDK's own.

    Args:
        service: The name of this service where the environment gives none.

    Raises:
        ExportSettingError: A number is none, or the OpenTelemetry SDK is not installed.
    """
    numbers = [
        _number(name, default, environ)
        for name, default in (
            ("OTEL_BSP_MAX_QUEUE_SIZE", 2048),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
            ("OTEL_BSP_SCHEDULE_DELAY", 5000),
        )
    ]
    try:
        from proxy.tracing.otlp import OtlpCollector
    except ImportError:
        raise ExportSettingError("the OpenTelemetry SDK is missing: pip install 'strangler-fig[otel]'") from None
    limit, batch, delay = numbers
    return SpanExport(OtlpCollector(endpoint, service, version), limit=limit, batch=batch, delay=delay / 1000)


def _number(name: str, default: int, environ: Mapping[str, str]) -> int:
    text = environ.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ExportSettingError(f"{name}={text!r} is not a whole number above 0")
    return int(text)
