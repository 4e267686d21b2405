"""The load balancer's log line of every kind of request, over real sockets."""

from __future__ import annotations

import re
from typing import Any

import pytest
from athena import access_log_row, connection_log_row
from live_gateway import SHORT_IDLE, wait_until
from scripted_target import refused_port
from wire import connect

from proxy.config.model import ConditionConfig, FixedResponseConfig, RedirectConfig, RuleConfig
from proxy.observe.alb_lines import AlbLines
from proxy.observe.connection_log import line as connection_line
from proxy.observe.live import LiveState

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x.example\r\n\r\n"
RULES = (
    RuleConfig(
        "teapot", 7, (ConditionConfig("path-pattern", ("/teapot",)),), FixedResponseConfig(418, "text/plain", "t")
    ),
    RuleConfig("moved", 8, (ConditionConfig("path-pattern", ("/old*",)),), RedirectConfig(301, path="/new")),
)
TIMES = ("request_processing_time", "target_processing_time", "response_processing_time")


class ConnectionLines:
    """Stands where the connection log stands."""

    dropped = 0

    def __init__(self) -> None:
        self.all: list[str] = []

    def record(self, connection: Any) -> None:
        self.all.append(connection_line(connection, 0.0))


def row(live: Any, count: int = 1) -> dict[str, str]:
    return access_log_row(AlbLines().line(live.record(count)))


def test_a_forwarded_request(gateway, target):
    one = target()
    live = gateway(one.port, rules=RULES)
    with connect(live.port) as client:
        client_port = client.socket.getsockname()[1]
        client.send(GET)
        client.response()
        found = row(live)
    assert found["type"] == "http"
    assert (found["client_ip"], found["client_port"]) == ("127.0.0.1", str(client_port))
    assert (found["target_ip"], found["target_port"]) == ("127.0.0.1", str(one.port))
    assert (found["elb_status_code"], found["target_status_code"]) == ("200", "200")
    assert all(re.fullmatch(r"[0-9]+\.[0-9]{3}", found[name]) for name in TIMES)
    assert found["received_bytes"] == str(len(GET))
    assert found["request_url"] == f"http://x.example:{live.port}/a?b=c"
    assert (found["matched_rule_priority"], found["actions_executed"]) == ("0", "forward")
    assert found["trace_id"].encode() == one.requests[0].value("x-amzn-trace-id")
    assert found["request_creation_time"] <= found["time"]


def test_replies_of_rules(gateway, target):
    live = gateway(target().port, rules=RULES)
    with connect(live.port) as client:
        client.send(b"GET /teapot HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.response().status == 418
        fixed = row(live)
        client.send(b"GET /old?q=%22 HTTP/1.1\r\nHost: x\r\n\r\n")
        location = client.response().value("location")
        moved = row(live, 2)
    for found in (fixed, moved):
        assert [found[name] for name in TIMES] == ["-1", "-1", "-1"]
        assert (found["target_port_list"], found["target_group_arn"]) == ("-", "-")
    assert (fixed["matched_rule_priority"], fixed["actions_executed"]) == ("7", "fixed-response")
    assert (moved["matched_rule_priority"], moved["actions_executed"]) == ("8", "redirect")
    assert fixed["redirect_url"] == "-"
    assert moved["redirect_url"].encode() == location


def test_head_sends_no_body(gateway, target):
    one = target()
    one.script = one.answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.response(to="HEAD")
        found = row(live)
    assert found["request_verb"] == "HEAD"
    assert int(found["sent_bytes"]) < 500


@pytest.mark.parametrize(
    ("raw", "status", "url"),
    [
        pytest.param(b"nonsense\r\n\r\n", "400", "http://-:PORT-", id="no request line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n", "400", "http://x:PORT/", id="a bad header"),
        pytest.param(b"TRACE /t HTTP/1.1\r\nHost: x\r\n\r\n", "405", "http://x:PORT/t", id="TRACE"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "501", "http://x:PORT/", id="gzip coding"
        ),
        pytest.param(b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", "505", "http://x:PORT/", id="HTTP/2.0"),
    ],
)
def test_a_refused_request(gateway, target, raw, status, url):
    live = gateway(target().port)
    with connect(live.port) as client:
        client.send(raw)
        client.response()
        found = row(live)
    assert (found["elb_status_code"], found["target_status_code"]) == (status, "-")
    assert found["request_url"] == url.replace("PORT", str(live.port))
    assert [found[name] for name in TIMES] == ["-1", "-1", "-1"]
    assert (found["matched_rule_priority"], found["actions_executed"]) == ("-", "-")
    assert re.fullmatch("TID_[0-9a-f]{32}", found["conn_trace_id"])


def test_a_client_that_is_silent_within_its_head(gateway, target, quick_clock):
    live = gateway(target().port, attributes=SHORT_IDLE)
    with connect(live.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHo")
        assert client.response().status == 408
        assert row(live)["elb_status_code"] == "408"


def test_a_client_that_leaves(gateway, target):
    one = target(lambda wire: (one.take(wire), wire.rest()))
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(GET)
        wait_until(lambda: bool(one.requests), "the target got no request")
    found = row(live)
    assert (found["elb_status_code"], found["target_status_code"]) == ("460", "-")
    assert found["target_port"] == str(one.port)
    assert float(found["request_processing_time"]) >= 0
    assert [found[name] for name in TIMES[1:]] == ["-1", "-1"]


def test_a_target_that_closes(gateway, target):
    one = target(lambda wire: one.take(wire))
    live = gateway(one.port)
    with connect(live.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert client.response().status == 502
        found = row(live)
    assert [found[name] for name in TIMES] == ["-1", "-1", "-1"]
    assert (found["elb_status_code"], found["target_status_code"], found["target_port"]) == ("502", "-", str(one.port))


def test_a_target_that_refuses_and_a_group_without_targets(gateway):
    port = refused_port()
    for live, status, target_port in ((gateway(port), "502", str(port)), (gateway(), "503", "")):
        with connect(live.port) as client:
            client.send(GET)
            client.response()
            found = row(live)
        assert (found["elb_status_code"], found["target_port"]) == (status, target_port)
        assert found["actions_executed"] == "forward"
        assert "targetgroup/targets/" in found["target_group_arn"]


def test_a_target_that_is_silent(gateway, target, quick_clock):
    one = target(lambda wire: (one.take(wire), wire.rest()))
    live = gateway(one.port, attributes=SHORT_IDLE)
    with connect(live.port) as client:
        client.send(GET)
        assert client.response().status == 504
        found = row(live)
    assert found["elb_status_code"] == "504"
    assert [found[name] for name in TIMES] == ["-1", "-1", "-1"]


def test_a_websocket_is_one_line_at_its_end(gateway, target):
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    def script(wire):
        wire.request()
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade)
        wire.send(wire.exactly(4))

    live = gateway(target(script).port)
    with connect(live.port) as client:
        client.send(b"GET /chat HTTP/1.1\r\nHost: x\r\n" + upgrade)
        client.head()
        assert live.records.all == []
        client.send(b"ping")
        assert client.exactly(4) == b"ping"
        client.end_writing()
        found = row(live)
    assert (found["type"], found["elb_status_code"], found["target_status_code"]) == ("ws", "101", "101")
    assert float(found["response_processing_time"]) >= 0


@pytest.mark.parametrize(
    "raw",
    [b'/"<>\\^`{|}', b"/\xc3\xa9\xff", b"/a#b", b"/" + b"x" * 8000, b'/?q="a" "b"'.replace(b" ", b"+")],
    ids=["delimiters", "high bytes", "fragment", "long", "quotes"],
)
def test_odd_bytes_stay_one_line(gateway, target, raw):
    live = gateway(target().port)
    with connect(live.port) as client:
        client.send(b'GET %s HTTP/1.1\r\nHost: x\r\nUser-Agent: "%s" \xff\r\n\r\n' % (raw, raw[:100]))
        assert client.response().status == 200
        found = row(live)
    shown = re.sub(r"\\x([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), found["request_url"]).encode("latin-1")
    assert shown == b"http://x:%d%s" % (live.port, raw)
    assert found["user_agent"].endswith("\\xFF")


def test_requests_and_their_connection_share_an_id(gateway, target):
    live = gateway(target().port)
    lines = live.gateway.connection_log = ConnectionLines()
    ids = []
    for _ in range(2):
        with connect(live.port) as client:
            for _ in range(2):
                client.send(GET)
                client.response()
                ids.append(row(live, len(ids) + 1)["conn_trace_id"])
            client_port = client.socket.getsockname()[1]
            client.close()
        wait_until(lambda: len(lines.all) == len(ids) // 2, "no line at the end of the connection")
        found = connection_log_row(lines.all[-1])
        assert found["conn_trace_id"] == ids[-1]
        assert (found["client_ip"], found["client_port"]) == ("127.0.0.1", str(client_port))
        assert found["listener_port"] == str(live.port)
    assert ids[0] == ids[1] != ids[2] == ids[3]


def test_a_connection_without_a_request_has_its_line(gateway, target):
    live = gateway(target().port)
    lines = live.gateway.connection_log = ConnectionLines()
    with connect(live.port):
        wait_until(lambda: len(live.gateway._clients) == 1, "not connected")
    wait_until(lambda: len(lines.all) == 1, "no line at the end of the connection")
    assert re.fullmatch("TID_[0-9a-f]{32}", connection_log_row(lines.all[0])["conn_trace_id"])


def test_a_server_that_hides_its_connections_gives_no_id(gateway, target):
    live = gateway(target().port, door="asgi")
    lines = live.gateway.connection_log = ConnectionLines()
    with connect(live.port) as client:
        client.send(GET)
        client.response()
        assert row(live)["conn_trace_id"] == "-"
    wait_until(lambda: not live.gateway._clients, "the request does not end")
    assert lines.all == []


def test_connections_are_counted(gateway, target):
    live = gateway(target().port)

    def state():
        return live.call(lambda: live.gateway.live_state(None))

    with connect(live.port) as client:
        for number in range(4):
            client.send(GET)
            assert client.response().status == 200
            live.record(number + 1)
        assert state().client_connections == (1, 1)
        assert state().target_connections == {"targets": 1}
        assert state().target_states == {
            ("targets", "healthy"): 0,
            ("targets", "unhealthy"): 0,
            ("targets", "unavailable"): 1,
        }
        assert state().fail_open == {"targets": False}
    wait_until(lambda: state().client_connections == (0, 1), "the connection is still counted")
    assert connect_results(live) == {("targets", "success"): 1}


def test_every_refused_connection_is_counted_also_of_a_request_that_another_target_took(gateway, target):
    live = gateway(target().port, refused_port())
    with connect(live.port) as client:
        for number in range(4):
            client.send(GET)
            assert client.response().status == 200
            live.record(number + 1)
    refusals = live.targets[1].requests
    assert refusals
    results = connect_results(live)
    assert results["targets", "refused"] == refusals
    assert results.keys() == {("targets", "success"), ("targets", "refused")}


def test_a_target_that_does_not_speak_tls_is_counted_apart(gateway, target):
    def script(wire):
        wire.fill()
        wire.send(b"no TLS here" * 10)
        wire.rest()

    live = gateway(target(script).port)
    live.targets[0].scheme = "https"
    with connect(live.port) as client:
        client.send(GET)
        assert client.response().status == 502
        live.record()
    assert connect_results(live) == {("targets", "tls"): 1}


def connect_results(live: Any) -> dict[tuple[str, ...], float]:
    snapshot = live.call(lambda: live.gateway.metrics.snapshot(LiveState()))
    samples = snapshot["values"]["strangler_target_connections_opened_total"]
    return {tuple(sample["labels"]): sample["value"] for sample in samples}
