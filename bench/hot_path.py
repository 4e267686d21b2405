"""What one forwarded request costs in the gateway itself: no sockets, no kernel.

python -m bench.hot_path [--profile] [--spans | --rewrite-traceparent]

Both protocol classes run with transports that only take notes, over the mixed table of 100 rules and the load of
`bench.compare`. Calls are counted, which gives the same number each time; microseconds depend on the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import sys
import timeit
from collections import Counter
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from bench.table import Rule, load, mixed_rules
from proxy.config.model import (
    ConditionConfig,
    Config,
    ForwardConfig,
    HealthCheckConfig,
    ListenerConfig,
    QueryPair,
    RuleConfig,
    TargetConfig,
    TargetGroupConfig,
)
from proxy.forward.connection import TargetConnection
from proxy.forward.transports import pool_of
from proxy.gateway import Gateway
from proxy.listen.protocol import ListenerProtocol
from proxy.observe.metrics import Metrics
from proxy.observe.request_spans import RequestSpans
from proxy.runtime import build
from proxy.tracing.export import SpanExport
from proxy.tracing.span import Span

PORT = 8080
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 20:00:00 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 200\r\nConnection: keep-alive\r\n\r\n" + b"x" * 200
)


class Transport:
    """Takes what is written and does nothing."""

    written = b""

    def write(self, data: bytes) -> None:
        self.written = data

    def get_extra_info(self, name: str) -> object:
        return {"peername": ("127.0.0.1", 50_000), "sockname": ("127.0.0.1", PORT)}.get(name)

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class _Server:
    connections: set[Any] = set()


class _Loop:
    """Calls what it is given at the end of a turn."""

    def __init__(self) -> None:
        self._soon: list[Callable[[], object]] = []

    def call_soon(self, call: Callable[[], object]) -> None:
        self._soon.append(call)

    def end_turn(self) -> None:
        calls, self._soon = self._soon, []
        for call in calls:
            call()


def mixed_config(count: int) -> Config:
    """The mixed table, every rule forwarding to one group of one target."""
    rules = tuple(
        RuleConfig(rule.name, number, tuple(conditions_of(rule)), ForwardConfig((("only", 1),)))
        for number, rule in enumerate(mixed_rules(count).rules, start=1)
    )
    listener = ListenerConfig("bench", PORT, ForwardConfig((("only", 1),)), rules)
    group = TargetGroupConfig("only", (TargetConfig("http", "127.0.0.1", 9),), HealthCheckConfig(enabled=False))
    return Config((listener,), {"only": group})


def conditions_of(rule: Rule) -> list[ConditionConfig]:
    """The conditions of a rule of the comparison, as a table of ours has them."""
    found = []
    if rule.host is not None:
        found.append(ConditionConfig("host-header", (rule.host,)))
    if rule.path is not None:
        found.append(ConditionConfig("path-pattern", (rule.path,)))
    if rule.method is not None:
        found.append(ConditionConfig("http-request-method", (rule.method,)))
    if rule.header is not None:
        found.append(ConditionConfig("http-header", (rule.header[1],), header_name=rule.header[0]))
    if rule.query is not None:
        found.append(ConditionConfig("query-string", pairs=(QueryPair(*rule.query),)))
    return found


CLIENTS = 8
"""How many send a request in one turn of the event loop, as they do when there is something to do."""


def forwarder(config: Config, spans: RequestSpans | None = None) -> Callable[[Sequence[bytes]], list[bytes]]:
    """A function that lets requests pass through the gateway, `CLIENTS` a turn, and returns what the clients get."""
    metrics = Metrics()
    gateway = Gateway(build(config, metrics), metrics, spans=spans)
    group = gateway.runtime.groups["only"]
    pool: Any = pool_of(group.targets[0], group.config)
    loop: Any = _Loop()
    asyncio.events._set_running_loop(loop)
    pairs = []
    for _ in range(CLIENTS):
        client: Any = ListenerProtocol(None, _Server(), {"gateway": gateway})  # type: ignore[arg-type]
        client_side = Transport()
        client.connection_made(client_side)
        connection: Any = TargetConnection(pool)
        connection.connection_made(Transport())
        pool.release(connection, 0.0)
        pairs.append((client, client_side, connection))

    asyncio.events._set_running_loop(None)

    def forward(requests: Sequence[bytes]) -> list[bytes]:
        answers = []
        for start in range(0, len(requests), CLIENTS):
            turn = requests[start : start + CLIENTS]
            for request, (client, _, _) in zip(turn, pairs, strict=False):
                client.data_received(request)
            loop.end_turn()
            # The last connection that was given back is taken first.
            for _, _, connection in reversed(pairs[: len(turn)]):
                connection.data_received(RESPONSE)
            answers += [client_side.written for _, client_side, _ in pairs[: len(turn)]]
        return answers

    return forward


def encoding_spans(*, rewrites: bool) -> RequestSpans:
    """Spans as for a collector, without one."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    from proxy.tracing.otlp import OtlpCollector

    class Encoding(OtlpCollector):
        def send(self, spans: list[Span]) -> bool:
            encode_spans([self.readable(span) for span in spans]).SerializeToString()
            return True

    return RequestSpans(SpanExport(Encoding("http://127.0.0.1:9", "bench", "0")), rewrites=rewrites)


def count_calls(
    forward: Callable[[Sequence[bytes]], list[bytes]], requests: Sequence[bytes]
) -> tuple[float, float, Counter[str]]:
    """Python and C calls per request, and the Python functions by their calls over all requests."""
    python: Counter[str] = Counter()
    c_calls = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal c_calls
        if event == "call":
            python[frame.f_code.co_name] += 1
        elif event == "c_call":
            c_calls += 1

    forward(requests)
    sys.setprofile(note)
    forward(requests)
    sys.setprofile(None)
    return sum(python.values()) / len(requests), c_calls / len(requests), python


def main() -> int:
    """Print the costs; return 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=int, default=100)
    parser.add_argument("--profile", action="store_true", help="where the time goes, by cProfile")
    parser.add_argument("--spans", action="store_true", help="make and encode spans of each request, and send none")
    parser.add_argument("--rewrite-traceparent", action="store_true", help="the same, and tell targets of them")
    args = parser.parse_args()
    spans = encoding_spans(rewrites=args.rewrite_traceparent) if args.spans or args.rewrite_traceparent else None
    forward = forwarder(mixed_config(args.rules), spans)
    requests = [request.head.encode() for request in load(mixed_rules(args.rules))] * CLIENTS
    assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in forward(requests))
    python, c, functions = count_calls(forward, requests)

    def all_of_them() -> None:
        forward(requests)

    seconds = min(timeit.repeat(all_of_them, number=25, repeat=7)) / 25 / len(requests)
    print(f"{python:.1f} Python calls, {c:.1f} C calls, {seconds * 1e6:.1f} microseconds a request")
    for name, count in functions.most_common(100 if args.profile else 0):
        print(f"{count / len(requests):6.1f} {name}")
    if args.profile:
        profile = cProfile.Profile()
        profile.runcall(lambda: [all_of_them() for _ in range(25)])
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
