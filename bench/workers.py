"""What a second worker adds: `python -m bench.workers --help`.

Nothing is pinned here. wrk drives one worker and two as hard as it can, and CPU time per request is compared: two cores
that do nothing else carry `2 x CPU(1 worker) / CPU(2 workers)` as many requests. What is lost is what the workers cost
each other (shared caches, smaller batches). Requests per second stand beside it, and are no goal: target and wrk take
their part of the same cores. `--peers nginx` shows what they leave for another proxy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from bench import verdict, wrk
from bench.cases import CASES
from bench.compare import positive, present
from bench.measure import need_tools, prepared
from bench.peers import OURS, PEERS, Peer
from bench.processes import BenchError, cpu_seconds, exit_on_sigterm
from bench.targets import target
from bench.verdict import Goal, Row

CASE = CASES["get-100-rules"]
CONNECTIONS = 256
"""The kernel deals connections to workers by a hash: with few of them unevenly."""
GOAL = Goal(1.7, "1 worker", at_least=True)


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
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, target(CASE, Path(folder)) as ports:
        busy = [_when_busy(peer, ports, Path(folder), seconds, each) for each in range(rounds)]
    one, two = (statistics.median(each[index].cpu_us for each in busy) for index in (0, 1))
    capacity = statistics.median(2 * first.cpu_us / second.cpu_us for first, second in busy)
    reached = statistics.median(second.per_second / first.per_second for first, second in busy)
    figure = f"{one:.1f} -> {two:.1f} CPU µs/request, {reached:.2f} of the requests/s"
    return [Row(f"capacity of 2 workers, {peer.name}", figure, capacity, GOAL)]


@dataclass(frozen=True, slots=True)
class _Busy:
    cpu_us: float
    per_second: float


def _when_busy(peer: Peer, ports: Mapping[str, int], folder: Path, seconds: int, number: int) -> tuple[_Busy, _Busy]:
    """Return CPU µs per request and requests per second with one worker and with two."""
    found = []
    for workers in (1, 2):
        directory = folder / f"{peer.name}-{workers}-{number}"
        directory.mkdir()
        case = replace(CASE, connections=CONNECTIONS)
        lua = directory / "load.lua"
        lua.write_text(wrk.script(CASE.requests))
        with prepared(case, peer, ports, directory, thorough=False, workers=workers, pinned=False) as proxy:
            wrk.run(lua, proxy.door, seconds=1, connections=CONNECTIONS, core=None)
            before = cpu_seconds(proxy.pid)
            result = wrk.run(lua, proxy.door, seconds=seconds, connections=CONNECTIONS, core=None)
            used = cpu_seconds(proxy.pid) - before
        if result.failures:
            raise BenchError(f"under load: {result.failures}")
        found.append(_Busy(used / result.requests * 1e6, result.requests_per_second))
    return found[0], found[1]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.workers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--seconds", type=positive, default=4, help="length of each measured run (default 4)")
    add("--rounds", type=positive, default=3, help="rounds (default 3)")
    add("--peers", nargs="+", choices=PEERS, metavar="PEER", help=f"of {', '.join(PEERS)} (default: {', '.join(OURS)})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
