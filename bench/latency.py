"""Latency at a share of each proxy's own peak: `python -m bench.latency --help`.

The peak is what wrk reaches with 32 connections. Then requests are due at random moments, at a rate of 70 % of that,
and latency is counted from the moment a request was due (`open_loop.c`). Peers take turns, and each runs at its own
rate, so that a fast one has less time for a request. The table is that of 100 rules. Where the load itself was late by
more than a fifth of the latency, something else ran on its core, and there is no verdict.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from bench import open_loop, report, verdict, wrk
from bench.cases import CASES, GOOD
from bench.compare import positive, present
from bench.measure import need_tools, prepared
from bench.peers import OURS, PEERS, Peer
from bench.processes import BenchError, cores, exit_on_sigterm
from bench.report import Figure, Measurement
from bench.targets import target
from bench.verdict import Goal, Row

CASE = CASES["get-100-rules"]
REFERENCE = "nginx"
CONNECTIONS = 64
GOAL = Goal(1.3, REFERENCE)
P50 = Figure("p50_us", "p50 µs", 0)
P99 = Figure("p99_us", "p99 µs", 0)
FIGURES = (
    P99,
    P50,
    Figure("peak_per_second", "peak req/s", 0),
    Figure("lateness_p99_us", "load late µs", 0),
)
MOST_LATENESS = 0.2


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the goal was met, 1 if not, 2 if there is no result."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    progress = Console(stderr=True)
    console = Console(width=None if sys.stdout.isatty() else 130)
    try:
        peers = present(options.peers, GOOD, progress)
        runs = measure(peers, options.seconds, options.rounds, options.share / 100, progress)
    except BenchError as error:
        progress.print(f"error: {error}", markup=False)
        return 2
    title = f"latency at {options.share:g} % of each one's own peak"
    report.show(console, title, report.summarize(title, runs, {}, REFERENCE), REFERENCE, FIGURES)
    found = rows(runs, options.share)
    verdict.show(console, found)
    return verdict.exit_code(found)


def measure(
    peers: Sequence[Peer], seconds: int, rounds: int, share: float, progress: Console
) -> dict[str, list[Measurement]]:
    """Return the runs of each peer, one per round; raise BenchError if one cannot be measured."""
    need_tools("wrk")
    runs: dict[str, list[Measurement]] = {peer.name: [] for peer in peers}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, target(CASE, Path(folder)) as ports:
        program = open_loop.build(Path(folder))
        for number in range(rounds):
            for peer in peers:
                directory = Path(folder) / f"{peer.name}-{number}"
                directory.mkdir()
                measured = _measure_one(peer, ports, program, directory, seconds, share)
                runs[peer.name].append(measured)
                offered = f"at {measured['offered_per_second']:.0f} of {measured['peak_per_second']:.0f}/s"
                progress.print(f"{peer.name}: p99 {measured['p99_us']:.0f} µs {offered}", highlight=False)
    return runs


def rows(runs: Mapping[str, Sequence[Measurement]], share: float) -> list[Row]:
    """Return what came of the goal for each of the gateways that ran."""
    if REFERENCE not in runs:
        return []
    found = []
    for ours in (name for name in OURS if name in runs):
        [line] = report.summarize("latency", {ours: runs[ours]}, {}, ours)
        assert line.median is not None
        shown = f"{line.median[P99.name]:.0f} {P99.title} at {line.median['offered_per_second']:.0f}/s"
        ratio: float | None = report.ratio(runs[ours], runs[REFERENCE])[P99.name]
        if any(_is_late(run) for run in (*runs[ours], *runs[REFERENCE])):
            shown, ratio = f"{shown}, but the load was late: the machine is busy", None
        found.append(Row(f"p99 at {share:g} % of own peak, {ours}", shown, ratio, GOAL))
    return found


def _is_late(run: Measurement) -> bool:
    return run["lateness_p99_us"] > MOST_LATENESS * run["p99_us"]


def _measure_one(
    peer: Peer, ports: Mapping[str, int], program: Path, directory: Path, seconds: int, share: float
) -> Measurement:
    load_core = cores()[1]
    lua = directory / "load.lua"
    lua.write_text(wrk.script(CASE.requests))
    with prepared(CASE, peer, ports, directory, thorough=False) as proxy:
        wrk.run(lua, proxy.door, seconds=1, connections=CASE.connections, core=load_core)
        full = wrk.run(lua, proxy.door, seconds=seconds, connections=CASE.connections, core=load_core)
        if full.failures:
            raise BenchError(f"{peer.name} under load: {full.failures}")
        peak = full.requests_per_second
        result = open_loop.run(
            program,
            CASE.requests,
            proxy.port,
            directory,
            rate=peak * share,
            seconds=seconds,
            connections=CONNECTIONS,
            core=load_core,
        )
    return {
        "p99_us": result.p99_seconds * 1e6,
        "p50_us": result.p50_seconds * 1e6,
        "peak_per_second": peak,
        "offered_per_second": result.answered / result.seconds,
        "lateness_p99_us": result.lateness_p99_seconds * 1e6,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__)
    add = parser.add_argument
    add("--seconds", type=positive, default=4, help="length of each measured run (default 4)")
    add("--rounds", type=positive, default=3, help="rounds over all peers (default 3)")
    add("--share", type=float, default=70.0, help="percent of the peak that is offered (default 70)")
    add("--peers", nargs="+", choices=PEERS, metavar="PEER", help=f"of {', '.join(PEERS)}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
