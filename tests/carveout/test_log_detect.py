"""Telling a log's format from its lines, and reading formats that are given."""

from __future__ import annotations

import pytest
from log_reading import alb_line, nginx_line, parsed
from observe_records import forwarded

from proxy.carveout.logs.detect import detect, named
from proxy.carveout.logs.layout import compile_layout
from proxy.carveout.logs.problems import LogError
from proxy.observe.alb_lines import AlbLines
from proxy.observe.json_lines import JsonLines

COMMON = '192.0.2.7 - bob [24/Nov/2026:12:00:00 +0000] "GET /a?q=\\"b HTTP/1.1" 200 12'
COMBINED = f'{COMMON} "-" "x \\"y\\""'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(alb_line(), "alb", id="the load balancer's"),
        pytest.param(alb_line(created=""), "alb", id="an old one of the load balancer's"),
        pytest.param(AlbLines().line(forwarded()), "alb", id="our alb lines"),
        pytest.param(JsonLines().line(forwarded()), "json", id="our json lines"),
        pytest.param(nginx_line(), "combined-upstream-time", id="nginx: both times"),
        pytest.param(nginx_line(times="0.021 -"), "combined-upstream-time", id="nginx: no target"),
        pytest.param(nginx_line(times="0.021 0.001, 0.020"), "combined-upstream-time", id="nginx: two targets"),
        pytest.param(nginx_line(times="0.021"), "combined-time", id="nginx: one time"),
        pytest.param(f'{COMBINED} "192.0.2.9, 10.0.0.1" 0.021', "main-time", id="nginx: its main format and a time"),
        pytest.param(
            f'{COMBINED} rt=0.021 uct="-" uht="0.020" urt="0.020"', "combined-named-times", id="nginx: named times"
        ),
        pytest.param(f"{COMBINED} 21000", "apache-combined-microseconds", id="Apache: %D at the end of combined"),
        pytest.param(f"{COMMON} 21000", "apache-common-microseconds", id="Apache: %D after common"),
    ],
)
def test_a_format_is_told_from_its_lines(line: str, expected: str) -> None:
    """Even when some lines are bad."""
    assert detect([line, line, "cut"], "access.log").name == expected


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param([COMBINED], "do not tell how long a request took", id="combined without a time"),
        pytest.param(["Enable AccessLog for ELB: shop"], "--format", id="the file that AWS leaves to test a bucket"),
        pytest.param(["", " "], "is empty", id="nothing in it"),
        pytest.param([alb_line(), "a", "b"], "--format", id="mostly something else"),
    ],
)
def test_what_cannot_be_used_is_said(lines: list[str], message: str) -> None:
    with pytest.raises(LogError, match=message):
        detect(lines, "access.log")


def test_a_custom_layout_of_nginx() -> None:
    """Everything where it likes it, and names around it."""
    layout = (
        '$msec host=$host "$request_method $request_uri $server_protocol" $status up=$upstream_status'
        ' in=$request_length out=$bytes_sent "$http_user_agent" <$remote_addr> $proxy_host'
        " t=$request_time/s $upstream_response_time"
        " $upstream_header_time"
    )
    line = (
        '1795521600.021 host=shop "POST /orders?x=1 HTTP/1.1" 499 up=502, 200 in=300 out=500 "a, b : c" <192.0.2.7>'
        " monolith t=0.021/s 0.001, 0.019 0.001, 0.010"
    )
    (row,) = parsed([line], compile_layout(layout))

    assert {
        name: row[name] for name in ("method", "path", "status", "target_group", "request_bytes", "response_bytes")
    } == {
        "method": "POST",
        "path": "/orders",
        "status": 200,
        "target_group": "monolith",
        "request_bytes": 300,
        "response_bytes": 500,
    }
    assert (row["started_us"], row["lasted_us"], row["first_byte_us"]) == (1_795_521_600_000_000, 19_000, 10_000)
    (same_client,) = parsed([alb_line(user_agent="a, b : c")])
    assert row["client"] == same_client["client"]


def test_a_custom_layout_of_apache() -> None:
    layout = '%v %a %{X-Request-Id}o [%{ms}T] %t "%m %U%q" %>s %I %O "%{User-Agent}i" %^FB'
    line = 'shop 192.0.2.7 id-1 [21] [24/Nov/2026:12:00:00 +0000] "GET /orders?x=1" 200 300 500 "curl/8" 9000'
    (row,) = parsed([line], compile_layout(layout.replace("%U%q", "%U")))

    assert (row["path"], row["lasted_us"], row["first_byte_us"]) == ("/orders", 21_000, 9_000)
    assert (row["target_group"], row["request_bytes"], row["response_bytes"]) == ("shop", 300, 500)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        pytest.param("$remote_addr $request_time", "when .* and the request .* and the status", id="nearly nothing"),
        pytest.param('[$time_local] "$request" $status', "do not tell how long", id="no duration"),
        pytest.param('$msec "$request" $status$request_time', "the status", id="two variables in one word"),
        pytest.param("combine", "unknown log format 'combine': choose one of alb, json", id="a misspelt name"),
    ],
)
def test_a_layout_that_is_not_enough(layout: str, message: str) -> None:
    with pytest.raises(LogError, match=message):
        named(layout)
