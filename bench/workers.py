"""What a second worker adds: `python -m bench.workers --help`.

Nothing is pinned here. Two figures:

- `capacity`: the same load is offered to one worker and to two (`open_loop.c`, at 40 % of what one reaches), and CPU
  time per request compared. Two cores that do nothing else carry `2 x CPU(1 worker) / CPU(2 workers)` as many
  requests: what is lost is what the workers cost each other (shared caches, more wake-ups). This is the goal's figure.
- `requests/s`: a rule with a fixed response, so that no target takes part, and wrk as the only other process. On two
  cores wrk takes its part of them, so it is held against the most that can come of it: both cores divided by the CPU
  time that gateway and wrk need for a request, over what one worker reached.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench import open_loop, verdict, wrk
from bench.cases import CASES
from bench.compare import positive, present
from bench.measure import need_tools, prepared
from bench.peers import OURS, Peer
from bench.processes import BenchError, cpu_seconds, exit_on_sigterm, free_ports
from bench.stand import serving
from bench.table import GROUPS
from bench.targets import target
from bench.verdict import Goal, Row

CASE = CASES["get-100-rules"]
CONNECTIONS = 256
"""The kernel deals connections to workers by a hash: with few of them unevenly."""
SHARE = 0.4
GOAL = Goal(1.7, "1 worker", at_least=True)
SHARED_GOAL = Goal(0.85, "what two cores allow", at_least=True)
"""1.7 of 2."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the goal was met, 1 if not, 2 if there is no result."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    progress = Console(stderr=True)
    try:
        if len(os.sched_getaffinity(0)) < 2:
            raise BenchError("two workers need two cores")
        peers = present(options.peers, OURS, progress)
        found = [row for peer in peers for row in rows(peer, options.seconds, options.rounds)]
    except BenchError as error:
        progress.print(f"error: {error}", markup=False)
        return 2
    verdict.show(Console(width=None if sys.stdout.isatty() else 130), found)
    return verdict.exit_code(found)


def rows(peer: Peer, seconds: int, rounds: int) -> list[Row]:
    """Measure one of the gateways; raise BenchError if it cannot be."""
    need_tools("wrk")
    ratios = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        with target(CASE, Path(folder)) as ports:
            program = open_loop.build(Path(folder))
            offered = [
                _cpu_at_the_same_rate(peer, ports, program, Path(folder), seconds, each) for each in range(rounds)
            ]
        for number in range(rounds):
            ratios.append(_fixed_responses(peer, Path(folder), seconds, number))
    one, two = (statistics.median(each[index] for each in offered) for index in (0, 1))
    capacity = statistics.median(2 * each[0] / each[1] for each in offered)
    reached, possible = (statistics.median(each[index] for each in ratios) for index in (0, 1))
    shared = f"{reached:.2f} of 1 worker, {possible:.2f} possible beside wrk"
    return [
        Row(f"capacity of 2 workers, {peer.name}", f"{one:.1f} -> {two:.1f} CPU µs/request", capacity, GOAL),
        Row(f"fixed responses/s of 2 workers, {peer.name}", shared, reached / possible, SHARED_GOAL),
    ]


def _cpu_at_the_same_rate(
    peer: Peer, ports: Mapping[str, int], program: Path, folder: Path, seconds: int, number: int
) -> tuple[float, float]:
    """Return CPU µs per request with one worker and with two."""
    rate = 0.0
    spent = []
    for workers in (1, 2):
        directory = folder / f"{peer.name}-{workers}-{number}"
        directory.mkdir()
        case = replace(CASE, connections=CONNECTIONS)
        with prepared(case, peer, ports, directory, thorough=False, workers=workers, pinned=False) as proxy:
            if workers == 1:
                lua = directory / "load.lua"
                lua.write_text(wrk.script(CASE.requests))
                peak = wrk.run(lua, proxy.door, seconds=seconds, connections=CONNECTIONS, core=None)
                rate = peak.requests_per_second * SHARE
            before = cpu_seconds(proxy.pid)
            result = open_loop.run(
                program,
                CASE.requests,
                proxy.port,
                directory,
                rate=rate,
                seconds=seconds,
                connections=CONNECTIONS,
                core=None,
            )
            spent.append((cpu_seconds(proxy.pid) - before) / result.answered * 1e6)
    return spent[0], spent[1]


def _fixed_responses(peer: Peer, folder: Path, seconds: int, number: int) -> tuple[float, float]:
    """Return what two workers reach over what one does, and the most that two cores allow, wrk's part included."""
    reached = []
    possible = 0.0
    for workers in (1, 2):
        directory = folder / f"{peer.name}-fixed-{workers}-{number}"
        directory.mkdir()
        [port] = free_ports(1)
        answer = {"fixed-response": {"status_code": 200, "content_type": "text/plain", "message_body": "x" * 200}}
        listener = {"name": "web", "port": port, "protocol": "HTTP", "default": answer}
        unused = {"monolith": {"targets": ["http://127.0.0.1:1"]}}
        text = json.dumps({"version": 1, "listeners": [listener], "target_groups": unused})
        lua = directory / "load.lua"
        lua.write_text(wrk.script(CASE.requests))
        ports = dict.fromkeys(GROUPS, port)
        with serving(peer, CASE.table, ports, directory, text=text, port=port, workers=workers) as proxy:
            wrk.run(lua, proxy.door, seconds=1, connections=CONNECTIONS, core=None)
            before, load_before = cpu_seconds(proxy.pid), _children_cpu()
            result = wrk.run(lua, proxy.door, seconds=seconds, connections=CONNECTIONS, core=None)
            used = cpu_seconds(proxy.pid) - before + _children_cpu() - load_before
        if result.failures:
            raise BenchError(f"under load: {result.failures}")
        reached.append(result.requests_per_second)
        if workers == 1:
            # Never more than twice: one worker that did not get its core whole would promise that.
            possible = min(2.0, 2 / (used / result.requests) / result.requests_per_second)
    return reached[1] / reached[0], possible


def _children_cpu() -> float:
    """Return user and system time of this process's children that have ended: of the loads."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.workers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--seconds", type=positive, default=4, help="length of each measured run (default 4)")
    add("--rounds", type=positive, default=3, help="rounds (default 3)")
    add("--peers", nargs="+", choices=OURS, metavar="PEER", help=f"of {', '.join(OURS)}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
