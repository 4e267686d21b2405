"""Every goal of the gateway in one table: `python -m bench.goals --help`.

Each section is a command of its own, which shows more; here it is run with short settings and one gateway. The default
takes about ten minutes; `--sections` chooses.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench import idle_connections, latency, scale, soak, start, verdict, workers
from bench.cases import CASES
from bench.compare import compare, positive
from bench.measure import need_tools
from bench.peers import OURS, PEERS, Peer
from bench.processes import BenchError, exit_on_sigterm
from bench.verdict import Goal, Row


@dataclass(frozen=True, slots=True)
class Settings:
    """How thoroughly: the gateway that is held against the goals, and the length of the runs."""

    ours: Peer
    seconds: int
    rounds: int
    soak_requests: int
    progress: Console

    def beside(self, *names: str) -> list[Peer]:
        """Return other proxies and the gateway; raise BenchError if one is missing."""
        for name in names:
            if reason := PEERS[name].missing():
                raise BenchError(f"{name}: {reason}")
        return [*(PEERS[name] for name in names), self.ours]


def _case(name: str) -> Callable[[Settings], list[Row]]:
    case = CASES[name]

    def measured(settings: Settings) -> list[Row]:
        need_tools("wrk")
        others = dict.fromkeys(goal.of for _, goal in case.goals)
        peers = settings.beside(*others)
        return compare(case, peers, settings.seconds, settings.rounds, settings.progress).rows

    return measured


def _latency(settings: Settings) -> list[Row]:
    peers = settings.beside("nginx")
    return latency.rows(latency.measure(peers, settings.seconds, settings.rounds, 0.7, settings.progress), 70)


def _scale(name: str) -> Callable[[Settings], list[Row]]:
    def measured(settings: Settings) -> list[Row]:
        chosen = scale.SCALES[name]
        done = scale.run(chosen, settings.beside(), settings.seconds, settings.rounds, settings.progress)
        return scale.rows(chosen, *done)

    return measured


def _workers(settings: Settings) -> list[Row]:
    return workers.rows(settings.ours, settings.seconds, settings.rounds)


def _idle(settings: Settings) -> list[Row]:
    settings.beside("nginx")
    ours, nginx = (idle_connections.kib_per_connection(name, 10_000) for name in (settings.ours.name, "nginx"))
    return idle_connections.rows(settings.ours.name, ours, "nginx", nginx, 20.0)


def _soak(settings: Settings) -> list[Row]:
    first, requests = settings.soak_requests // 10, settings.soak_requests
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        memories, wrong = soak.measure(settings.ours.name, [first, requests], Path(folder))
    if wrong:
        raise BenchError(f"{wrong.total()} wrong answers")
    return [soak.growth(settings.ours.name, first, requests, memories, 10.0)]


def _start(settings: Settings) -> list[Row]:
    return start.rows(start.measure(settings.beside(), settings.rounds))


SECTIONS: Mapping[str, Callable[[Settings], list[Row]]] = {
    **{name: _case(name) for name, case in CASES.items() if case.goals},
    "latency": _latency,
    "rules": _scale("rules"),
    "clients": _scale("clients"),
    "workers": _workers,
    "idle": _idle,
    "soak": _soak,
    "start": _start,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every goal was met, 1 if one was missed, 2 if one has no result."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    progress = Console(stderr=True)
    present = [PEERS[name] for name in OURS if PEERS[name].missing() is None]
    ours = PEERS[options.peer] if options.peer else present[0]
    settings = Settings(ours, options.seconds, options.rounds, options.soak_requests, progress)
    found: list[Row] = []
    for name in options.sections:
        progress.print(f"{name} ...", markup=False)
        try:
            found += SECTIONS[name](settings)
        except BenchError as error:
            found.append(Row(f"{name}, {ours.name}", str(error), None, Goal(0)))
    if options.markdown:
        print(verdict.markdown(found))
    else:
        verdict.show(Console(width=None if sys.stdout.isatty() else 130), found)
    return verdict.exit_code(found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.goals", description=__doc__)
    add = parser.add_argument
    names = f"of {', '.join(SECTIONS)} (default: all)"
    add("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION", help=names)
    add("--peer", choices=OURS, help="the gateway (default: compiled if it is)")
    add("--seconds", type=positive, default=2, help="length of each measured run (default 2)")
    add("--rounds", type=positive, default=3, help="rounds over all peers (default 3)")
    add("--soak-requests", type=positive, default=1_000_000, help="requests of the soak (default 1000000)")
    add("--markdown", action="store_true", help="print the table as Markdown")
    return parser


if __name__ == "__main__":
    sys.exit(main())
