"""Lines of the access log, read back by the standard library's JSON parser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observe_records import RECEIVED_AT, forwarded, refused

from proxy.observe.access_log import FORMATS, AccessLog
from proxy.observe.json_lines import JsonLines
from proxy.observe.record import RequestRecord
from proxy.rules.request import RequestView


def parsed(record: RequestRecord) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(JsonLines().line(record))
    return document


def test_a_whole_line() -> None:
    assert parsed(forwarded()) == {
        "time": "2023-11-14T22:13:20.250000Z",
        "client": "192.0.2.7",
        "client_port": 40000,
        "method": "GET",
        "host": "api.mycompany.com",
        "target": "/api/users?x=1",
        "protocol": "HTTP/1.1",
        "status": 200,
        "target_status": 200,
        "listener": "web",
        "rule": "users",
        "priority": 10,
        "target_group": "users",
        "target_id": "10.0.0.1:8000",
        "request_processing": 0.001,
        "target_processing": 0.02,
        "response_processing": 0.001,
        "total": 0.022,
        "overhead": 0.00004,
        "request_bytes": 300,
        "response_bytes": 500,
        "user_agent": "curl/8",
        "trace_id": "65000000000000000000000000000001",
        "amzn_trace_id": "Root=1-65000000-000000000000000000000001",
        "reason": None,
        "tunnel": False,
    }


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(
            refused(),
            {
                "client": "192.0.2.7",
                "method": None,
                "host": None,
                "target": None,
                "rule": None,
                "priority": None,
                "target_group": None,
                "status": 400,
                "target_status": None,
                "request_processing": None,
                "target_processing": None,
                "response_processing": None,
                "reason": "Client.BadRequest",
            },
            id="what never happened is null",
        ),
        pytest.param(
            forwarded(head_at=0.0, target_status=0, status=504, reason="Target.Timeout"),
            {
                "status": 504,
                "target_status": None,
                "request_processing": 0.001,
                "target_processing": None,
                "response_processing": None,
            },
            id="a target that never answered",
        ),
        pytest.param(
            forwarded(rule="default", priority=None),
            {"rule": "default", "priority": None},
            id="the default rule has no priority",
        ),
        pytest.param(
            forwarded(tunnel=True, status=101, target_status=101, ended_at=RECEIVED_AT + 60.021),
            {"tunnel": True, "status": 101, "response_processing": 60.0, "total": 60.021},
            id="a tunnel is logged with its whole life",
        ),
        pytest.param(
            forwarded(status=460, target_status=0, head_at=0.0, reason="Client.Closed"),
            {"status": 460, "reason": "Client.Closed"},
            id="a client that left",
        ),
        pytest.param(
            forwarded(sent_at=RECEIVED_AT + 0.5),
            {"target_processing": 0.0},
            id="an early answer takes no time",
        ),
        pytest.param(forwarded(method=b"M" * 10_000), {"method": "M" * 64}, id="a method has a bounded length"),
    ],
)
def test_fields(record: RequestRecord, expected: dict[str, Any]) -> None:
    line = parsed(record)

    assert expected == {name: line[name] for name in expected}


def test_every_format_gives_one_line_for_a_request() -> None:
    for log_format in FORMATS.values():
        assert "\n" not in log_format("shop").line(forwarded())


def test_a_format_is_told_the_name_of_the_load_balancer(tmp_path: Any) -> None:
    log = AccessLog.open(str(tmp_path / "log"), "alb", "shop")
    log.record(forwarded())
    log.close()

    assert (tmp_path / "log").read_text().split(" ")[2].startswith("app/shop/")


def test_an_attribute_that_no_record_has_is_an_error() -> None:
    """Those that few records have read as their defaults, and only those."""
    assert RequestRecord().classification == ""
    with pytest.raises(AttributeError, match="'RequestRecord' object has no attribute 'clasification'"):
        _ = RequestRecord().clasification  # type: ignore[attr-defined]


def test_the_second_is_not_kept_too_long() -> None:
    log_format = JsonLines()
    times = [
        json.loads(log_format.line(forwarded(started_at=moment)))["time"]
        for moment in (1_700_000_000.0, 1_700_000_000.999999, 1_700_000_001.0, 1_700_000_000.5)
    ]

    assert [time[17:] for time in times] == ["20.000000Z", "20.999999Z", "21.000000Z", "20.500000Z"]


HEADER_BYTES = st.binary(max_size=60)


@given(target=HEADER_BYTES, host=HEADER_BYTES, user_agent=HEADER_BYTES, method=HEADER_BYTES, trace=HEADER_BYTES)
def test_any_bytes_come_back_as_they_were(
    target: bytes, host: bytes, user_agent: bytes, method: bytes, trace: bytes
) -> None:
    """Control characters, quotes, backslashes and bytes of no encoding: one line of ASCII, nothing lost."""
    fields = {b"host": host, b"user-agent": user_agent}
    view = RequestView(method, target, list(fields.items()), fields)
    line = JsonLines().line(forwarded(view=view, method=method, trace_id=trace))

    assert line.isascii()
    assert all(character >= " " for character in line)
    document = json.loads(line)
    read_back = [
        (document[name] or "").encode("latin-1") for name in ("target", "host", "user_agent", "method", "amzn_trace_id")
    ]
    assert read_back == [target, host.lower(), user_agent, method, trace]


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_name_comes_back_as_it_was(rule: str, target_group: str) -> None:
    document = parsed(forwarded(rule=rule, target_group=target_group))

    assert [rule or None, target_group or None] == [document["rule"], document["target_group"]]


def test_an_unknown_format_is_refused_with_those_there_are(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="unknown access-log format 'xml': choose one of json"):
        AccessLog.open(str(tmp_path / "log"), "xml")


def test_a_log_that_cannot_be_opened_is_refused(tmp_path: Any) -> None:
    with pytest.raises(OSError, match="No such file"):
        AccessLog.open(str(tmp_path / "nowhere" / "log"))


def test_records_reach_the_file_before_close_returns(tmp_path: Any) -> None:
    log = AccessLog.open(str(tmp_path / "log"))
    for number in range(100):
        log.record(forwarded(client_port=number + 1))
    log.close()

    lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(line)["client_port"] for line in lines] == list(range(1, 101))
    assert log.dropped == 0
