"""The spans of a request: one of the gateway as a server, one of it as the target's client.

They are made of the record when the request has ended. The load balancer sends none and names no parent, so by default
headers go as it sends them, and what a target makes of them lies beside these spans (docs/tracing.md). `continued` is
for whoever wants it below them.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.observe.record import RequestRecord
from proxy.rules.request import RequestView
from proxy.tracing.context import TraceContext, new_span_id, new_trace_id, of_amazon, of_traceparent
from proxy.tracing.export import SpanExport
from proxy.tracing.span import Span

METHODS: Final = {
    method: method.decode()
    for method in (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"CONNECT", b"TRACE")
}
"""RFC 9110 9 and RFC 5789; any other is `_OTHER` (OpenTelemetry's conventions for HTTP)."""
HOST_LIMIT: Final = 255
NAME_LIMIT: Final = 200

_REPLACED: Final = re.compile(rb"\r\n(?:traceparent|x-amzn-trace-id):[^\r\n]*", re.IGNORECASE)
_OF_THE_TRACE: Final = (b"Root=", b"Self=", b"Parent=", b"Sampled=")


class RequestSpans:
    """Makes spans of records.

    Args:
        export: Where they go.
        rewrites: Whether targets are told, by `traceparent` and X-Amzn-Trace-Id, that this gateway's span is theirs.
    """

    def __init__(self, export: SpanExport, *, rewrites: bool = False) -> None:
        self._export = export
        self.rewrites = rewrites

    @property
    def dropped(self) -> int:
        """Spans that did not reach the collector."""
        return self._export.dropped

    def close(self) -> None:
        """Send what is left, within some seconds."""
        self._export.close()

    def continued(self, view: RequestView, head: bytes, trace_id: bytes) -> tuple[bytes, bytes]:
        """The head for a target, and the X-Amzn-Trace-Id in it, with the coming client span as the parent.

        Args:
            head, trace_id: As the load balancer would send them.
        """
        came = context_of(view, trace_id) or TraceContext(new_trace_id(), "", None)
        told = came._replace(parent_id=new_span_id(), sampled=self._export.samples(came, ""))
        others = [field for field in trace_id.split(b";") if not field.startswith(_OF_THE_TRACE)]
        amazon = b";".join([told.amazon().encode(), *others])
        lines = b"\r\ntraceparent: %s\r\nX-Amzn-Trace-Id: %s\r\n\r\n" % (told.traceparent().encode(), amazon)
        return _REPLACED.sub(b"", head[:-4]) + lines, amazon

    def record(self, record: RequestRecord, name: str) -> None:
        """Make the spans of a request that has ended, if its trace is sampled.

        Args:
            name: The bounded name of its transaction, `GET /users/{id}` or what its target calls it; empty for none.
        """
        view = record.view
        if view is None:
            return
        told = of_amazon(record.trace_id.decode("latin-1")) if self.rewrites else None
        came = context_of(view, view.fields.get(b"x-amzn-trace-id", b"") if told else record.trace_id)
        if told is not None:
            # What the target was told is what is exported.
            is_sampled = bool(told.sampled)
            if came is None or came.trace_id != told.trace_id:
                came = told._replace(parent_id="")
        else:
            came = came or TraceContext(new_trace_id(), "", None)
            is_sampled = self._export.samples(came, name)
        if not is_sampled:
            return
        method = METHODS.get(record.method, "_OTHER")
        spoken = name[:NAME_LIMIT] or method.replace("_OTHER", "HTTP")
        began = int(record.started_at * 1e9)
        ended = began + max(int((record.ended_at - record.received_at) * 1e9), 0)
        span_id = new_span_id()
        attributes = _server_attributes(record, view, method, name)
        failed = record.status >= 500 or not record.status
        self._export.add(
            Span(spoken, "server", came.trace_id, span_id, came.parent_id, began, ended, attributes, failed)
        )
        if record.target_id:
            client_id = told.parent_id if told is not None else new_span_id()
            attributes = _client_attributes(record, method)
            failed = record.target_status >= 400 or not record.target_status
            self._export.add(
                Span(spoken, "client", came.trace_id, client_id, span_id, began, ended, attributes, failed)
            )


def context_of(view: RequestView, amazon: bytes) -> TraceContext | None:
    """The trace that a request belongs to: of its `traceparent`, else of X-Amzn-Trace-Id; None if neither has one.

    Args:
        amazon: The X-Amzn-Trace-Id, as the target got it if one was asked: it has what the client's had (alb.md 6.2).
    """
    if b"traceparent" in view.fields:
        values = view.header_values(b"traceparent")
        if len(values) == 1 and (came := of_traceparent(values[0].decode("latin-1"))):
            return came
    return of_amazon(amazon.decode("latin-1"))


def _server_attributes(record: RequestRecord, view: RequestView, method: str, name: str) -> dict[str, str | int | bool]:
    """By OpenTelemetry's conventions for HTTP servers; neither path nor query, which may hold what is private."""
    attributes: dict[str, str | int | bool] = {
        "http.request.method": method,
        "url.scheme": view.scheme,
        "network.protocol.version": _version(record.protocol),
        "client.address": view.peer,
        "server.address": view.host[:HOST_LIMIT].decode("latin-1"),
        "server.port": view.port,
        "strangler.listener": record.listener,
        "strangler.rule": record.rule,
    }
    if name and not record.hint:
        attributes["http.route"] = name.partition(" ")[2]
    if record.target_group:
        attributes["strangler.target_group"] = record.target_group
    _outcome(attributes, record.status, record.reason, 500)
    return attributes


def _client_attributes(record: RequestRecord, method: str) -> dict[str, str | int | bool]:
    address, _, port = record.target_id.rpartition(":")
    attributes: dict[str, str | int | bool] = {
        "http.request.method": method,
        "strangler.target_group": record.target_group,
        "server.address": address if port.isdigit() else record.target_id,
    }
    if port.isdigit():
        attributes["server.port"] = int(port)
    _outcome(attributes, record.target_status, record.reason, 400)
    return attributes


def _outcome(attributes: dict[str, str | int | bool], status: int, reason: str, errors_from: int) -> None:
    if status:
        attributes["http.response.status_code"] = status
    if reason:
        attributes["error.type"] = reason
    elif status >= errors_from:
        attributes["error.type"] = str(status)


def _version(protocol: bytes) -> str:
    """`1.1` of `HTTP/1.1`, `2` of `HTTP/2.0` (OpenTelemetry's conventions for networks)."""
    return protocol[:16].partition(b"/")[2].decode("latin-1").removesuffix(".0") if protocol != b"HTTP/1.0" else "1.0"
