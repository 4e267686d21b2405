"""No request is lost or doubled by a reload: `python -m bench.reload --help`.

Rewrites routes.yaml again and again (weights flip, rules come and go, targets stay) while clients on kept
connections send requests, each with an id of its own. The targets write down every id they see. Each request
must be answered 200 exactly once, each id must stand exactly once in the targets' journals, no connection may
be closed, and each rewrite must have been taken.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench.client import Client, End
from bench.counting_target import counts
from bench.peers.gateway import Gateway, routes_yaml
from bench.processes import BenchError, exit_on_sigterm, free_ports
from bench.stand import Proxy, counting_target, scrape, serving, total
from bench.table import one_rule

GROUPS = ("monolith", "orders", "users")
METHODS = ("GET", "GET", "POST", "PUT", "DELETE")
STABLE_RULES = 20
PASSING_RULES = 5
PAUSE_SECONDS = 0.02
"""Between two requests of a client: 64 of them still have several in flight at any moment."""
RELOADS = "strangler_config_reloads_total"
RELOAD_SUCCESSFUL = "strangler_config_last_reload_successful"


@dataclass(slots=True)
class Tally:
    """What the clients and the writer of the file saw."""

    sent: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    answered_by: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    reopened: int = 0
    taken: int = 0
    not_taken: list[int] = field(default_factory=list)
    slowest_seconds: float = 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every request and every reload can be accounted for, 1 if not, 2 without a result."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            tally, seen = measure(options.rewrites, options.clients, options.signal, Path(folder))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    slowest = f"the slowest after {tally.slowest_seconds:.2f} s"
    lines = [
        f"{tally.sent} requests on {tally.opened} connections of {options.clients} clients",
        f"answered by: {dict(sorted(tally.answered_by.items()))}",
        f"{tally.taken} of {options.rewrites} rewrites taken, {slowest}",
    ]
    problems = problems_of(tally, seen, options.clients)
    print("\n".join([*lines, *(f"problem: {problem}" for problem in problems)]))
    print("FAIL" if problems else "PASS: every request answered once, counted once, on its first connection")
    return 1 if problems else 0


def problems_of(tally: Tally, seen: Counter[str], clients: int) -> list[str]:
    """Return what cannot be accounted for; empty if everything can."""
    ids = {str(number) for number in range(tally.sent)}
    problems = [f"{count} requests ended as {how}" for how, count in tally.wrong.items()]
    if lost := len(ids - seen.keys()):
        problems.append(f"{lost} requests never came to a target")
    if doubled := sum(count > 1 for count in seen.values()):
        problems.append(f"{doubled} requests came to a target more than once")
    if strange := len(seen.keys() - ids):
        problems.append(f"{strange} requests came to a target that no client sent")
    if tally.opened != clients:
        problems.append(f"{tally.opened - clients} connections were closed and opened again")
    if tally.not_taken:
        problems.append(f"{len(tally.not_taken)} rewrites were not taken, the first is {tally.not_taken[0]}")
    if len(tally.answered_by) < len(GROUPS):
        problems.append("not every target group answered")
    return problems


def table(number: int, port: int, target_ports: dict[str, int]) -> str:
    """Return the routes.yaml of this rewrite: rules that stay, with other weights, and some that pass."""
    flip = number % 2 == 0

    def rule(name: str, priority: int, **action: Any) -> dict[str, Any]:
        return {
            "name": name,
            "priority": priority,
            "conditions": [{"path-pattern": [f"/{name}", f"/{name}/*"]}],
            **action,
        }

    stable = [
        rule(
            f"stable-{place}",
            100 + place,
            forward={"orders": 90 if flip else 10, "users": 10 if flip else 90},
        )
        for place in range(STABLE_RULES)
    ]
    passing = [
        rule(f"passing-{place}", 200 + place, forward="users") for place in range(PASSING_RULES) if (number + place) % 3
    ]
    default = {"monolith": 100, "orders": number % 50}
    return routes_yaml(port, [*stable, *passing], {group: [target_ports[group]] for group in GROUPS}, default=default)


def measure(rewrites: int, clients: int, by_signal: bool, folder: Path) -> tuple[Tally, Counter[str]]:
    """Return what the clients saw and how often the targets saw each id."""
    if reason := Gateway().missing():
        raise BenchError(reason)
    directory = folder / "gateway"
    directory.mkdir()
    port, *ports = free_ports(1 + len(GROUPS))
    target_ports = dict(zip(GROUPS, ports, strict=True))
    journals = {group: folder / f"{group}.journal" for group in GROUPS}
    with ExitStack() as stack:
        for group in GROUPS:
            target = counting_target(group, target_ports[group], folder, delay_ms=2, journal=journals[group])
            stack.enter_context(target)
        first = table(0, port, target_ports)
        gateway = stack.enter_context(serving(Gateway(), one_rule(), target_ports, directory, text=first, port=port))
        tally = uvloop.run(_load_and_rewrite(gateway, rewrites, clients, by_signal, target_ports))
        gateway.check_alive()
    return tally, counts(*journals.values())


async def _load_and_rewrite(
    gateway: Proxy, rewrites: int, clients: int, by_signal: bool, target_ports: dict[str, int]
) -> Tally:
    tally = Tally()
    stopping = asyncio.Event()
    load = [asyncio.create_task(_client(gateway.port, tally, stopping)) for _ in range(clients)]
    try:
        for number in range(1, rewrites + 1):
            await _rewrite(gateway, number, table(number, gateway.port, target_ports), by_signal, tally)
    finally:
        stopping.set()
        await asyncio.gather(*load)
    return tally


async def _client(port: int, tally: Tally, stopping: asyncio.Event) -> None:
    client = Client(port)
    while not stopping.is_set():
        number = tally.sent
        tally.sent += 1
        method = METHODS[number % len(METHODS)]
        path = ("stable", "passing", "none")[number % 3] + f"-{number % STABLE_RULES}"
        body = b"x" * (number % 300) if method in ("POST", "PUT") else b""
        outcome = await client.request(method, f"/{path}/{number % 7}?id={number}", body=body)
        if outcome.end is End.ANSWERED and outcome.status == 200:
            tally.answered_by[outcome.body.decode()] += 1
        else:
            tally.wrong[f"{method} {outcome.end} {outcome.status}"] += 1
        await asyncio.sleep(PAUSE_SECONDS)
    tally.opened += client.opened
    tally.reopened += client.reopened
    await client.close()


async def _rewrite(gateway: Proxy, number: int, text: str, by_signal: bool, tally: Tally) -> None:
    """Replace the file as an editor does and wait until the gateway has taken it."""
    before = await _reloads(gateway)
    fresh = gateway.file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(gateway.file)
    started = time.monotonic()
    if by_signal:
        os.kill(gateway.pid, signal.SIGHUP)
    while (now := await _reloads(gateway)) == before and time.monotonic() - started < 10:
        gateway.check_alive()
        await asyncio.sleep(0.02)
    tally.slowest_seconds = max(tally.slowest_seconds, time.monotonic() - started)
    if now > before:
        tally.taken += 1
    else:
        tally.not_taken.append(number)


async def _reloads(gateway: Proxy) -> float:
    """Return how many reloads went well; raise BenchError if the last one did not."""
    metrics = await scrape(gateway.admin_port)
    if metrics.get(RELOAD_SUCCESSFUL) == 0:
        raise BenchError("the gateway refused a table that this benchmark wrote")
    return total(metrics, RELOADS) or 0.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.reload", description=__doc__)
    parser.add_argument("--rewrites", type=int, default=200, help="how often (default 200)")
    parser.add_argument("--clients", type=int, default=64, help="kept connections (default 64)")
    parser.add_argument("--signal", action="store_true", help="send SIGHUP after each rewrite as well")
    return parser


if __name__ == "__main__":
    sys.exit(main())
