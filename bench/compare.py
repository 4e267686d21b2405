"""The gateway beside other proxies, in one run, doing the same work: `python -m bench.compare --help`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import cases, report, verdict
from bench.cases import CASES, DEFAULT_CASES, Case
from bench.measure import measure, need_tools
from bench.peers import PEERS, Peer
from bench.processes import BenchError, cores, exit_on_sigterm
from bench.targets import target

REFERENCE = "nginx"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of one case: every peer's runs, one per round, and why a peer has none."""

    case: Case
    runs: dict[str, list[report.Measurement]]
    failures: dict[str, str]

    @property
    def lines(self) -> list[report.Line]:
        return report.summarize(self.case.name, self.runs, self.failures, REFERENCE)

    @property
    def rows(self) -> list[verdict.Row]:
        return cases.rows(self.case, self.runs, self.failures)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; return 0 if every proxy that was run gave a number, 1 if not, 2 on bad usage.

    Goals are printed with their verdicts and leave the code as it is: `bench.goals` is for them.
    """
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    # The table is wide; without a terminal it would be folded at 80 columns.
    to_error = options.json == "-"
    terminal = (sys.stderr if to_error else sys.stdout).isatty()
    console = Console(width=None if terminal else 130, stderr=to_error)
    progress = Console(stderr=True)
    load_before = os.getloadavg()[0]
    done = []
    peers: dict[str, Peer] = {}
    try:
        need_tools("wrk")
        for name in options.cases:
            chosen = present(options.peers, CASES[name].peers, progress)
            peers |= {peer.name: peer for peer in chosen}
            comparison = compare(CASES[name], chosen, options.seconds, options.rounds, progress)
            report.show(console, name, comparison.lines, REFERENCE, comparison.case.figures)
            done.append(comparison)
    except BenchError as error:
        progress.print(f"error: {error}", markup=False)
        return 2
    rows = [row for comparison in done for row in comparison.rows]
    if rows:
        verdict.show(console, rows)
    proxy_core, load_core = cores()
    pinned = "not pinned" if proxy_core is None else f"proxy {proxy_core}, target and load {load_core}"
    about: dict[str, Any] = {
        "machine": platform.platform(),
        "load_before": load_before,
        "cores": pinned,
        "seconds": options.seconds,
        "rounds": options.rounds,
        "reference": REFERENCE,
        "peers": {peer.name: {"version": peer.version(), "counts": peer.counts} for peer in peers.values()},
    }
    for peer in peers.values():
        console.print(f"{peer.name} {peer.version()} counts: {peer.counts}", markup=False, highlight=False)
    length = f"median of {options.rounds} rounds of {options.seconds} s"
    load_line = f"load average of the machine before the run: {load_before:.2f}"
    console.print(f"cores: {pinned}; {length}; {load_line}", highlight=False)
    lines = [line for comparison in done for line in comparison.lines]
    if options.json:
        text = json.dumps(report.document(lines, about), indent=1)
        Path(options.json).write_text(text + "\n") if options.json != "-" else print(text)
    return 1 if any(line.failure for line in lines) else 0


def compare(case: Case, peers: Sequence[Peer], seconds: int, rounds: int, progress: Console) -> Comparison:
    """Measure every peer in every round, in turn; a peer that fails once is left out from then on."""
    comparison = Comparison(case, {peer.name: [] for peer in peers}, {})
    first_figure = case.figures[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, target(case, Path(folder)) as target_ports:
        for round_number in range(rounds):
            for peer in peers:
                if peer.name in comparison.failures:
                    continue
                directory = Path(folder) / f"{peer.name}-{round_number}"
                directory.mkdir()
                try:
                    first = round_number == 0
                    measured = measure(case, peer, target_ports, directory, seconds=seconds, thorough=first)
                except BenchError as error:
                    comparison.failures[peer.name] = str(error)
                    progress.print(f"{case.name} {peer.name}: failed: {error}", markup=False)
                    continue
                comparison.runs[peer.name].append(measured)
                place = f"{case.name} {round_number + 1}/{rounds} {peer.name}"
                value = f"{measured[first_figure.name]:.{first_figure.digits}f} {first_figure.title}"
                progress.print(f"{place}: {value}", highlight=False)
    return comparison


def present(asked: Sequence[str] | None, default: Sequence[str], progress: Console) -> list[Peer]:
    """Return the peers to run; name those left out; raise BenchError if one that was asked for is missing."""
    found = []
    for name in asked or default:
        reason = PEERS[name].missing()
        if reason is None:
            found.append(PEERS[name])
        elif asked:
            raise BenchError(f"{name}: {reason}")
        else:
            progress.print(f"left out: {name}: {reason}", markup=False, highlight=False)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    add = parser.add_argument
    names = f"of {', '.join(CASES)} (default: the first two)"
    peers = f"of {', '.join(PEERS)}; one that is missing is an error (default: those of the case that are present)"
    add("--seconds", type=positive, default=4, help="length of each measured run (default 4)")
    add("--rounds", type=positive, default=3, help="rounds over all peers (default 3)")
    add("--cases", nargs="+", choices=CASES, default=list(DEFAULT_CASES), metavar="CASE", help=names)
    add("--peers", nargs="+", choices=PEERS, metavar="PEER", help=peers)
    add("--json", metavar="FILE", help="also write the results as JSON; - for standard output")
    return parser


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
