"""The export of spans, as flags and OpenTelemetry's own variables ask for it."""

from __future__ import annotations

import argparse
import os

from proxy import __version__
from proxy.cli.flags import UsageError
from proxy.observe.request_spans import RequestSpans
from proxy.tracing.export import ExportSettingError, SpanExport, open_export, traces_endpoint


def add_endpoint_argument(parser: argparse.ArgumentParser) -> None:
    """Declare `--otlp-endpoint`."""
    parser.add_argument(
        "--otlp-endpoint",
        metavar="URL",
        default="",
        help="collector that gets spans by OTLP over HTTP, such as http://localhost:4318"
        " (default: OTEL_EXPORTER_OTLP_ENDPOINT, else none)",
    )


def endpoint_of(args: argparse.Namespace) -> str:
    """Where spans go, empty for nowhere.

    Raises:
        UsageError: The flag or a variable is bad, or the SDK is missing.
    """
    try:
        endpoint = traces_endpoint(args.otlp_endpoint, os.environ)
        if endpoint:
            # What could not be opened later is better said now, by the process that people look at.
            open_export(endpoint, "strangler", __version__, os.environ).close()
    except ExportSettingError as error:
        raise UsageError(str(error)) from None
    return endpoint


def open_spans(endpoint: str, service: str) -> SpanExport | None:
    """Begin to export, if `endpoint_of` gave an endpoint."""
    return open_export(endpoint, service, __version__, os.environ) if endpoint else None


def open_request_spans(endpoint: str, *, rewrites: bool) -> RequestSpans | None:
    """The gateway's spans, if `endpoint_of` gave an endpoint."""
    export = open_spans(endpoint, "gateway")
    return RequestSpans(export, rewrites=rewrites) if export else None
