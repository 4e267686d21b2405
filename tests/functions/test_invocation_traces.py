"""Which trace an invocation belongs to, and its span."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from function_host import eventually, function, running_host

from proxy.functions.tracing import Origin, origin_of
from proxy.tracing.context import TraceContext, of_amazon
from proxy.tracing.span import Span

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OTHER = "5759e988bd862e3fe1be46a994272793"
HEADER = f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN};Sampled=1"


def message(*, traceparent: str = "", amazon: str = "") -> dict[str, Any]:
    attributes = {"traceparent": {"StringValue": traceparent, "DataType": "String"}} if traceparent else {}
    return {"MessageAttributes": attributes, "Attributes": {"AWSTraceHeader": amazon} if amazon else {}}


ONE, TWO = TraceContext(TRACE, SPAN, True), TraceContext(OTHER, SPAN, True)


@pytest.mark.parametrize(
    ("messages", "origin"),
    [
        pytest.param([message()], Origin(), id="none"),
        pytest.param([message(amazon=HEADER)], Origin(HEADER), id="AWSTraceHeader"),
        pytest.param([message(traceparent=f"00-{TRACE}-{SPAN}-01")], Origin(HEADER), id="traceparent"),
        pytest.param([message(amazon=HEADER)] * 2 + [message()], Origin(HEADER), id="one in common"),
        pytest.param(
            [message(amazon=HEADER), message(traceparent=TWO.traceparent(), amazon=HEADER)],
            Origin("", (ONE, TWO)),
            id="two: links, traceparent first",
        ),
        pytest.param([message(traceparent="bad", amazon="bad")], Origin(), id="malformed"),
    ],
)
def test_the_trace_of_a_batch(messages: list[dict[str, Any]], origin: Origin) -> None:
    assert origin_of(messages) == origin


class Export:
    dropped = 0

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def samples(self, context: TraceContext, name: str) -> bool:
        return context.sampled is not False

    def add(self, span: Span) -> None:
        self.spans.append(span)


@pytest.mark.parametrize("kind", ["RequestResponse", "Event"])
def test_an_invocation_is_below_its_caller_and_above_its_function(kind: str, tmp_path: Path) -> None:
    export = Export()
    functions = {"work": function("app.context"), "bad": function("app.fail")}
    with running_host(tmp_path, functions, spans=export) as host:  # type: ignore[arg-type]
        headers = {"x-amzn-trace-id": HEADER, "x-amz-invocation-type": kind}
        url = f"{host.endpoint}/2015-03-31/functions/work/invocations"
        answer = httpx.post(url, content=b"{}", headers=headers, trust_env=False)
        (span,) = eventually(lambda: list(export.spans), "no span")
        assert (span.name, span.trace_id, span.parent_id, span.failed) == ("work", TRACE, SPAN, False)
        if kind == "RequestResponse":
            assert of_amazon(answer.json()["trace"]) == TraceContext(TRACE, span.span_id, True)
            host.call("bad")
            failed = export.spans[1]
            assert failed.failed
            assert (failed.trace_id == TRACE, failed.parent_id) == (False, "")
        lines = [record for record in host.records if record.get("function") == "work" and "request_id" in record]
        assert {line["trace_id"] for line in lines} == {TRACE}
