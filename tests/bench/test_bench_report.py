"""The arithmetic of a comparison, on canned measurements."""

from __future__ import annotations

import io

from rich.console import Console

from bench.report import OF_REQUESTS, Line, Measurement, document, show, summarize


def measurement(cpu: float, requests: float, p50: float, p99: float) -> Measurement:
    return {"cpu_us_per_request": cpu, "requests_per_second": requests, "p50_ms": p50, "p99_ms": p99}


NGINX = [measurement(10, 100, 1.0, 2.0), measurement(20, 50, 2.0, 4.0), measurement(12, 90, 1.1, 2.2)]
OTHER = [measurement(30, 50, 2.0, 8.0), measurement(40, 40, 3.0, 8.0), measurement(24, 30, 2.2, 5.5)]


def lines(**failures: str) -> dict[str, Line]:
    runs = {"nginx": NGINX, "other": OTHER}
    return {line.peer: line for line in summarize("case", runs, failures, "nginx")}


def test_a_line_is_the_median_of_the_rounds() -> None:
    line = lines()["nginx"]

    assert line.median == measurement(12, 90, 1.1, 2.2)
    assert line.lowest == measurement(10, 50, 1.0, 2.0)
    assert line.highest == measurement(20, 100, 2.0, 4.0)


def test_a_ratio_is_taken_within_each_round() -> None:
    """CPU 3, 2 and 2 times as much: the disturbed second round disturbs both sides of its ratio."""
    ratio = lines()["other"].ratio

    assert ratio == measurement(2, 0.5, 2.0, 2.5)


def test_the_reference_has_ratio_one() -> None:
    assert lines()["nginx"].ratio == measurement(1, 1, 1, 1)


def test_a_failure_takes_the_numbers_away() -> None:
    line = lines(other="under load: Non-2xx or 3xx responses: 1")["other"]

    assert line.median is None
    assert line.failure == "under load: Non-2xx or 3xx responses: 1"


def test_without_the_reference_there_are_numbers_and_no_ratios() -> None:
    line = lines(nginx="did not start")["other"]

    assert line.median == measurement(30, 40, 2.2, 8.0)
    assert line.ratio is None


def test_the_document_names_numbers_and_failures() -> None:
    result = document(list(lines(other="broken").values()), {"rounds": 3})

    assert result["rounds"] == 3
    assert [line["peer"] for line in result["results"]] == ["nginx", "other"]
    assert result["results"][0]["median"]["cpu_us_per_request"] == 12
    assert result["results"][1] == {
        "case": "case",
        "peer": "other",
        "median": None,
        "lowest": None,
        "highest": None,
        "ratio": None,
        "failure": "broken",
    }


def test_the_table_prints_a_failed_peer_with_its_reason() -> None:
    output = io.StringIO()
    show(Console(file=output, width=130), "case", list(lines(other="broke [down]").values()), "nginx", OF_REQUESTS)

    assert "12.0" in output.getvalue()
    assert "case other failed: broke [down]" in output.getvalue()
