"""The gateway beside other proxies, in one run, doing the same work: `python -m bench.compare --help`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from bench import report, verify, wrk
from bench.peers import PEERS, Peer, Site
from bench.peers.nginx import target_body, target_configuration
from bench.processes import BenchError, cores, cpu_seconds, exit_on_sigterm, free_ports, running, wait_for_port
from bench.stand import serving
from bench.table import GROUPS, Request, Table, load, mixed_rules, one_rule, probes

REFERENCE = "nginx"
ANSWER_BYTES = 200
DOWNLOAD_BYTES = 1 << 20
UPLOAD_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked of every proxy; `target` is the kind of target behind it."""

    name: str
    table: Table
    requests: tuple[Request, ...]
    connections: int = 32
    target: Literal["nginx", "echo"] = "nginx"


CASES = {
    case.name: case
    for case in (
        Case("get-1-rule", one_rule(), load(one_rule())),
        Case("get-100-rules", mixed_rules(100), load(mixed_rules(100))),
        Case("post-16k", one_rule(), (Request("POST", "/upload", body_bytes=UPLOAD_BYTES),), target="echo"),
        Case("body-1m", one_rule(), (Request(path="/large"),), connections=8),
    )
}
DEFAULT_CASES = ("get-1-rule", "get-100-rules")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; return 0 if every proxy that was run gave a number, 1 if not, 2 on bad usage."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    # The table is wide; without a terminal it would be folded at 80 columns.
    to_error = options.json == "-"
    terminal = (sys.stderr if to_error else sys.stdout).isatty()
    console = Console(width=None if terminal else 130, stderr=to_error)
    progress = Console(stderr=True)
    load_before = os.getloadavg()[0]
    try:
        peers = _present(options.peers, progress)
        _need_wrk()
        lines = []
        for name in options.cases:
            lines_of_case = compare(CASES[name], peers, options.seconds, options.rounds, progress)
            report.show(console, name, lines_of_case, REFERENCE)
            lines += lines_of_case
    except BenchError as error:
        progress.print(f"error: {error}", markup=False)
        return 2
    proxy_core, load_core = cores()
    pinned = "not pinned" if proxy_core is None else f"proxy {proxy_core}, target and wrk {load_core}"
    about: dict[str, Any] = {
        "machine": platform.platform(),
        "load_before": load_before,
        "cores": pinned,
        "seconds": options.seconds,
        "rounds": options.rounds,
        "reference": REFERENCE,
        "peers": {peer.name: {"version": peer.version(), "counts": peer.counts} for peer in peers},
    }
    for peer in peers:
        console.print(f"{peer.name} {peer.version()} counts: {peer.counts}", markup=False, highlight=False)
    length = f"median of {options.rounds} rounds of {options.seconds} s"
    load_line = f"load average of the machine before the run: {load_before:.2f}"
    console.print(f"cores: {pinned}; {length}; {load_line}", highlight=False)
    if options.json:
        text = json.dumps(report.document(lines, about), indent=1)
        Path(options.json).write_text(text + "\n") if options.json != "-" else print(text)
    return 1 if any(line.failure for line in lines) else 0


def compare(case: Case, peers: Sequence[Peer], seconds: int, rounds: int, progress: Console) -> list[report.Line]:
    """Measure every peer in every round, in turn; a peer that fails once is left out from then on."""
    runs: dict[str, list[report.Measurement]] = {peer.name: [] for peer in peers}
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, _target(case, Path(folder)) as target_ports:
        for round_number in range(rounds):
            for peer in peers:
                if peer.name in failures:
                    continue
                directory = Path(folder) / f"{peer.name}-{round_number}"
                directory.mkdir()
                try:
                    first = round_number == 0
                    measured = measure(case, peer, target_ports, directory, seconds=seconds, thorough=first)
                except BenchError as error:
                    failures[peer.name] = str(error)
                    progress.print(f"{case.name} {peer.name}: failed: {error}", markup=False)
                    continue
                runs[peer.name].append(measured)
                place = f"{case.name} {round_number + 1}/{rounds} {peer.name}"
                progress.print(f"{place}: {measured.cpu_us_per_request:.1f} µs", highlight=False)
    return report.summarize(case.name, runs, failures, REFERENCE)


def measure(
    case: Case, peer: Peer, target_ports: dict[str, int], directory: Path, *, seconds: int, thorough: bool
) -> report.Measurement:
    """Start a proxy, see that it does the work, warm it up, and measure one run.

    Args:
        thorough: Check each rule of the table, not only the requests of the load.

    Raises: BenchError if it does not start, decides otherwise than the table, or the load saw a failure.
    """
    proxy_core, load_core = cores()
    lua = directory / "load.lua"
    lua.write_text(wrk.script(case.requests))
    with serving(peer, case.table, target_ports, directory, core=proxy_core) as proxy:
        _check(case, proxy.port, thorough=thorough)
        wrk.run(lua, proxy.port, seconds=1, connections=case.connections, core=load_core)
        before = cpu_seconds(proxy.pid)
        result = wrk.run(lua, proxy.port, seconds=seconds, connections=case.connections, core=load_core)
        used = cpu_seconds(proxy.pid) - before
        proxy.check_alive()
    if result.failures:
        raise BenchError(f"under load: {result.failures}")
    return report.Measurement(
        cpu_us_per_request=used / result.requests * 1e6,
        requests_per_second=result.requests_per_second,
        p50_ms=result.p50_seconds * 1e3,
        p99_ms=result.p99_seconds * 1e3,
    )


def _check(case: Case, port: int, *, thorough: bool) -> None:
    if case.target == "echo":
        verify.check_echo(port, case.requests[0])
        return
    if case.name == "body-1m":
        verify.check_download(port, case.requests[0], DOWNLOAD_BYTES)
    else:
        bodies = {group: target_body(group, ANSWER_BYTES).encode() for group in GROUPS}
        requests = [*case.requests, *(probes(case.table) if thorough else ())]
        verify.check_decisions(port, case.table, requests, bodies)
    verify.check_forwarding(port)


@contextlib.contextmanager
def _target(case: Case, folder: Path) -> Iterator[dict[str, int]]:
    """Run the target of a case on the load's core; yield the port of each group."""
    folder.chmod(0o755)
    directory = folder / "target"
    directory.mkdir(mode=0o755)
    ports = dict(zip(GROUPS, free_ports(len(GROUPS)), strict=True))
    if case.target == "echo":
        command = [sys.executable, "-m", "bench.echo_target", *map(str, ports.values())]
    else:
        (directory / "large").write_bytes(b"x" * DOWNLOAD_BYTES)
        file = directory / "target.conf"
        file.write_text(target_configuration(ports, directory, ANSWER_BYTES))
        command = list(PEERS["nginx"].command(file, Site(0, 0, case.table, ports, directory)))
    log = directory / "log"
    with running(command, log=log, core=cores()[1]) as process:
        for port in ports.values():
            wait_for_port(port, process, log)
        yield ports


def _present(asked: Sequence[str] | None, progress: Console) -> list[Peer]:
    """Return the peers to run; name those left out; raise BenchError if one that was asked for is missing."""
    if reason := PEERS["nginx"].missing():
        raise BenchError(f"{reason} (it is the target of every case)")
    present = []
    for name in asked or PEERS:
        reason = PEERS[name].missing()
        if reason is None:
            present.append(PEERS[name])
        elif asked:
            raise BenchError(f"{name}: {reason}")
        else:
            progress.print(f"left out: {name}: {reason}", markup=False, highlight=False)
    return present


def _need_wrk() -> None:
    for program in ("wrk", "taskset"):
        if shutil.which(program) is None:
            raise BenchError(f"{program} is not installed: sh bench/install.sh")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    add = parser.add_argument
    cases = f"of {', '.join(CASES)} (default: the two GET cases)"
    peers = f"of {', '.join(PEERS)}; one that is missing is an error (default: all present)"
    add("--seconds", type=_positive, default=4, help="length of each measured run (default 4)")
    add("--rounds", type=_positive, default=3, help="rounds over all peers (default 3)")
    add("--cases", nargs="+", choices=CASES, default=list(DEFAULT_CASES), metavar="CASE", help=cases)
    add("--peers", nargs="+", choices=PEERS, metavar="PEER", help=peers)
    add("--json", metavar="FILE", help="also write the results as JSON; - for standard output")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
