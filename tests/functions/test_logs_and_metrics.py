"""Lines of functions as records, the platform's own lines, and the embedded metric format."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.functions.emf import Metric, metrics_of
from proxy.functions.logs import MAX_LINE_BYTES, TAIL_BYTES, FunctionLog, report_line
from proxy.functions.measures import Measures


def log() -> tuple[FunctionLog, list[dict[str, Any]]]:
    records: list[dict[str, Any]] = []
    return FunctionLog("f", "stream", lambda line: records.append(json.loads(line)), lambda: 0.0), records


def test_records() -> None:
    written, records = log()
    written.feed(b"at the start\n")
    written.begin("r-1", "Parent=2;Root=1-65000000-00000000000000000000000a;Sampled=0")
    written.feed(b'one\n{"level":"INFO"}\n')
    fixed = {"timestamp": "1970-01-01T00:00:00.000Z", "function": "f", "log_stream": "stream"}
    of_request = fixed | {"request_id": "r-1", "trace_id": "6500000000000000000000000000000a"}
    assert records == [
        fixed | {"message": "at the start"},
        of_request | {"message": "one"},
        of_request | {"record": {"level": "INFO"}},
    ]


def test_a_line_that_only_python_reads_is_text() -> None:
    """Everything that reads the log would stumble over NaN in a record."""
    lines: list[str] = []
    written = FunctionLog("f", "stream", lines.append, lambda: 0.0)
    written.feed(b'{"a": NaN}\n{"a": -Infinity}\n')
    records = [json.loads(line, parse_constant=lambda name: pytest.fail(name)) for line in lines]
    assert [record["message"] for record in records] == ['{"a": NaN}', '{"a": -Infinity}']


@settings(deadline=None)
@given(st.lists(st.text(st.characters(blacklist_characters="\n\r{", codec="utf-8"), max_size=30)), st.data())
def test_lines_are_the_same_however_they_come(lines: list[str], data: st.DataObject) -> None:
    whole = "".join(line + "\n" for line in lines).encode()
    written, records = log()
    at = 0
    while at < len(whole):
        size = data.draw(st.integers(1, 20))
        written.feed(whole[at : at + size])
        at += size
    written.end_line()
    assert [record["message"] for record in records] == lines


def test_a_line_without_end_is_cut() -> None:
    written, records = log()
    written.feed(b"x" * (2 * MAX_LINE_BYTES + 5))
    written.end_line()
    assert [len(record["message"]) for record in records] == [MAX_LINE_BYTES, MAX_LINE_BYTES, 5]


def test_the_tail_is_bounded_and_taken_once() -> None:
    written, _ = log()
    written.feed(b"y" * 10_000 + b"\nlast\n")
    assert written.take_tail() == b"y" * (TAIL_BYTES - 6) + b"\nlast\n"
    assert written.take_tail() == b""


@pytest.mark.parametrize(
    ("init", "error_type", "end"),
    [
        (None, "", "Max Memory Used: 40 MB"),
        (88.2, "", "Max Memory Used: 40 MB\tInit Duration: 88.20 ms"),
        (None, "Sandbox.Timedout", "Max Memory Used: 40 MB\tStatus: timeout"),
        (None, "Runtime.ExitError", "Max Memory Used: 40 MB\tStatus: error\tError Type: Runtime.ExitError"),
    ],
    ids=["warm", "cold", "time-out", "crash"],
)
def test_report_lines(init: float | None, error_type: str, end: str) -> None:
    billed = 100 if init is not None else 12
    assert report_line("r", 11.5, 128, 40, init, error_type) == (
        f"REPORT RequestId: r\tDuration: 11.50 ms\tBilled Duration: {billed} ms\tMemory Size: 128 MB\t{end}"
    )


def emf(directive: dict[str, Any], **root: Any) -> str:
    return json.dumps({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, **root})


COUNT = {"Namespace": "Shop", "Dimensions": [["service"]], "Metrics": [{"Name": "n", "Unit": "Count"}]}
FOUND = Metric("Shop", "n", "Count", (("service", "photos"),), (2.0,))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (emf(COUNT, service="photos", n=2), [FOUND]),
        (emf(COUNT, service="photos", n=[2, 3.5]), [Metric("Shop", "n", "Count", FOUND.dimensions, (2.0, 3.5))]),
        (emf({**COUNT, "Dimensions": [[], ["service"]]}, service="photos", n=2), [
            Metric("Shop", "n", "Count", (), (2.0,)), FOUND,
        ]),
        (emf({**COUNT, "Metrics": [{"Name": "n"}]}, service="photos", n=2), [
            Metric("Shop", "n", "None", FOUND.dimensions, (2.0,)),
        ]),
        (emf(COUNT, service="photos"), []),
        (emf(COUNT, service="photos", n="2"), []),
        (emf(COUNT, service="photos", n=True), []),
        (emf(COUNT, service="photos", n=[1] * 101), []),
        (emf(COUNT, service="photos", n=10**400), []),
        (emf(COUNT, service="photos", n=[1, float("nan")]), []),
        (emf(COUNT, service="photos", n=float("inf")), []),
        (emf(COUNT, service="photo\ud800", n=2), [Metric("Shop", "n", "Count", (), (2.0,))]),
        (emf(COUNT, service="p" * 1025, n=2), [Metric("Shop", "n", "Count", (), (2.0,))]),
        (emf({**COUNT, "Metrics": [{"Name": "n", "Unit": {"a": 1}}]}, service="photos", n=2), []),
        (emf({**COUNT, "Namespace": ""}, service="photos", n=2), []),
        (emf({**COUNT, "Namespace": "\udfff"}, service="photos", n=2), []),
        ('{"n": 2}', []),
        ("_aws", []),
        ('{"_aws": 1}', []),
        ('{"_aws": {"CloudWatchMetrics": [{"Metrics": 7}]}}', []),
        ('{"_aws"', []),
    ],
    ids=[
        "a number", "a list of numbers", "several sets of dimensions", "no unit", "no value", "a text as value",
        "a boolean as value", "too many values", "a number beyond all floats", "not a number", "infinity",
        "half a character as dimension", "a dimension that is too long", "a unit that is no text", "no namespace",
        "half a character as namespace", "another object", "another line", "nothing in it", "wrong types in it",
        "no JSON",
    ],
)  # fmt: skip
def test_the_embedded_metric_format(line: str, found: list[Metric]) -> None:
    assert metrics_of(line) == found


def test_what_powertools_writes_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    """The library that functions use for it is the oracle."""
    from aws_lambda_powertools.metrics import Metrics, MetricUnit

    metrics = Metrics(namespace="Shop", service="photos")
    metrics.add_metric("resized", MetricUnit.Count, 3)
    metrics.add_dimension("size", "small")
    metrics.flush_metrics()
    (metric,) = metrics_of(capsys.readouterr().out.strip())
    assert metric == Metric("Shop", "resized", "Count", (("service", "photos"), ("size", "small")), (3.0,))


def test_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.functions.measures.MAX_SERIES", 2)
    measures = Measures()
    for number in range(5):
        measures.line("f", emf(COUNT, service=f"s{number}", n=1))
    text = measures.exposition({}, {}, {}).decode()
    assert text.count("strangler_function_metric_count{") == 2
    assert "strangler_function_metrics_dropped_total 3.0" in text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["n", "service", "Name"]), inner),
    max_leaves=4,
)


@settings(deadline=None, max_examples=300)
@given(
    st.fixed_dictionaries(
        {
            "Namespace": st.just("Shop") | json_values,
            "Dimensions": st.just([["service"]]) | json_values,
            "Metrics": st.just([{"Name": "n"}]) | json_values,
        }
    ),
    json_values,
    json_values,
)
def test_no_line_spoils_the_exposition(directive: dict[str, Any], service: Any, n: Any) -> None:
    measures = Measures()
    measures.line("f", emf(directive, service=service, n=n))
    measures.line("f", emf(COUNT, service="photos", n=1))
    assert b'dimensions="service=photos"' in measures.exposition({}, {}, {})
