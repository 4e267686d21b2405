"""The load balancer's line, read back by the regular expression that AWS documents for Athena."""

from __future__ import annotations

import re
from typing import Any

import pytest
from athena import FIELD, access_log_row
from hypothesis import given
from hypothesis import strategies as st
from observe_records import RECEIVED_AT, forwarded, refused

from proxy.observe.alb_lines import AlbLines
from proxy.observe.record import RefusedRequest, RequestRecord
from proxy.rules.request import RequestView

USERS_ARN = "arn:aws:elasticloadbalancing:local:000000000000:targetgroup/users/[0-9a-f]{16}"
NOBODY = {"target_ip": "", "target_port": "", "target_status_code": "-", "target_port_list": "-"}
"""Athena's table cuts `-` at its dash."""
NO_TIMES = {"request_processing_time": "-1", "target_processing_time": "-1", "response_processing_time": "-1"}


def row(record: RequestRecord) -> dict[str, str]:
    return access_log_row(AlbLines("shop").line(record))


def answered(**changes: Any) -> RequestRecord:
    """A request that the gateway answered itself, by a rule."""
    return forwarded(
        **{"target_group": "", "target_id": "", "target_status": 0, "sent_at": 0.0, "head_at": 0.0} | changes
    )


def failed(status: int, reason: str, **changes: Any) -> RequestRecord:
    """A request that a target was chosen for and that no target answered."""
    return forwarded(**{"status": status, "reason": reason, "target_status": 0, "head_at": 0.0} | changes)


def malformed(head: bytes, **changes: Any) -> RequestRecord:
    record = RefusedRequest()
    record.conn_trace_id = "TID_1"
    for name, value in vars_of(refused()).items():
        setattr(record, name, value)
    for name, value in ({"head": head, "port": 8080} | changes).items():
        setattr(record, name, value)
    return record


def vars_of(record: RequestRecord) -> dict[str, Any]:
    return {
        name: getattr(record, name)
        for name in ("started_at", "received_at", "ended_at", "status", "reason", "client", "client_port")
    }


def viewed(target: str, *headers: tuple[str, str], **changes: Any) -> RequestRecord:
    method = changes.pop("method", "GET")
    port, peer, scheme = changes.pop("port", 80), changes.pop("peer", "192.0.2.7"), changes.pop("scheme", "http")
    view = RequestView.of(method, target, list(headers), peer=peer, scheme=scheme, port=port)
    return forwarded(view=view, method=method.encode(), client=peer, **changes)


def test_a_whole_line() -> None:
    line = AlbLines("shop").line(forwarded())

    assert re.sub("[0-9a-f]{16}", "ID", line, count=1).replace(re.search("users/([0-9a-f]{16})", line)[1], "ID") == (  # type: ignore[index]
        "http 2023-11-14T22:13:20.272000Z app/shop/ID 192.0.2.7:40000 10.0.0.1:8000 0.001 0.020 0.001 200 200 300 500"
        ' "GET http://api.mycompany.com:80/api/users?x=1 HTTP/1.1" "curl/8" - -'
        " arn:aws:elasticloadbalancing:local:000000000000:targetgroup/users/ID"
        ' "Root=1-65000000-000000000000000000000001" "-" "-" 10 2023-11-14T22:13:20.250000Z "forward" "-" "-"'
        ' "10.0.0.1:8000" "200" "-" "-" - "-" "-" "-"'
    )


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(
            forwarded(),
            {
                "type": "http",
                "client_ip": "192.0.2.7",
                "client_port": "40000",
                "target_ip": "10.0.0.1",
                "target_port": "8000",
                "request_processing_time": "0.001",
                "target_processing_time": "0.020",
                "response_processing_time": "0.001",
                "elb_status_code": "200",
                "target_status_code": "200",
                "received_bytes": "300",
                "sent_bytes": "500",
                "ssl_cipher": "-",
                "ssl_protocol": "-",
                "domain_name": "-",
                "chosen_cert_arn": "-",
                "matched_rule_priority": "10",
                "actions_executed": "forward",
                "redirect_url": "-",
                "lambda_error_reason": "-",
                "target_port_list": "10.0.0.1:8000",
                "target_status_code_list": "200",
                "classification": "-",
                "classification_reason": "-",
                "transformed_host": "-",
                "transformed_uri": "-",
                "request_transform_status": "-",
            },
            id="forward",
        ),
        pytest.param(
            forwarded(rule="default", priority=None),
            {"matched_rule_priority": "0"},
            id="the default rule is priority 0",
        ),
        pytest.param(
            answered(status=301, action="redirect", redirect_url=b"https://x.example:443/a?b=c"),
            NOBODY
            | NO_TIMES
            | {
                "elb_status_code": "301",
                "target_group_arn": "-",
                "actions_executed": "redirect",
                "redirect_url": "https://x.example:443/a?b=c",
                "matched_rule_priority": "10",
            },
            id="redirect",
        ),
        pytest.param(
            answered(status=403, action="fixed-response"),
            NOBODY | NO_TIMES | {"elb_status_code": "403", "actions_executed": "fixed-response", "redirect_url": "-"},
            id="fixed response",
        ),
        pytest.param(
            answered(status=507, action="redirect", reason="Redirect.TooLong"),
            {"elb_status_code": "507", "actions_executed": "redirect", "redirect_url": "-", "lambda_error_reason": "-"},
            id="redirect that is too long",
        ),
        pytest.param(
            malformed(b"nonsense"),
            NOBODY
            | NO_TIMES
            | {
                "elb_status_code": "400",
                "request_verb": "-",
                "request_url": "http://-:8080-",
                "request_proto": "-",
                "user_agent": "-",
                "target_group_arn": "-",
                "trace_id": "-",
                "matched_rule_priority": "-",
                "actions_executed": "-",
                "conn_trace_id": "TID_1",
            },
            id="malformed request",
        ),
        pytest.param(
            malformed(b"GET /a HTTP/1.1\r\nhOST: x.example:9\r\nContent-Length: x\r\n\r\n"),
            {"request_verb": "GET", "request_url": "http://x.example:8080/a", "request_proto": "HTTP/1.1"},
            id="malformed header below a good request line",
        ),
        pytest.param(
            malformed(b"GET / HTTP/1.1\r\n", status=408, reason="Client.Timeout"),
            NOBODY
            | NO_TIMES
            | {"elb_status_code": "408", "request_url": "http://-:8080/", "matched_rule_priority": "-"},
            id="408 within the head",
        ),
        pytest.param(
            failed(408, "Client.Timeout", sent_at=0.0),
            NO_TIMES | {"elb_status_code": "408", "target_status_code": "-", "matched_rule_priority": "10"},
            id="408 within the body",
        ),
        pytest.param(
            failed(460, "Client.Closed"),
            {
                "elb_status_code": "460",
                "target_status_code": "-",
                "target_ip": "10.0.0.1",
                "request_processing_time": "0.001",
                "target_processing_time": "-1",
                "response_processing_time": "-1",
                "target_status_code_list": "-",
            },
            id="460: the request was sent, and no answer awaited",
        ),
        pytest.param(
            failed(502, "Target.ConnectionClosed"),
            NO_TIMES | {"elb_status_code": "502", "target_status_code": "-", "target_ip": "10.0.0.1"},
            id="502 of a target that closed",
        ),
        pytest.param(
            failed(502, "Target.ConnectionRefused", sent_at=0.0),
            NO_TIMES | {"elb_status_code": "502", "actions_executed": "forward", "target_port": "8000"},
            id="502 of a target that refused",
        ),
        pytest.param(
            failed(503, "Target.None", sent_at=0.0, target_id=""),
            NOBODY | NO_TIMES | {"elb_status_code": "503", "actions_executed": "forward", "lambda_error_reason": "-"},
            id="503 of a group without targets names the group",
        ),
        pytest.param(
            failed(504, "Target.Timeout"), NO_TIMES | {"elb_status_code": "504"}, id="504 of a target that is silent"
        ),
        pytest.param(
            forwarded(reason="Target.ConnectionClosed"),
            {"elb_status_code": "200", "target_status_code": "200", "target_processing_time": "0.020"},
            id="a response that was cut short has its times",
        ),
        pytest.param(
            answered(status=500, rule="", priority=None, reason="Gateway.InternalError"),
            {"matched_rule_priority": "-1", "actions_executed": "-"},
            id="an error while the rules were tried is priority -1",
        ),
        pytest.param(
            forwarded(tunnel=True, status=101, target_status=101, ended_at=RECEIVED_AT + 60.25),
            {
                "type": "ws",
                "elb_status_code": "101",
                "response_processing_time": "60.229",
                "time": "2023-11-14T22:14:20.500000Z",
                "request_creation_time": "2023-11-14T22:13:20.250000Z",
            },
            id="WebSocket: one line with its whole life, timed by its end",
        ),
        pytest.param(
            viewed("/", ("Host", "x"), scheme="https", port=443, tunnel=True, status=101),
            {"type": "wss", "request_url": "https://x:443/"},
            id="WebSocket over TLS",
        ),
        pytest.param(viewed("/", ("Host", "x"), scheme="https", port=443), {"type": "https"}, id="HTTPS listener"),
        pytest.param(viewed("/", ("Host", "x"), method="HEAD"), {"request_verb": "HEAD"}, id="HEAD"),
        pytest.param(
            viewed("/", ("Host", "[2001:db8::1]:81"), peer="2001:db8::7", port=81, target_id="[::1]:8000"),
            {
                "client_ip": "[2001:db8::7]",
                "client_port": "40000",
                "target_ip": "[::1]",
                "target_port": "8000",
                "request_url": "http://[2001:db8::1]:81/",
            },
            id="IPv6 on every side",
        ),
        pytest.param(
            viewed('/a%2Fb//c?x=%20&y=\u00e9"\\', ("Host", "x"), ("User-Agent", 'a "b" \\ \u00ff\x01\t')),
            {
                "request_url": "http://x:80/a%2Fb//c?x=%20&y=\\xE9\\x22\\x5C",
                "user_agent": "a \\x22b\\x22 \\x5C \\xFF\\x01\\x09",
            },
            id="quotes, backslashes and odd bytes are escaped, percent-escapes stay",
        ),
        pytest.param(
            viewed("http://y.example:99/a?b", ("Host", "x"), port=8080),
            {"request_url": "http://y.example:99/a?b"},
            id="absolute-form as sent",
        ),
        pytest.param(viewed("*", ("Host", "x"), method="OPTIONS"), {"request_url": "http://x:80*"}, id="asterisk-form"),
        pytest.param(viewed("/", protocol=b"HTTP/1.0"), {"request_url": "http://-:80/"}, id="HTTP/1.0 without Host"),
        pytest.param(
            viewed("/", ("Host", "x.example:8080"), port=8080),
            {"request_url": "http://x.example:8080/"},
            id="the port is written once",
        ),
        pytest.param(
            viewed("/", ("User-Agent", "u" * 9000)), {"user_agent": "u" * 8192}, id="a user agent is cut at 8 KB"
        ),
        pytest.param(
            answered(view=RequestView.of("GET", "/", [("X-Amzn-Trace-Id", "Root=1-2-3")]), trace_id=b"", status=301),
            {"trace_id": "Root=1-2-3"},
            id="the client's trace id where no target got another",
        ),
        pytest.param(
            forwarded(classification="Ambiguous", classification_reason="BothTeClPresent"),
            {"classification": "Ambiguous", "classification_reason": "BothTeClPresent"},
            id="a classified request",
        ),
        pytest.param(
            forwarded(transformed_host=b"y", transformed_uri=b"/v2 \xff", request_transform_status="Success"),
            {"transformed_host": "y", "transformed_uri": "/v2\\x20\\xFF", "request_transform_status": "Success"},
            id="a transformed request",
        ),
        pytest.param(
            answered(status=401, reason="JWTHeaderNotPresent"),
            {"lambda_error_reason": "JWTHeaderNotPresent"},
            id="a documented error reason",
        ),
    ],
)
def test_fields(record: RequestRecord, expected: dict[str, str]) -> None:
    found = row(record)

    assert expected == {name: found[name] for name in expected}


def test_names_of_load_balancer_and_target_group_have_their_real_forms() -> None:
    found = row(forwarded())

    assert re.fullmatch(r"app/shop/[0-9a-f]{16}", found["elb"])
    assert re.fullmatch(USERS_ARN, found["target_group_arn"])
    assert found["elb"] == row(forwarded(client_port=1))["elb"]
    assert found["target_group_arn"] != row(forwarded(target_group="orders"))["target_group_arn"]


@pytest.mark.parametrize(
    "reason", ["Client.BadRequest", "Client.Closed", "Target.None", "Target.Timeout", "Redirect.TooLong", "", "Author."]
)
def test_reasons_that_the_load_balancer_does_not_know_are_not_shown(reason: str) -> None:
    assert row(forwarded(reason=reason))["lambda_error_reason"] == "-"


def test_times_are_those_of_each_record() -> None:
    lines = AlbLines()
    moments = [1_700_000_000.0, 1_700_000_000.75, 1_700_000_001.0, 1_700_000_000.5]
    rows = [access_log_row(lines.line(forwarded(started_at=moment, ended_at=RECEIVED_AT + 1))) for moment in moments]

    assert [each["request_creation_time"][17:] for each in rows] == [
        "20.000000Z",
        "20.750000Z",
        "21.000000Z",
        "20.500000Z",
    ]
    assert [each["time"][17:] for each in rows] == ["21.000000Z", "21.750000Z", "22.000000Z", "21.500000Z"]


BYTES = st.binary(max_size=60)


def unescaped(text: str) -> bytes:
    return re.sub(r"\\x([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), text).encode("latin-1")


@given(target=BYTES, host=BYTES, user_agent=BYTES, method=BYTES, trace=BYTES, location=BYTES, uri=BYTES)
def test_no_bytes_break_the_line(
    target: bytes, host: bytes, user_agent: bytes, method: bytes, trace: bytes, location: bytes, uri: bytes
) -> None:
    """One line of ASCII with 33 fields, and what was sent can be read back."""
    fields = {b"host": host, b"user-agent": user_agent}
    view = RequestView(method, target, list(fields.items()), fields)
    line = AlbLines().line(
        forwarded(view=view, method=method, trace_id=trace, redirect_url=location, transformed_uri=uri)
    )

    assert line.isascii()
    assert all(" " <= character <= "~" for character in line)
    assert len(FIELD.findall(line)) == 33
    found = access_log_row(line)
    assert unescaped(found["user_agent"]) == (user_agent or b"-")
    assert unescaped(found["trace_id"]) == (trace or b"-")
    assert unescaped(found["redirect_url"]) == (location or b"-")
    assert unescaped(found["request_verb"]) == (method or b"-")
    assert unescaped(found["request_url"]).endswith(target)
    assert unescaped(found["transformed_uri"]) == (uri or b"-")


@given(st.binary(max_size=80) | st.binary(max_size=30).map(lambda raw: b"GET /" + raw + b" HTTP/1.1\r\nHost:" + raw))
def test_no_refused_bytes_break_the_line(head: bytes) -> None:
    line = AlbLines().line(malformed(head))

    assert line.isascii()
    assert len(FIELD.findall(line)) == 33
    access_log_row(line)
