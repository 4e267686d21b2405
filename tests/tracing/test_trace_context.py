"""traceparent and X-Amzn-Trace-Id, with OpenTelemetry's own propagators as the oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.trace import SpanContext, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from extracted_services.users import tracing as services
from proxy.tracing.context import TraceContext, new_span_id, new_trace_id, of_amazon, of_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ROOT = f"Root=1-{TRACE[:8]}-{TRACE[8:]}"

hex_digits = st.sampled_from("0123456789abcdef")
trace_ids = st.text(hex_digits, min_size=32, max_size=32).filter(lambda text: text.strip("0"))
span_ids = st.text(hex_digits, min_size=16, max_size=16).filter(lambda text: text.strip("0"))
contexts = st.builds(TraceContext, trace_ids, span_ids, st.booleans())


def oracle(name: str, value: str) -> TraceContext | None:
    propagator = AwsXRayPropagator() if name == "X-Amzn-Trace-Id" else TraceContextTextMapPropagator()
    found: SpanContext = get_current_span(propagator.extract({name: value}, Context())).get_span_context()
    if not found.is_valid:
        return None
    return TraceContext(f"{found.trace_id:032x}", f"{found.span_id:016x}", found.trace_flags.sampled)


@given(contexts)
def test_opentelemetry_reads_what_is_written(context: TraceContext) -> None:
    assert oracle("traceparent", context.traceparent()) == context
    assert oracle("X-Amzn-Trace-Id", context.amazon()) == context
    assert of_traceparent(context.traceparent()) == of_amazon(context.amazon()) == context
    headers = services.Trace(*context).headers()
    assert headers == {"traceparent": context.traceparent(), "X-Amzn-Trace-Id": context.amazon()}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(f"00-{TRACE}-{SPAN}-01", id="sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-00", id="not sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-03", id="another flag besides"),
        pytest.param(f"00-{TRACE}-{SPAN}-01-more", id="version 00 with more"),
        pytest.param(f"01-{TRACE}-{SPAN}-01-more", id="a later version with more"),
        pytest.param(f"01-{TRACE}-{SPAN}-01", id="a later version"),
        pytest.param(f"ff-{TRACE}-{SPAN}-01", id="version ff"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", id="no trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", id="no parent"),
        pytest.param(f"00-{TRACE[1:]}-{SPAN}-01", id="too short"),
        pytest.param(f"00-{TRACE.upper()}-{SPAN}-01", id="capitals"),
        pytest.param("", id="empty"),
    ],
)
def test_traceparent_means_what_opentelemetry_says(value: str) -> None:
    assert of_traceparent(value) == oracle("traceparent", value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(f"{ROOT};Parent={SPAN};Sampled=1", id="sampled"),
        pytest.param(f"{ROOT};Parent={SPAN};Sampled=0", id="not sampled"),
        pytest.param(f"Sampled=1;Parent={SPAN};{ROOT}", id="in another order"),
        pytest.param(f"Self=1-65000000-{'1' * 24};{ROOT};Parent={SPAN};Sampled=1", id="with a Self"),
        pytest.param(f"{ROOT};Parent={SPAN};Sampled=1;Lineage=a:1", id="with a Lineage"),
        pytest.param(f" {ROOT} ; Parent={SPAN} ; Sampled=1", id="with spaces"),
        pytest.param(f"Root=1-{'0' * 8}-{'0' * 24};Parent={SPAN};Sampled=1", id="no trace"),
        pytest.param(f"Root={TRACE};Parent={SPAN}", id="a W3C trace id as it is"),
        pytest.param(f"Parent={SPAN};Sampled=1", id="without a Root"),
        pytest.param("", id="empty"),
    ],
)
def test_amazon_s_header_means_what_opentelemetry_says(value: str) -> None:
    assert of_amazon(value) == oracle("X-Amzn-Trace-Id", value)


@pytest.mark.parametrize(
    ("value", "context"),
    [
        pytest.param(ROOT, TraceContext(TRACE, "", None), id="as the load balancer makes it: no parent, undecided"),
        pytest.param(f"Self=1-1-2;{ROOT}", TraceContext(TRACE, "", None), id="as it passes a Root on"),
        pytest.param(f"{ROOT};Parent={SPAN}", TraceContext(TRACE, SPAN, None), id="without Sampled: undecided"),
        pytest.param(f"{ROOT};Parent={SPAN};Sampled=?", TraceContext(TRACE, SPAN, None), id="Sampled=?: undecided"),
        pytest.param(f"{ROOT};Parent=x;Sampled=1", TraceContext(TRACE, "", True), id="a bad Parent is none"),
        pytest.param(f"{ROOT};nonsense", TraceContext(TRACE, "", None), id="a bad field is passed over"),
        pytest.param(f"CalledFrom={ROOT}", None, id="a Root inside of another field is none"),
    ],
)
def test_where_amazon_s_header_is_read_otherwise_than_opentelemetry_does(
    value: str, context: TraceContext | None
) -> None:
    """Its propagator needs a Parent, takes what is missing for "not sampled", and lets go of all for one bad field."""
    assert of_amazon(value) == context
    if context is not None:
        assert services.trace_of({"x-amzn-trace-id": value}) == context


@given(st.text(max_size=120))
def test_any_text_is_read(text: str) -> None:
    for found in (of_traceparent(text), of_amazon(text), of_amazon(f"{ROOT};{text}")):
        assert found is None or len(found.trace_id) == 32


def test_new_ids_are_ids() -> None:
    context = TraceContext(new_trace_id(), new_span_id(), True)
    assert oracle("traceparent", context.traceparent()) == context
