"""The report of wrk, read."""

from __future__ import annotations

import pytest

from bench.processes import BenchError
from bench.table import Request
from bench.wrk import parse, script

REPORT = """\
Running 4s test @ http://127.0.0.1:18080
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   312.20us   85.02us   3.12ms   81.34%
    Req/Sec    96.88k     2.91k  101.13k    70.00%
  Latency Distribution
     50%  303.00us
     75%  345.00us
     90%  397.00us
     99%    1.52ms
  385412 requests in 4.00s, 124.36MB read
Requests/sec:  96352.10
Transfer/sec:     31.09MB
"""


def test_a_clean_report() -> None:
    result = parse(REPORT)

    assert (result.requests, result.seconds) == (385412, 4.0)
    assert result.requests_per_second == pytest.approx(96353.0)
    assert (result.p50_seconds, result.p99_seconds) == pytest.approx((303e-6, 1.52e-3))
    assert result.failures is None


def test_percentiles_of_whole_seconds_end_with_a_space() -> None:
    assert parse(REPORT.replace("99%    1.52ms", "99%    1.06s ")).p99_seconds == pytest.approx(1.06)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            "  Non-2xx or 3xx responses: 12", "Non-2xx or 3xx responses: 12", id="a status that is no success"
        ),
        pytest.param(
            "  Socket errors: connect 0, read 3, write 0, timeout 1",
            "Socket errors: connect 0, read 3, write 0, timeout 1",
            id="a broken connection",
        ),
    ],
)
def test_a_report_with_failures_gives_no_number_silently(line: str, expected: str) -> None:
    report = REPORT.replace("Requests/sec", f"{line}\nRequests/sec")

    assert parse(report).failures == expected


def test_a_run_without_any_answer_is_a_failure() -> None:
    report = REPORT.replace("385412 requests", "0 requests")

    assert parse(report).failures == "no request was answered"


@pytest.mark.parametrize("text", ["", "unable to connect to 127.0.0.1:1 Connection refused"])
def test_what_is_no_report_is_an_error(text: str) -> None:
    with pytest.raises(BenchError, match="not a report"):
        parse(text)


def test_the_script_sends_heads_as_written() -> None:
    text = script([Request(path='/a"b', query="x=\\1"), Request("POST", "/up", body_bytes=5)])

    assert r'"GET /a\"b?x=\\1 HTTP/1.1\r\nHost: www.example.com\r\n' in text
    assert r'Content-Length: 5\r\n\r\n" .. string.rep("x", 5),' in text
