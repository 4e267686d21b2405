"""The gateway's spans: what is in them, where they hang, and what a target is told."""

from __future__ import annotations

from typing import Any

import pytest
from observe_records import forwarded

from proxy.observe.request_spans import RequestSpans, context_of
from proxy.rules.request import RequestView
from proxy.tracing.context import TraceContext, of_amazon, of_traceparent
from proxy.tracing.span import Span

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = ("traceparent", f"00-{TRACE}-{SPAN}-01")
ROOT = f"Root=1-{TRACE[:8]}-{TRACE[8:]}"
MADE = b"Root=1-65000000-000000000000000000000001"


class Export:
    """Keeps what it gets; samples as the sender has decided."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def samples(self, context: TraceContext, name: str) -> bool:
        return context.sampled is not False

    def add(self, span: Span) -> None:
        self.spans.append(span)


def spans_of(view: RequestView, name: str = "GET /a/{id}", *, rewrites: bool = False, **record: Any) -> list[Span]:
    export = Export()
    RequestSpans(export, rewrites=rewrites).record(forwarded(view=view, **record), name)  # type: ignore[arg-type]
    return export.spans


def view_of(*headers: tuple[str, str]) -> RequestView:
    return RequestView.of("GET", "/a/7?q=secret", [("Host", "shop.example"), *headers], port=8080)


@pytest.mark.parametrize(
    ("headers", "amazon", "trace_id", "parent_id"),
    [
        pytest.param([], MADE, "65000000000000000000000000000001", "", id="none: the Root that was made"),
        pytest.param([TRACEPARENT], MADE, TRACE, SPAN, id="traceparent"),
        pytest.param([], f"Self=1-1-1;{ROOT};Parent={SPAN}".encode(), TRACE, SPAN, id="X-Amzn-Trace-Id"),
        pytest.param([TRACEPARENT, TRACEPARENT], MADE, "65000000000000000000000000000001", "", id="two count as none"),
        pytest.param([("traceparent", "bad")], MADE, "65000000000000000000000000000001", "", id="a bad one as well"),
    ],
)
def test_the_trace_of_a_request(headers: list[tuple[str, str]], amazon: bytes, trace_id: str, parent_id: str) -> None:
    server, client = spans_of(view_of(*headers), trace_id=amazon)
    assert (server.trace_id, server.parent_id, server.kind) == (trace_id, parent_id, "server")
    assert (client.trace_id, client.parent_id, client.kind) == (trace_id, server.span_id, "client")


def test_a_span_says_nothing_private() -> None:
    view = view_of(("Cookie", "secret"), ("User-Agent", "secret"))
    for span in spans_of(view, trace_id=MADE):
        assert span.name == "GET /a/{id}"
        assert not [value for value in span.attributes.values() if "secret" in str(value) or "/a/7" in str(value)]


def test_the_conventions_for_http() -> None:
    server, client = spans_of(view_of(), trace_id=MADE, status=502, target_status=0, reason="Target.Timeout")
    expected = {"http.request.method": "GET", "http.route": "/a/{id}", "http.response.status_code": 502}
    expected |= {"server.address": "shop.example", "server.port": 8080, "url.scheme": "http"}
    assert expected.items() <= server.attributes.items()
    assert (server.attributes["error.type"], server.failed, client.failed) == ("Target.Timeout", True, True)
    assert "http.response.status_code" not in client.attributes


@pytest.mark.parametrize(
    ("name", "method", "spoken"),
    [("", b"GET", "GET"), ("", b"BREW" * 100, "HTTP"), ("checkout" * 100, b"GET", ("checkout" * 100)[:200])],
    ids=["no name", "no known method", "a long name"],
)
def test_names_are_bounded(name: str, method: bytes, spoken: str) -> None:
    assert {span.name for span in spans_of(view_of(), name, method=method, trace_id=MADE)} == {spoken}


def test_without_a_target_there_is_one_span() -> None:
    (server,) = spans_of(view_of(TRACEPARENT), target_id="", target_group="", trace_id=b"", status=302)
    assert (server.trace_id, server.parent_id, server.failed) == (TRACE, SPAN, False)


def test_what_the_sender_does_not_record_is_not_recorded() -> None:
    assert spans_of(view_of(("traceparent", f"00-{TRACE}-{SPAN}-00")), trace_id=MADE) == []


@pytest.mark.parametrize(
    "headers",
    [[], [TRACEPARENT], [("x-amzn-trace-id", f"{ROOT};Parent={SPAN};CalledFrom=app")]],
    ids=["neither", "traceparent", "X-Amzn-Trace-Id"],
)
def test_a_target_that_is_told_has_the_client_span_as_its_parent(headers: list[tuple[str, str]]) -> None:
    view = view_of(*headers)
    amazon = headers[0][1].encode() if headers and headers[0][0] != "traceparent" else MADE
    lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers if name == "traceparent")
    head = b"GET /a/7 HTTP/1.1\r\nHost: a\r\n%sTraceParentage: kept\r\nX-Amzn-Trace-Id: %s\r\n\r\n" % (lines, amazon)
    export = Export()
    spans = RequestSpans(export, rewrites=True)  # type: ignore[arg-type]
    head, told = spans.continued(view, head, amazon)
    spans.record(forwarded(view=view, trace_id=told), "GET /a/{id}")
    server, client = export.spans

    _, *rest = head.decode().removesuffix("\r\n\r\n").split("\r\n")
    sent = [(line.partition(": ")[0].lower(), line.partition(": ")[2]) for line in rest]
    assert [name for name, _ in sent] == ["host", "traceparentage", "traceparent", "x-amzn-trace-id"]
    expected = TraceContext(client.trace_id, client.span_id, True)
    assert of_traceparent(dict(sent)["traceparent"]) == of_amazon(dict(sent)["x-amzn-trace-id"]) == expected
    assert ("CalledFrom=app" in dict(sent)["x-amzn-trace-id"]) == ("CalledFrom" in str(headers))
    came = context_of(view, amazon)
    assert came is not None
    assert (server.trace_id, server.parent_id) == (came.trace_id, came.parent_id)
    assert client.parent_id == server.span_id
