"""What more rules, or more clients, do to a request through the whole proxy: `python -m bench.scale --help`.

`rules`: CPU time per request with 10, 100, 1000 and 10 000 rules; the load has as many different requests for each, of
all kinds of rules and from all parts of the table. `clients`: requests per second with 32, 1000 and 10 000 connections,
all of which are busy, through 100 rules, with the CPU time of each request; of nginx, too, as a reference. Each size is
held against the first of them.

nginx and Envoy choose by host first, so their configurations grow with hosts times rules: they do not start in time
with 1000 rules, and are not asked by default.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from bench import report, verdict
from bench.cases import CASES, Case
from bench.compare import positive, present
from bench.measure import measure, need_tools, open_files_of
from bench.peers import OURS, PEERS, Peer
from bench.processes import BenchError, exit_on_sigterm, most_open_files
from bench.report import Figure, Measurement
from bench.table import load, mixed_rules
from bench.targets import target
from bench.verdict import Goal, Row


@dataclass(frozen=True, slots=True)
class Scale:
    """What grows, to which sizes, and how much a figure may differ from that at the first size."""

    unit: str
    sizes: tuple[int, ...]
    case: Callable[[int], Case]
    figure: Figure
    limit: float
    at_least: bool
    peers: tuple[str, ...]

    @property
    def goal(self) -> Goal:
        return Goal(self.limit, f"that with {self.sizes[0]} {self.unit}", at_least=self.at_least)


def _with_rules(count: int) -> Case:
    table = mixed_rules(count)
    return replace(CASES["get-100-rules"], name=f"{count} rules", table=table, requests=load(table))


def _with_clients(count: int) -> Case:
    return replace(CASES["get-100-rules"], name=f"{count} clients", connections=count)


SCALES = {
    scale.unit: scale
    for scale in (
        Scale("rules", (10, 100, 1000, 10_000), _with_rules, report.CPU, 1.2, at_least=False, peers=OURS),
        Scale(
            "clients", (32, 1000, 10_000), _with_clients, report.REQUESTS, 0.75, at_least=True, peers=("nginx", *OURS)
        ),
    )
}
Runs = dict[str, dict[int, list[Measurement]]]
"""The measurements of each peer at each size, one per round."""
Failures = dict[tuple[str, int], str]
"""Why a peer has no figure at a size."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the goal was met, 1 if not, 2 if there is no result."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    progress = Console(stderr=True)
    scale = SCALES[options.scale]
    if options.sizes:
        scale = replace(scale, sizes=tuple(sorted(options.sizes)))
    try:
        peers = present(options.peers, scale.peers, progress)
        found = rows(scale, *run(scale, peers, options.seconds, options.rounds, progress))
    except BenchError as error:
        progress.print(f"error: {error}", markup=False)
        return 2
    verdict.show(Console(width=None if sys.stdout.isatty() else 130), found)
    return verdict.exit_code([row for row in found if row.name.endswith(OURS)])


def run(scale: Scale, peers: Sequence[Peer], seconds: int, rounds: int, progress: Console) -> tuple[Runs, Failures]:
    """Measure every peer at every size in every round; what fails once is left out from then on."""
    need_tools("wrk")
    runs: Runs = {peer.name: {size: [] for size in scale.sizes} for peer in peers}
    failures: Failures = {}
    figure = scale.figure
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, target(scale.case(10), Path(folder)) as ports:
        for number in range(rounds):
            for peer in peers:
                for size in scale.sizes:
                    if (peer.name, size) in failures:
                        continue
                    case = scale.case(size)
                    directory = Path(folder) / f"{peer.name}-{size}-{number}"
                    directory.mkdir()
                    try:
                        measured = measure(case, peer, ports, directory, seconds=seconds, thorough=False)
                    except BenchError as error:
                        failures[peer.name, size] = f"{error}{_hint(case)}"
                        progress.print(f"{peer.name}, {case.name}: failed: {error}", markup=False)
                        continue
                    runs[peer.name][size].append(measured)
                    value = f"{measured[figure.name]:.{figure.digits}f} {figure.title}"
                    progress.print(f"{peer.name}, {case.name}: {value}", highlight=False)
    return runs, failures


def rows(
    scale: Scale,
    runs: Mapping[str, Mapping[int, Sequence[Measurement]]],
    failures: Mapping[tuple[str, int], str],
) -> list[Row]:
    """Return a row for each peer and each size but the first."""
    found = []
    first, *others = scale.sizes
    for peer, by_size in runs.items():
        for size in others:
            name = f"{size} {scale.unit}, {peer}"
            reasons = [failures[peer, each] for each in (first, size) if (peer, each) in failures]
            if reasons:
                found.append(Row(name, reasons[0], None, scale.goal))
                continue
            [line] = report.summarize("", {peer: by_size[size]}, {}, peer)
            assert line.median is not None
            value = line.median[scale.figure.name]
            ratio = report.ratio(by_size[size], by_size[first])[scale.figure.name]
            shown = f"{value:.{scale.figure.digits}f} {scale.figure.title}"
            if scale.figure is not report.CPU:
                earlier = report.summarize("", {peer: by_size[first]}, {}, peer)[0].median
                assert earlier is not None
                cpu = [each[report.CPU.name] for each in (earlier, line.median)]
                shown += f"; {cpu[0]:.1f} -> {cpu[1]:.1f} {report.CPU.title}"
            found.append(Row(name, shown, ratio, scale.goal))
    return found


def _hint(case: Case) -> str:
    wanted = open_files_of(case)
    allowed = most_open_files(wanted)
    return "" if allowed >= wanted else f" (open files are limited to {allowed}, two for each client are {wanted})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    add = parser.add_argument
    add("scale", choices=SCALES, help="what grows")
    add("--sizes", nargs="+", type=positive, help="other sizes; the smallest is what the others are held against")
    add("--seconds", type=positive, default=4, help="length of each measured run (default 4)")
    add("--rounds", type=positive, default=3, help="rounds over all peers and sizes (default 3)")
    add("--peers", nargs="+", choices=PEERS, metavar="PEER", help=f"of {', '.join(PEERS)}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
