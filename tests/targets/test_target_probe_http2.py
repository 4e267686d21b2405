"""Health checks over HTTP/2, and by gRPC codes (alb.md 5.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from http2_peers import Http2Target
from scripted_target import ScriptedTarget, refused_port

from proxy.config.model import HealthCheckConfig
from proxy.targets.checker import run_probe
from proxy.targets.health import ProbeResult, judge
from proxy.targets.probe import probe
from proxy.targets.target import HealthReason, Target

HTTP2 = HealthCheckConfig(path="/up?deep=1", timeout_seconds=5, protocol_version="HTTP2")
GRPC = HealthCheckConfig(
    path="/AWS.ALB/healthcheck", timeout_seconds=5, protocol_version="GRPC", matcher=((0, 0), (12, 12))
)


@pytest.fixture
def target() -> Iterator[Callable[..., Http2Target]]:
    made: list[Http2Target] = []

    def make(*arguments, **options):
        made.append(Http2Target(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert [failure for one in made for failure in one.failures] == []


def check(port: int, config: HealthCheckConfig) -> ProbeResult:
    return asyncio.run(run_probe(probe, Target("http", "127.0.0.1", port), config))


def test_a_check_over_http2(target):
    one = target(lambda peer, number, _: peer.reply(number, 204))
    assert check(one.port, HTTP2) == ProbeResult(status=204)
    assert one.requests[0].headers == [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"127.0.0.1:%d" % one.port),
        (b":path", b"/up?deep=1"),
        (b"user-agent", b"ELB-HealthChecker/2.0"),
    ]


@pytest.mark.parametrize(
    ("answer", "code", "passes"),
    [
        pytest.param({"headers": [("grpc-status", "12")]}, 12, True, id="12 in trailers only"),
        pytest.param({"body": b"\0\0\0\0\0", "trailers": [("grpc-status", "0")]}, 0, True, id="0 in trailers"),
        pytest.param({"trailers": [("grpc-status", "14")]}, 14, False, id="14"),
    ],
)
def test_a_grpc_check(target, answer, code, passes):
    one = target(lambda peer, number, _: peer.reply(number, **answer))
    result = check(one.port, GRPC)
    assert result == ProbeResult(status=code)
    assert (judge(result, GRPC)[0] is HealthReason.NONE) is passes
    request = one.requests[0]
    assert (request.value(":method"), request.value(":path")) == (b"POST", b"/AWS.ALB/healthcheck")
    assert (request.value("content-type"), request.body) == (b"application/grpc", b"\0\0\0\0\0")


def test_an_answer_without_a_grpc_status(target):
    one = target(lambda peer, number, _: peer.reply(number, 404, body=b"x"))
    result = check(one.port, GRPC)
    assert (result.failure, result.detail) == (
        HealthReason.RESPONSE_CODE_MISMATCH,
        "got HTTP status 404 without a grpc-status",
    )


@pytest.mark.parametrize("config", [HTTP2, GRPC], ids=["HTTP2", "GRPC"])
def test_a_target_that_speaks_http_1(config):
    one = ScriptedTarget(lambda wire: (wire.fill(), wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
    try:
        result = check(one.port, config)
    finally:
        one.close()
    assert result.failure is HealthReason.FAILED_HEALTH_CHECKS
    assert "HTTP/2" in result.detail or "closed" in result.detail


def test_nobody_there():
    result = check(refused_port(), HTTP2)
    assert (result.failure, result.detail) == (
        HealthReason.FAILED_HEALTH_CHECKS,
        "connection refused while connecting",
    )


def test_a_silent_target(target):
    config = HealthCheckConfig(timeout_seconds=1, protocol_version="HTTP2")
    assert check(target(lambda *_: None).port, config).failure is HealthReason.TIMEOUT


def test_a_reset(target):
    def script(peer, number, _):
        peer.h2.reset_stream(number, 2)
        peer.flush()

    assert check(target(script).port, HTTP2).detail == "the target reset the stream"
