"""How long a start takes: `python -m bench.start --help`.

From the moment the program is executed until the first 200 comes through it, with 100 rules, and for the gateway until
`/readyz` says 200 as well. Both are asked every 2 ms. The goal is of the gateway, and absolute.
"""

from __future__ import annotations

import argparse
import http.client
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from bench import report, verdict
from bench.cases import CASES, GOOD
from bench.compare import positive, present
from bench.peers import OURS, PEERS, Peer, Site
from bench.processes import BenchError, cores, exit_on_sigterm, free_ports, running, tail
from bench.report import Figure, Measurement
from bench.targets import target
from bench.verdict import Goal, Row

CASE = CASES["get-100-rules"]
GOAL = Goal(1.0, unit="s")
FIRST = Figure("first_answer_ms", "first 200, ms", 0)
READY = Figure("ready_ms", "answering and ready, ms", 0)
LIMIT_SECONDS = 20.0
PAUSE_SECONDS = 0.002


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the goal was met, 1 if not, 2 if there is no result."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    progress = Console(stderr=True)
    console = Console(width=None if sys.stdout.isatty() else 130)
    try:
        if options.imports:
            _show_imports(console, options.imports)
        peers = present(options.peers, GOOD, progress)
        runs = measure(peers, options.rounds)
    except BenchError as error:
        progress.print(f"error: {error}", markup=False)
        return 2
    report.show(console, "start", report.summarize("start", runs, {}, "nginx"), "nginx", (FIRST, READY))
    found = rows(runs)
    verdict.show(console, found)
    return verdict.exit_code(found)


def measure(peers: Sequence[Peer], rounds: int) -> dict[str, list[Measurement]]:
    """Return the starts of each peer, one per round; raise BenchError if one does not come up."""
    runs: dict[str, list[Measurement]] = {peer.name: [] for peer in peers}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, target(CASE, Path(folder)) as ports:
        for number in range(rounds):
            for peer in peers:
                directory = Path(folder) / f"{peer.name}-{number}"
                directory.mkdir(mode=0o755)
                runs[peer.name].append(start(peer, ports, directory))
    return runs


def start(peer: Peer, target_ports: Mapping[str, int], directory: Path) -> Measurement:
    """Start a proxy and stop it; for one without `/readyz` the two moments are the same."""
    port, admin_port = free_ports(2)
    site = Site(port, admin_port, CASE.table, target_ports, directory)
    file = directory / peer.file_name
    file.write_text(peer.configuration(site))
    command, environment, log = peer.command(file, site), peer.environment(), directory / "log"
    begun = time.monotonic()
    with running(command, log=log, core=cores()[0], environment=environment) as process:
        first = _wait(process, port, "/of/no/rule", begun, log)
        ready = _wait(process, admin_port, "/readyz", begun, log) if peer.name in OURS else first
    return {"first_answer_ms": first * 1e3, "ready_ms": ready * 1e3}


def rows(runs: Mapping[str, Sequence[Measurement]]) -> list[Row]:
    """Return what came of the goal for each of the gateways that ran."""
    found = []
    for ours in (name for name in OURS if name in runs):
        [line] = report.summarize("start", {ours: runs[ours]}, {}, ours)
        assert line.median is not None
        value = line.median[READY.name]
        found.append(Row(f"start until ready, {ours}", f"{value:.0f} ms", value / 1e3, GOAL))
    return found


def slowest_imports(output: str, count: int) -> list[tuple[str, int, int]]:
    """Return module, own and cumulative µs of what `-X importtime` printed, the dearest of their own first."""
    lines = re.findall(r"^import time:\s+(\d+) \|\s+(\d+) \|\s*(\S+)$", output, re.M)
    found = [(module, int(own), int(cumulative)) for own, cumulative, module in lines]
    return sorted(found, key=lambda line: -line[1])[:count]


def _show_imports(console: Console, count: int) -> None:
    command = [sys.executable, "-X", "importtime", "-c", "import proxy.cli, proxy.app, proxy.control"]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    for module, own, cumulative in slowest_imports(output, count):
        console.print(
            f"{own / 1e3:7.1f} ms, {cumulative / 1e3:7.1f} ms with what it imports: {module}", highlight=False
        )


def _wait(process: subprocess.Popen[bytes], port: int, path: str, begun: float, log: Path) -> float:
    """Return the seconds since `begun` at the first 200."""
    while time.monotonic() < begun + LIMIT_SECONDS:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_SECONDS)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return time.monotonic() - begun
        except (OSError, http.client.HTTPException):
            if process.poll() is not None:
                raise BenchError(f"it ended with code {process.returncode}: {tail(log)}") from None
        finally:
            connection.close()
        time.sleep(PAUSE_SECONDS)
    raise BenchError(f"no 200 on port {port} within {LIMIT_SECONDS:.0f} s: {tail(log)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    add = parser.add_argument
    add("--rounds", type=positive, default=5, help="starts of each peer (default 5)")
    add("--peers", nargs="+", choices=PEERS, metavar="PEER", help=f"of {', '.join(PEERS)}")
    add("--imports", type=positive, metavar="N", help="first list the N modules that are dearest to import")
    return parser


if __name__ == "__main__":
    sys.exit(main())
