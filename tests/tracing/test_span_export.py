"""Where spans go, and that nobody waits for them."""

from __future__ import annotations

import logging
import sys
import threading

import pytest
from otlp_collector import collecting

from proxy.tracing.context import TraceContext
from proxy.tracing.export import ExportSettingError, SpanExport, open_export, traces_endpoint
from proxy.tracing.span import Span

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def span(number: int = 1) -> Span:
    link = TraceContext("a" * 32, "b" * 16, True)
    attributes = {"a": 1, "b": "x"}
    return Span("GET /a", "server", TRACE, f"{number:016x}", PARENT, 10**9, 3 * 10**9, attributes, True, (link,))


class Stuck:
    """A collector that does not answer until it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.answer = threading.Event()
        self.taken: list[Span] = []

    def samples(self, context: TraceContext, name: str) -> bool:
        return True

    def send(self, spans: list[Span]) -> bool:
        self.asked.set()
        self.answer.wait(30)
        self.taken += spans
        return True

    def close(self) -> None:
        self.answer.set()


def test_what_a_collector_is_too_slow_for_is_dropped_and_counted() -> None:
    stuck = Stuck()
    export = SpanExport(stuck, limit=3, batch=1, delay=60)
    export.add(span())
    assert stuck.asked.wait(30)
    for number in range(5):
        export.add(span(number))
    assert export.dropped == 2
    stuck.answer.set()
    export.close()
    assert len(stuck.taken) == 4
    export.add(span())
    assert export.dropped == 3


@pytest.mark.parametrize("failure", ["refuses", "raises"])
def test_what_a_collector_does_not_take_is_counted(failure: str, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Stuck):
        def send(self, spans: list[Span]) -> bool:
            if failure == "raises":
                raise OSError("no")
            return False

    export = SpanExport(Failing(), delay=60)
    export.add(span())
    with caplog.at_level(logging.CRITICAL, "proxy.tracing.export"):
        export.close()
    assert export.dropped == 1


def test_a_span_arrives_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=a")
    with collecting() as collector:
        export = open_export(f"{collector.endpoint}/v1/traces", "gateway", "1", {})
        export.add(span())
        export.close()
    (came,) = collector.spans
    assert (came.service, came.name, came.kind, came.seconds) == ("shop", "GET /a", "server", 2.0)
    assert (came.trace_id, came.span_id, came.parent_id) == (TRACE, "0000000000000001", PARENT)
    assert (came.attributes, came.failed, came.links) == ({"a": 1, "b": "x"}, True, [("a" * 32, "b" * 16)])
    assert collector.headers["x-team"] == "a"
    assert export.dropped == 0


@pytest.mark.parametrize(
    ("sampler", "came", "recorded"),
    [
        pytest.param("", TraceContext(TRACE, "", None), True, id="undecided: recorded by default"),
        pytest.param("", TraceContext(TRACE, PARENT, False), False, id="decided by the sender"),
        pytest.param("", TraceContext(TRACE, "", False), False, id="decided by a sender without a span"),
        pytest.param("always_on", TraceContext(TRACE, PARENT, False), True, id="always_on"),
        pytest.param("parentbased_always_off", TraceContext(TRACE, "", None), False, id="parentbased_always_off"),
        pytest.param("parentbased_always_off", TraceContext(TRACE, "", True), True, id="the sender before the sampler"),
    ],
)
def test_the_sampler_of_the_environment(
    sampler: str, came: TraceContext, recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler or "parentbased_always_on")
    export = open_export("http://127.0.0.1:9/v1/traces", "gateway", "1", {})
    assert export.samples(came, "GET /a") is recorded
    export.close()


@pytest.mark.parametrize(
    ("given", "environ", "endpoint"),
    [
        pytest.param("", {}, "", id="nothing"),
        pytest.param("http://a:4318", {}, "http://a:4318/v1/traces", id="the flag is a base URL"),
        pytest.param("http://a:4318/", {}, "http://a:4318/v1/traces", id="with a slash"),
        pytest.param("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://b/x"}, "http://b/x/v1/traces", id="a base URL"),
        pytest.param("", {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, "", id="empty is unset"),
        pytest.param("", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/t"}, "http://c/t", id="of traces: as it is"),
        pytest.param(
            "http://a",
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/t", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://b"},
            "http://a/v1/traces",
            id="the flag wins",
        ),
        pytest.param(
            "", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://b", "OTEL_SDK_DISABLED": "true"}, "", id="OTEL_SDK_DISABLED"
        ),
        pytest.param(
            "",
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://b", "OTEL_TRACES_EXPORTER": "none"},
            "",
            id="exporter none",
        ),
    ],
)
def test_where_spans_go(given: str, environ: dict[str, str], endpoint: str) -> None:
    assert traces_endpoint(given, environ) == endpoint


@pytest.mark.parametrize(
    ("given", "environ", "said"),
    [
        pytest.param("collector:4318", {}, "--otlp-endpoint: 'collector:4318' is no URL", id="the flag"),
        pytest.param("", {"OTEL_EXPORTER_OTLP_ENDPOINT": "banana"}, "OTEL_EXPORTER_OTLP_ENDPOINT: 'banana'", id="base"),
        pytest.param(
            "", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "ftp://x"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", id="traces"
        ),
        pytest.param("http://a", {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf only", id="another protocol"),
    ],
)
def test_a_bad_endpoint_is_named(given: str, environ: dict[str, str], said: str) -> None:
    with pytest.raises(ExportSettingError, match=said):
        traces_endpoint(given, environ)


def test_a_bad_number_is_named() -> None:
    with pytest.raises(ExportSettingError, match="OTEL_BSP_MAX_QUEUE_SIZE='x' is not a whole number above 0"):
        open_export("http://127.0.0.1:9", "gateway", "1", {"OTEL_BSP_MAX_QUEUE_SIZE": "x"})


def test_without_the_sdk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "proxy.tracing.otlp", None)
    with pytest.raises(ExportSettingError, match=r"pip install 'strangler-fig\[otel\]'"):
        open_export("http://127.0.0.1:9", "gateway", "1", {})
