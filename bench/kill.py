"""A target dies under load and comes back: `python -m bench.kill --help`.

One of two targets of a group is killed (SIGKILL) while clients send requests, and started again later.
Nothing may hang. A request that may be repeated (RFC 9110 9.2.2) must not fail at all; another one may, but
only until the health checks have seen that the target is gone, and never may a target get it twice.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import uvloop

from bench.client import IDEMPOTENT, Client, End
from bench.counting_target import counts
from bench.peers.gateway import Gateway, routes_yaml
from bench.processes import BenchError, exit_on_sigterm, free_ports
from bench.stand import Proxy, counting_target, scrape, serving, total
from bench.table import DEFAULT_GROUP, one_rule

METHODS = ("GET", "GET", "GET", "POST", "GET", "PUT", "POST", "DELETE")
DELAY_MS = 8
TARGET_HEALTHY = "strangler_target_healthy"
TIME_LIMIT_SECONDS = 10.0
HEALTH_CHECK = {
    "path": "/health",
    "interval_seconds": 5,
    "timeout_seconds": 2,
    "healthy_threshold_count": 2,
    "unhealthy_threshold_count": 2,
}


class Phase(StrEnum):
    """When a request began; one in flight at the kill belongs to what follows it."""

    BEFORE = "both targets healthy"
    UNDETECTED = "one killed, not yet detected"
    DETECTED = "detected"
    RETURNING = "started again, not yet healthy"
    BACK = "both healthy again"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request and its end."""

    number: int
    method: str
    phase: Phase
    end: End
    status: int
    answered_by: str
    seconds: float

    @property
    def is_good(self) -> bool:
        return self.end is End.ANSWERED and self.status == 200


@dataclass(slots=True)
class Run:
    """What happened; `lasted` is the length of each phase in seconds."""

    sent: list[Sent] = field(default_factory=list)
    phase: Phase = Phase.BEFORE
    lasted: dict[Phase, float] = field(default_factory=dict)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the gateway kept every promise, 1 if not, 2 without a result."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            run, seen = measure(options.clients, options.seconds, Path(folder))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for phase in Phase:
        print(line_of(run, phase))
    repeated = sum(count > 1 for count in seen.values())
    print(f"requests that came to a target more than once: {repeated}")
    problems = problems_of(run.sent, seen)
    for problem in problems:
        print(f"problem: {problem}")
    print("FAIL" if problems else "PASS: nothing hung, nothing repeatable failed, nothing failed once detected")
    return 1 if problems else 0


def line_of(run: Run, phase: Phase) -> str:
    """Return a phase in one line: its length, its requests by outcome, its slowest."""
    sent = [each for each in run.sent if each.phase is phase]
    slowest = max((each.seconds for each in sent), default=0.0)
    bad = Counter(f"{each.method} {each.end} {each.status or ''}".strip() for each in sent if not each.is_good)
    by = Counter(each.answered_by for each in sent if each.is_good)
    failures = ", ".join(f"{count} x {how}" for how, count in bad.items()) or "no failures"
    answered = ", ".join(f"{name} {count}" for name, count in sorted(by.items()))
    lasted = run.lasted.get(phase, 0.0)
    return f"{phase} ({lasted:.1f} s): {len(sent)} requests ({answered}); {failures}; slowest {slowest:.2f} s"


def problems_of(sent: Sequence[Sent], seen: Counter[str]) -> list[str]:
    """Return the promises that were broken.

    Args:
        sent: Every request.
        seen: How often a target got each request's number.
    """
    problems: Counter[str] = Counter()
    for each in sent:
        count = seen[str(each.number)]
        if each.end is End.HUNG:
            problems[f"{each.method} had no end within {TIME_LIMIT_SECONDS:.0f} s"] += 1
        elif not each.is_good and each.phase is not Phase.UNDETECTED:
            problems[f"{each.method} {each.end} {each.status} while {each.phase}"] += 1
        elif not each.is_good and each.method in IDEMPOTENT and each.end is not End.CUT:
            problems[f"{each.method} {each.end} {each.status}, which may be repeated"] += 1
        if each.is_good and count == 0:
            problems[f"{each.method} answered 200, but no target got it"] += 1
        if count > 1 and each.method not in IDEMPOTENT:
            problems[f"{each.method} came to a target {count} times"] += 1
    found = [f"{count} times: {problem}" for problem, count in problems.items()]
    both = {each.answered_by for each in sent if each.phase is Phase.BACK and each.is_good}
    if len(both) < 2:
        found.append(f"only {sorted(both)} answered after both were healthy again")
    return found


def measure(clients: int, seconds: float, folder: Path) -> tuple[Run, Counter[str]]:
    """Return every request and how often a target got each."""
    if reason := Gateway().missing():
        raise BenchError(reason)
    directory = folder / "gateway"
    directory.mkdir()
    port, steady_port, killed_port = free_ports(3)
    journals = [folder / "steady.journal", folder / "killed.journal"]
    text = routes_yaml(port, [], {DEFAULT_GROUP: [steady_port, killed_port]}, health_check=HEALTH_CHECK)
    ports = {DEFAULT_GROUP: steady_port}
    with ExitStack() as stack:
        enter = stack.enter_context
        enter(counting_target("steady", steady_port, folder, delay_ms=DELAY_MS, journal=journals[0]))
        gateway = enter(serving(Gateway(), one_rule(), ports, directory, text=text, port=port))
        run = uvloop.run(_story(gateway, clients, seconds, killed_port, folder, journals[1]))
        gateway.check_alive()
    return run, counts(*journals)


async def _story(gateway: Proxy, clients: int, seconds: float, killed_port: int, folder: Path, journal: Path) -> Run:
    run = Run()
    stopping = asyncio.Event()
    numbers = itertools.count()
    load: list[asyncio.Task[None]] = []
    with ExitStack() as stack:

        def start_target() -> subprocess.Popen[bytes]:
            target = counting_target("killed", killed_port, folder, delay_ms=DELAY_MS, journal=journal)
            return stack.enter_context(target)

        try:
            process = await asyncio.to_thread(start_target)
            await _until_healthy(gateway, killed_port, healthy=True)
            load += [asyncio.create_task(_client(gateway.port, run, numbers, stopping)) for _ in range(clients)]
            await _phase(run, Phase.BEFORE, asyncio.sleep(seconds))
            process.kill()
            await _phase(run, Phase.UNDETECTED, _until_healthy(gateway, killed_port, healthy=False))
            await _phase(run, Phase.DETECTED, asyncio.sleep(seconds))
            await _phase(run, Phase.RETURNING, asyncio.to_thread(start_target))
            await _phase(run, Phase.RETURNING, _until_healthy(gateway, killed_port, healthy=True))
            await _phase(run, Phase.BACK, asyncio.sleep(seconds))
        finally:
            stopping.set()
            await asyncio.gather(*load)
    return run


async def _phase(run: Run, phase: Phase, end: Awaitable[object]) -> None:
    run.phase = phase
    started = time.monotonic()
    await end
    run.lasted[phase] = run.lasted.get(phase, 0.0) + time.monotonic() - started


async def _client(port: int, run: Run, numbers: Iterator[int], stopping: asyncio.Event) -> None:
    client = Client(port, timeout_seconds=TIME_LIMIT_SECONDS, repeats=False)
    while not stopping.is_set():
        number = next(numbers)
        method = METHODS[number % len(METHODS)]
        body = b"x" * 64 if method in ("POST", "PUT") else b""
        phase = run.phase
        started = time.monotonic()
        outcome = await client.request(method, f"/work/{number % 11}?id={number}", body=body)
        spent = time.monotonic() - started
        if phase is Phase.BEFORE and run.phase is not Phase.BEFORE:
            phase = Phase.UNDETECTED  # It was in flight at the kill.
        name = outcome.body.decode("latin-1") if outcome.status == 200 else ""
        run.sent.append(Sent(number, method, phase, outcome.end, outcome.status, name, spent))
    await client.close()


async def _until_healthy(gateway: Proxy, port: int, *, healthy: bool) -> None:
    """Return when the gateway's metrics say so of a target; raise BenchError after a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        gateway.check_alive()
        value = total(await scrape(gateway.admin_port), TARGET_HEALTHY, f":{port}")
        if value is not None and (value >= 1) is healthy:
            return
        await asyncio.sleep(0.05)
    raise BenchError(f"{TARGET_HEALTHY} of port {port} did not become {int(healthy)} within a minute")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.kill", description=__doc__)
    parser.add_argument("--clients", type=int, default=32, help="kept connections (default 32)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each quiet phase (default 3)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
