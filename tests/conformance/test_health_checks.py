"""Rows of health checks hold."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from scripted_target import ScriptedTarget
from wire import Wire

from proxy.config.load import load_with_warnings
from proxy.targets.checker import run_probe
from proxy.targets.group import TargetGroup
from proxy.targets.probe import probe
from tests.conformance.bench import TABLE
from tests.conformance.rows import Probed
from tests.conformance.table import ROWS

PROBED = [row for row in ROWS if isinstance(row, Probed)]


@pytest.mark.parametrize("row", PROBED, ids=lambda row: f"{row.section}-{row.id}")
def test_health_check(row: Probed) -> None:
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


async def check(row: Probed, port: int) -> None:
    text = TABLE.format(
        attributes="{}", port=80, entry="", default="{forward: targets}", listener="{}", rules="[]", more="",
        group=f'{{targets: ["http://127.0.0.1:{port}"], health_check: {row.check}}}',
    )  # fmt: skip
    config, _ = load_with_warnings(text, {})
    group = TargetGroup(config.target_groups["targets"])
    (target,) = group.targets
    for answer in row.answers:
        settings = group.config.health_check
        if answer is None:
            settings = replace(settings, timeout_seconds=0.1)  # type: ignore[arg-type]
        group.check_begins(target)
        group.observe(target, await run_probe(probe, target, settings))
    assert (str(target.state), str(target.reason)) == (row.state, row.reason)
