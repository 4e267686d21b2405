"""What is compared: the cases, each a table, a load, a target and the goals it is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench import report
from bench.peers import OURS
from bench.report import Figure, Measurement
from bench.table import Request, Table, load, mixed_rules, one_rule
from bench.verdict import Goal, Row

MIB = 1 << 20
EVERYONE = ("nginx", "haproxy", "caddy", "envoy", "fastapi-httpx", "gateway", "gateway-compiled")
GOOD = ("nginx", "haproxy", "envoy", "gateway", "gateway-compiled")
STREAMING = ("nginx", "nginx-streaming", "haproxy", "envoy", "gateway", "gateway-compiled")


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked of every proxy.

    `target` is the kind of target behind it; `download` and `upload` are the size of a body that a load of bodies
    moves, with neither it is a load of requests. `peers` run if none are asked for. `goals` are of the gateway.
    """

    name: str
    table: Table
    requests: tuple[Request, ...]
    connections: int = 32
    target: Literal["nginx", "echo", "sink"] = "nginx"
    download: int = 0
    upload: int = 0
    access_log: bool = False
    tls: bool = False
    peers: tuple[str, ...] = GOOD
    goals: tuple[tuple[Figure, Goal], ...] = ()

    @property
    def figures(self) -> tuple[Figure, ...]:
        return report.OF_BODIES if self.download or self.upload else report.OF_REQUESTS


def _download(name: str, size: int, connections: int) -> Case:
    goal = (report.THROUGHPUT, Goal(0.7, "nginx", at_least=True))
    request = (Request(path="/large"),)
    return Case(name, one_rule(), request, connections=connections, download=size, goals=(goal,))


def _upload(name: str, size: int, connections: int) -> Case:
    goals = tuple((report.THROUGHPUT, Goal(0.7, each, at_least=True)) for each in ("nginx", "nginx-streaming"))
    request = (Request("PUT", "/large", body_bytes=size),)
    case = Case(name, one_rule(), request, connections=connections, upload=size, goals=goals)
    return replace(case, target="sink", peers=STREAMING)


_CASES = (
    Case("get-1-rule", one_rule(), load(one_rule()), peers=EVERYONE),
    Case(
        "get-100-rules",
        mixed_rules(),
        load(mixed_rules()),
        peers=EVERYONE,
        goals=(
            (report.CPU, Goal(1.0, "haproxy")),
            (report.CPU, Goal(1.3, "nginx")),
            (report.CPU, Goal(0.5, "envoy")),
        ),
    ),
    Case(
        "get-100-rules-log",
        mixed_rules(),
        load(mixed_rules()),
        access_log=True,
        goals=((report.CPU, Goal(1.3, "nginx")),),
    ),
    Case(
        "get-100-rules-tls",
        mixed_rules(),
        load(mixed_rules()),
        tls=True,
        goals=((report.CPU, Goal(1.5, "nginx")),),
    ),
    Case(
        "post-16k",
        one_rule(),
        (Request("POST", "/upload", body_bytes=16 << 10),),
        target="echo",
        peers=STREAMING,
        goals=((report.CPU, Goal(1.5, "nginx")),),
    ),
    _download("download-1m", MIB, 8),
    _download("download-100m", 100 * MIB, 4),
    _upload("upload-1m", MIB, 8),
    _upload("upload-100m", 100 * MIB, 4),
)
CASES: Mapping[str, Case] = {case.name: case for case in _CASES}
DEFAULT_CASES = ("get-1-rule", "get-100-rules")


def rows(case: Case, runs: Mapping[str, Sequence[Measurement]], failures: Mapping[str, str]) -> list[Row]:
    """Return what came of a case's goals, for each of the gateways that were asked to run."""
    found = []
    for ours in (name for name in OURS if name in runs):
        for figure, goal in case.goals:
            if goal.of in runs:
                found.append(_row(case, ours, figure, goal, runs, failures))
    return found


def _row(
    case: Case,
    ours: str,
    figure: Figure,
    goal: Goal,
    runs: Mapping[str, Sequence[Measurement]],
    failures: Mapping[str, str],
) -> Row:
    name = f"{case.name}, {ours}"
    for peer in (ours, goal.of):
        if peer in failures or not runs[peer]:
            return Row(name, f"{peer} failed: {failures.get(peer, 'no run')}", None, goal)
    [line] = report.summarize(case.name, {ours: runs[ours]}, {}, ours)
    assert line.median is not None
    shown = f"{line.median[figure.name]:.{figure.digits}f} {figure.title}"
    return Row(name, shown, report.ratio(runs[ours], runs[goal.of])[figure.name], goal)
