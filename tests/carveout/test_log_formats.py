"""What a line of each format says about a request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from athena import access_log_row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_reading import alb_line, nginx_line, parsed
from observe_records import RECEIVED_AT, forwarded, refused

from proxy.carveout.logs.names import as_sent
from proxy.observe.alb_lines import AlbLines
from proxy.observe.json_lines import JsonLines
from proxy.observe.record import RequestRecord
from proxy.rules.request import RequestView

NOON_US = 1_795_521_600_000_000


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, {"started_us": NOON_US + 1000, "lasted_us": 20_000, "ended_us": NOON_US + 21_000}, id="times"),
        pytest.param({}, {"method": "GET", "path": "/orders", "target_group": "monolith", "asked": True}, id="names"),
        pytest.param(
            {"created": ""},
            {"started_us": NOON_US + 1000, "lasted_us": 20_000},
            id="an old line without its creation time: from the three durations",
        ),
        pytest.param(
            {"time": "2026-11-24T12:00:03.021000Z"},
            {"lasted_us": 3_020_000, "first_byte_us": 20_000},
            id="a long body counts as the target's time",
        ),
        pytest.param(
            {"times": "-1 -1 -1", "status": "504", "target_status": "-", "time": "2026-11-24T12:01:00.000000Z"},
            {"lasted_us": 60_000_000, "first_byte_us": 0, "status": 504, "asked": True},
            id="times of -1 with a target: it was busy all the time",
        ),
        pytest.param(
            {"target": "-", "times": "-1 -1 -1", "status": "301", "target_status": "-", "arn": "-"},
            {"asked": False, "target_group": ""},
            id="a redirect asks no target",
        ),
        pytest.param({"target": "-"}, {"asked": True}, id="a lambda has no address and was asked"),
        pytest.param({"type": "wss", "status": "101", "target_status": "101"}, {"is_stream": True}, id="a WebSocket"),
        pytest.param(
            {"request": "GET https://shop.example.com:443/a b HTTP/1.1"}, {"path": "/a"}, id="a blank in the URL"
        ),
        pytest.param({"request": "- http://-:80- -"}, {"method": "-", "path": "/"}, id="what is no request"),
        pytest.param({"request": "GET https://h:443 HTTP/1.1"}, {"path": "/"}, id="a URL without a path"),
        pytest.param({"request": "GET https://h:443?/x HTTP/1.1"}, {"path": "/"}, id="a URL with a query alone"),
        pytest.param({"request": "OPTIONS * HTTP/1.1"}, {"method": "OPTIONS", "path": "*"}, id="OPTIONS *"),
        pytest.param({"user_agent": r"a \"quoted\" agent"}, {"lasted_us": 20_000}, id=r"\" in an agent"),
        pytest.param({"user_agent": r"a \x22quoted\x22"}, {"target_group": "monolith"}, id=r"\x22 in an agent"),
        pytest.param({"user_agent": "-"}, {"lasted_us": 20_000}, id="no agent"),
        pytest.param({"status": "-", "target_status": "-"}, {"status": 0, "is_told": True}, id="no status"),
        pytest.param({"tail": '"forward" "-" "-"'}, {"lasted_us": 20_000}, id="27 fields"),
        pytest.param(
            {"tail": '"-" "-" "-" "-" "-" "-" "-" - "-" "-" "-" 10.0.0.9'}, {"lasted_us": 20_000}, id="34 fields"
        ),
    ],
)
def test_an_alb_line(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    """alb.md 9.1."""
    (row,) = parsed([alb_line(**changes)])

    assert {name: row[name] for name in expected} == expected
    assert row["bad_line"] is None


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("", id="nothing at all is no line"),
        pytest.param("cut", id="a word"),
        pytest.param(alb_line()[:100], id="cut before the request"),
        pytest.param(alb_line()[:190], id="cut in the agent"),
        pytest.param(alb_line(time="yesterday"), id="no time"),
        pytest.param(nginx_line(), id="a line of another format"),
        pytest.param("\\x22" * 1000, id="quotes"),
        pytest.param(" " * 5000, id="blanks"),
        pytest.param('"' * 5000, id="quotes only"),
    ],
)
def test_a_bad_line_is_kept_as_it_is(line: str) -> None:
    """And the good ones around it are read."""
    rows = parsed([alb_line(), line, alb_line()])

    assert [row["bad_line"] for row in rows] == ([None, line, None] if line else [None, None])


def test_an_ipv6_client_is_one_client() -> None:
    """With brackets in one format and without in the other, by whatever port."""
    first, second, third = parsed(
        [
            alb_line(client="[2001:db8::1]:5000"),
            alb_line(client="[2001:db8::1]:6000"),
            alb_line(client="[2001:db8::2]:1"),
        ]
    )
    (fourth,) = parsed([nginx_line(client="2001:db8::1")], "combined-upstream-time")

    assert first["client"] == second["client"] == fourth["client"] != third["client"]


@pytest.mark.parametrize(
    ("known", "line", "expected"),
    [
        pytest.param(
            "combined-upstream-time",
            nginx_line(),
            {"ended_us": NOON_US, "started_us": NOON_US - 21_000, "lasted_us": 20_000, "path": "/orders"},
            id="nginx",
        ),
        pytest.param(
            "combined-upstream-time",
            nginx_line(time="24/Nov/2026:13:30:00 +0130"),
            {"ended_us": NOON_US},
            id="a zone east of Greenwich",
        ),
        pytest.param(
            "combined-upstream-time",
            nginx_line(time="23/Nov/2026:23:59:59 -1200"),
            {"ended_us": NOON_US - 1_000_000},
            id="a zone west of it, a second before midnight",
        ),
        pytest.param(
            "combined-upstream-time", nginx_line(times="0.021 -"), {"asked": False}, id="a file that nginx has itself"
        ),
        pytest.param(
            "combined-upstream-time",
            nginx_line(times="0.521 0.001, 0.500", status="502 10"),
            {"lasted_us": 500_000, "asked": True, "status": 502},
            id="two targets tried: the last one answered",
        ),
        pytest.param(
            "combined-upstream-time",
            nginx_line(request="", status="400 0", times="0.000 -"),
            {"method": "", "path": "/", "asked": False},
            id="no request line",
        ),
        pytest.param(
            "combined-upstream-time",
            nginx_line(request=r"\x16\x03\x01", status="400 150", times="0.000 -"),
            {"asked": False, "is_told": True},
            id="TLS on a plain port",
        ),
        pytest.param("combined-time", nginx_line(times="0.021"), {"lasted_us": 21_000, "asked": True}, id="one time"),
        pytest.param(
            "apache-combined-microseconds",
            '192.0.2.7 - bob [24/Nov/2026:12:00:00 +0000] "POST /a HTTP/1.1" 201 - "-" "x \\"y\\"" 1500000',
            {"started_us": NOON_US, "ended_us": NOON_US + 1_500_000, "lasted_us": 1_500_000, "method": "POST"},
            id="Apache tells when a request began, and microseconds",
        ),
    ],
)
def test_a_line_of_nginx_or_apache(known: str, line: str, expected: dict[str, Any]) -> None:
    (row,) = parsed([line], known)

    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("{", id="no JSON"),
        pytest.param("[]", id="a list"),
        pytest.param("null", id="null"),
        pytest.param('{"time": 5}', id="a number for a time"),
        pytest.param('{"time":"2026-11-24T12:00:00.000000Z","total":"much"}', id="a word for a duration"),
    ],
)
def test_a_bad_json_line(line: str) -> None:
    good = JsonLines().line(forwarded())
    rows = parsed([good, line, good], "json")

    assert [row["bad_line"] for row in rows] == [None, line, None]


PATHS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="?# \x7f"), max_size=12)
RECORDS = st.builds(
    lambda path, agent, waited, lasted, body, status, peer, sent: forwarded(
        view=RequestView.of(
            "GET", f"/{path}", [("Host", "h"), ("User-Agent", agent)], peer=peer
        ),
        client=peer,
        sent_at=RECEIVED_AT + waited / 1e3,
        head_at=RECEIVED_AT + (waited + lasted) / 1e3,
        ended_at=RECEIVED_AT + (waited + lasted + body) / 1e3,
        status=status,
        target_status=status,
        response_bytes=sent,
    ),
    PATHS,
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20),
    st.integers(0, 50),
    st.integers(0, 90_000),
    st.integers(0, 1000),
    st.integers(200, 599),
    st.sampled_from(["192.0.2.1", "2001:db8::1"]),
    st.integers(0, 10**12),
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(RECORDS, min_size=1, max_size=30))
def test_what_the_gateway_writes_is_read_back(records: list[RequestRecord]) -> None:
    """Both of its formats, to the precision of the line, and each field where AWS's own expression finds it."""
    alb, own = AlbLines(), JsonLines()
    lines = [alb.line(record) for record in records]
    rows = list(zip(parsed(lines), parsed([own.line(record) for record in records], "json"), strict=True))

    for record, line, (from_alb, from_json) in zip(records, lines, rows, strict=True):
        documented = access_log_row(line)
        assert str(from_alb["response_bytes"]) == documented["sent_bytes"]
        assert from_alb["method"] == documented["request_verb"]
        assert documented["request_url"].endswith(from_alb["path"])
        assert abs(from_alb["lasted_us"] - (record.ended_at - record.sent_at) * 1e6) <= 1001
        for name in ("status", "request_bytes", "response_bytes", "target_group", "asked", "is_stream"):
            assert from_alb[name] == from_json[name], name
        assert as_sent(from_alb["path"]) == as_sent(from_json["path"])
        for name in ("ended_us", "started_us", "lasted_us", "first_byte_us"):
            assert abs(from_alb[name] - from_json[name]) <= 1002, name


def test_a_refused_request_asked_no_target() -> None:
    """What never reached a rule is in both of our formats and in neither workload."""
    (from_alb,) = parsed([AlbLines().line(refused())])
    (from_json,) = parsed([JsonLines().line(refused())], "json")

    assert from_alb["is_told"]
    assert not from_alb["asked"]
    assert from_json["is_told"]
    assert not from_json["asked"]


def test_extra_keys_are_no_trouble() -> None:
    line = json.dumps(json.loads(JsonLines().line(forwarded())) | {"more": [1, {"time": "no"}]})

    assert parsed([line], "json")[0]["path"] == "/api/users"
