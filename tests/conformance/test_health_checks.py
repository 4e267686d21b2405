"""Rows of health checks hold."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from http2_peers import Http2Target, TargetPeer
from scripted_target import ScriptedTarget
from wire import Wire

from proxy.config.load import load_with_warnings
from proxy.targets.checker import run_probe
from proxy.targets.group import TargetGroup
from proxy.targets.probe import probe
from tests.conformance.gateway_bench import TABLE, as_wire
from tests.conformance.rows import Probed
from tests.conformance.table import ROWS

HTTPS = "protocol: HTTPS, certificates: [{certificate_file: a.pem, private_key_file: a.key}],"
PROBED = [row for row in ROWS if isinstance(row, Probed)]


@pytest.mark.parametrize("row", PROBED, ids=lambda row: f"{row.section}-{row.id}")
def test_health_check(row: Probed) -> None:
    if row.grpc_status:
        grpc_health_check(row)
        return
    answers = iter(row.answers)

    def script(wire: Wire) -> None:
        answer = next(answers)
        one.take(wire)
        if answer is None:
            wire.rest()
        else:
            wire.send(answer)

    one = ScriptedTarget(script)
    try:
        asyncio.run(check(row, one.port))
    finally:
        one.close()
    assert one.failures == []
    assert one.accepted == len(row.answers), "a connection for each check"
    lines = [b"%s: %s" % header for header in one.requests[0].headers] + [one.requests[0].first_line]
    assert {line.replace(b"PORT", b"%d" % one.port) for line in row.request} <= set(lines)


def grpc_health_check(row: Probed) -> None:
    statuses = iter(row.grpc_status)

    def script(peer: TargetPeer, stream_id: int, _: object) -> None:
        trailers = [("grpc-status", str(next(statuses)))]
        peer.reply(stream_id, headers=[("content-type", "application/grpc")], trailers=trailers)

    one = Http2Target(script)
    try:
        asyncio.run(check(row, one.port))
    finally:
        one.close()
    assert one.failures == []
    request = as_wire(one.requests[0])
    assert set(row.request) <= {request.first_line, *(b"%s: %s" % header for header in request.headers)}


async def check(row: Probed, port: int) -> None:
    version = "GRPC" if row.grpc_status else "HTTP1"
    settings = f"protocol_version: {version}, health_check: {row.check}"
    text = TABLE.format(
        attributes="{}", port=80, entry=HTTPS * bool(row.grpc_status), default="{forward: targets}", listener="{}",
        rules="[]", group=f'{{targets: ["http://127.0.0.1:{port}"], {settings}}}', more="",
    )  # fmt: skip
    config, _ = load_with_warnings(text, {})
    group = TargetGroup(config.target_groups["targets"])
    (target,) = group.targets
    for answer in row.grpc_status or row.answers:
        wanted = group.config.health_check
        if answer is None:
            wanted = replace(wanted, timeout_seconds=0.1)  # type: ignore[arg-type]
        group.check_begins(target)
        group.observe(target, await run_probe(probe, target, wanted))
    assert (str(target.state), str(target.reason)) == (row.state, row.reason)
