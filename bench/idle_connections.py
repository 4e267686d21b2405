"""Memory per idle client connection: `python -m bench.idle_connections --help`.

Opens keep-alive connections, each of which makes one request and then stays. Memory is what /proc shows for
the proxy's processes; the kernel's own memory for sockets is not in it.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from bench import verdict
from bench.peers import PEERS
from bench.processes import BenchError, Memory, exit_on_sigterm, free_ports, memory, open_files, raise_open_files
from bench.stand import counting_target, serving
from bench.table import GROUPS, one_rule
from bench.verdict import Goal, Row

REQUEST = b"GET /idle?page=1 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
CONNECTIONS_PER_ADDRESS = 5000
SPARE = 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the goal was met and every connection was kept, 1 if not, 2 if it cannot be measured."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    try:
        each = {name: kib_per_connection(name, options.connections) for name in (options.peer, options.beside)}
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found = rows(options.peer, each[options.peer], options.beside, each[options.beside], options.goal_kib)
    verdict.show(Console(width=None if sys.stdout.isatty() else 130), found)
    return verdict.exit_code(found)


def rows(peer: str, kib: float, beside: str, kib_beside: float, limit_kib: float) -> list[Row]:
    """Return what came of both goals, an absolute one and one beside another proxy."""
    name = f"memory of an idle connection, {peer}"
    return [
        Row(name, f"{kib:.2f} KiB", kib, Goal(limit_kib, unit="KiB")),
        Row(name, f"{kib:.2f} KiB, {beside} {kib_beside:.2f} KiB", kib / kib_beside, Goal(2.0, beside)),
    ]


def kib_per_connection(peer: str, count: int) -> float:
    """Return the growth of RSS for each connection; raise BenchError if one of them was closed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        before, after, kept = measure(peer, count, Path(folder))
    rss = (after.rss_kib - before.rss_kib) / count
    pss = (after.pss_kib - before.pss_kib) / count
    print(f"{peer}: {count} idle connections, {kept} of them answered again afterwards", file=sys.stderr)
    print(f"RSS {before.rss_kib} -> {after.rss_kib} KiB: {rss:.2f} KiB per connection", file=sys.stderr)
    print(f"PSS {before.pss_kib} -> {after.pss_kib} KiB: {pss:.2f} KiB per connection", file=sys.stderr)
    if kept < count:
        raise BenchError(f"{peer} closed {count - kept} of {count} idle connections")
    return rss


def measure(peer: str, count: int, folder: Path) -> tuple[Memory, Memory, int]:
    """Return memory before and with the connections, and how many still answered a second request."""
    raise_open_files(count + SPARE)
    if reason := PEERS[peer].missing():
        raise BenchError(reason)
    directory = folder / "proxy"
    directory.mkdir()
    [target_port] = free_ports(1)
    ports = dict.fromkeys(GROUPS, target_port)
    with (
        counting_target("target", target_port, folder),
        serving(
            PEERS[peer],
            one_rule(),
            ports,
            directory,
            open_files=count + SPARE,
            connections=count + SPARE,
        ) as proxy,
        ExitStack() as stack,
    ):
        for _ in range(200):
            with _connect(proxy.port, 0) as first:
                _exchange(first)
        before = memory(proxy.pid)
        connections = []
        for number in range(count):
            connection = stack.enter_context(_connect(proxy.port, number // CONNECTIONS_PER_ADDRESS))
            _exchange(connection)
            connections.append(connection)
        time.sleep(1)
        if (held := open_files(proxy.pid)) < count:
            raise BenchError(f"the processes seen hold {held} open files, fewer than {count} connections")
        after = memory(proxy.pid)
        kept = sum(_answers(connection) for connection in connections)
        proxy.check_alive()
    return before, after, kept


def _connect(port: int, address_number: int) -> socket.socket:
    """Connect from 127.0.0.(1 + address_number): one address alone may have too few ports."""
    source = (f"127.0.0.{1 + address_number}", 0)
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=source)
    except OSError as error:
        raise BenchError(f"a connection from {source[0]} failed: {error}") from error


def _exchange(connection: socket.socket) -> None:
    try:
        connection.sendall(REQUEST)
        answer = b""
        while not answer.endswith(b"target"):
            part = connection.recv(4096)
            if not part:
                raise BenchError(f"a connection was closed, after {answer[:100]!r}")
            answer += part
    except OSError as error:
        raise BenchError(f"a request failed: {error}") from error
    if not answer.startswith(b"HTTP/1.1 200"):
        raise BenchError(f"not a 200: {answer[:100]!r}")


def _answers(connection: socket.socket) -> bool:
    try:
        _exchange(connection)
    except BenchError:
        return False
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.idle_connections", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000, help="how many (default 10000)")
    parser.add_argument("--goal-kib", type=float, default=20.0, help="KiB of RSS per connection (default 20)")
    parser.add_argument("--peer", choices=PEERS, default="gateway", help="the proxy (default: the gateway)")
    parser.add_argument("--beside", choices=PEERS, default="nginx", help="held against this one (default: nginx)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
