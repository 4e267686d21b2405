"""Memory over a million requests, or ten: `python -m bench.soak [--requests 10000000]`.

Requests of many kinds, each with a path and a query never seen before, so that anything the proxy keeps per
path, query, header value, method or connection shows up as growth.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvloop
from rich.console import Console

from bench import verdict
from bench.client import Client, End
from bench.peers import PEERS
from bench.processes import BenchError, Memory, exit_on_sigterm, free_ports, memory
from bench.stand import counting_target, serving
from bench.table import GROUPS, mixed_rules, request_for
from bench.verdict import Goal, Row

CLIENTS = 24
REQUESTS_PER_CONNECTION = 500
METHODS = ("GET", "GET", "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH")


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if memory kept to the limit and all answers were right, 1 if not, 2 without a result."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    if not 0 < options.first < options.requests:
        _parser().error("--first must be smaller than --requests")
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            memories, wrong = measure(options.peer, [options.first, options.requests], Path(folder))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for count, each in zip((options.first, options.requests), memories, strict=True):
        print(f"after {count} requests: RSS {each.rss_kib} KiB, PSS {each.pss_kib} KiB")
    for problem, count in wrong.most_common(10):
        print(f"wrong answer, {count} times: {problem}")
    row = growth(options.peer, options.first, options.requests, memories, options.limit_percent)
    verdict.show(Console(width=None if sys.stdout.isatty() else 130), [row])
    print(f"{wrong.total()} wrong answers")
    return 1 if wrong else verdict.exit_code([row])


def growth(peer: str, first: int, requests: int, memories: Sequence[Memory], limit_percent: float) -> Row:
    """Return what came of the goal: memory at the end over that after the first requests."""
    early, late = memories
    figure = f"{early.rss_kib} KiB after {first}, {late.rss_kib} KiB after {requests}"
    goal = Goal(1 + limit_percent / 100, f"that after {first}")
    return Row(f"memory over {requests} requests, {peer}", figure, late.rss_kib / early.rss_kib, goal)


def measure(peer: str, marks: Sequence[int], folder: Path) -> tuple[list[Memory], Counter[str]]:
    """Return the proxy's memory after each number of requests, and what was answered wrongly."""
    if reason := PEERS[peer].missing():
        raise BenchError(reason)
    directory = folder / "proxy"
    directory.mkdir()
    [target_port] = free_ports(1)
    ports = dict.fromkeys(GROUPS, target_port)
    memories = []
    wrong: Counter[str] = Counter()
    numbers = itertools.count()
    with (
        counting_target("target", target_port, folder),
        serving(PEERS[peer], mixed_rules(100), ports, directory) as proxy,
    ):
        for mark, so_far in zip(marks, [0, *marks], strict=False):
            uvloop.run(_load(proxy.port, numbers, mark - so_far, wrong))
            proxy.check_alive()
            memories.append(memory(proxy.pid))
            print(f"{mark} requests done", file=sys.stderr)
    return memories, wrong


def varied_request(number: int, templates: Sequence[str]) -> tuple[str, str, str, bytes, int]:
    """Return method, target, header lines, body and expected status of the request with this number.

    Every eighth path does not exist at the target; every path, query and user agent is unique.
    """
    method = METHODS[number % len(METHODS)]
    missing = number // len(METHODS) % 8 == 0
    prefix = "/missing" if missing else templates[number % len(templates)]
    target = f"{prefix}/{number:x}/item-{number}?q={number * 2654435761 % 2**32:x}&page={number % 97}"
    headers = f"User-Agent: client-{number}\r\nX-Tenant: tenant-{number % 131}\r\n"
    body = b"x" * (number % 700) if method in ("POST", "PUT", "PATCH") else b""
    return method, target, headers, body, 404 if missing else 200


async def _load(port: int, numbers: Iterator[int], count: int, wrong: Counter[str]) -> None:
    templates = [request_for(rule).path for rule in mixed_rules(100).rules[::7]]
    own = itertools.islice(numbers, count)

    async def client() -> None:
        connection = Client(port)
        for sent, number in enumerate(own, 1):
            method, target, headers, body, expected = varied_request(number, templates)
            outcome = await connection.request(method, target, headers=headers, body=body)
            if outcome.end is not End.ANSWERED or outcome.status != expected:
                wrong[f"{method} {outcome.end} {outcome.status}, not {expected}"] += 1
            if sent % REQUESTS_PER_CONNECTION == 0:
                await connection.close()
        await connection.close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--first", type=int, default=100_000, help="requests before the first look")
    parser.add_argument("--requests", type=int, default=1_000_000, help="requests in all (default 1000000)")
    parser.add_argument("--limit-percent", type=float, default=10.0, help="growth allowed (default 10)")
    parser.add_argument("--peer", choices=PEERS, default="gateway", help="the proxy (default: the gateway)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
