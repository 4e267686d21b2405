"""What one forwarded request costs in the gateway itself: no sockets, no kernel.

python -m bench.hot_path [--profile] [--spans | --rewrite-traceparent]

Both protocol classes run with transports that only take notes, over the mixed table of 100 rules and the load of
`bench.compare`. Calls are counted, which gives the same number each time; microseconds depend on the machine.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import timeit
from collections import Counter
from collections.abc import Callable
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


def forwarder(config: Config, spans: RequestSpans | None = None) -> Callable[[bytes], bytes]:
    """A function that lets one request pass through the gateway and returns what the client gets."""
    metrics = Metrics()
    gateway = Gateway(build(config, metrics), metrics, spans=spans)
    client_side, target_side = Transport(), Transport()
    client: Any = ListenerProtocol(None, _Server(), {"gateway": gateway})  # type: ignore[arg-type]
    client.connection_made(client_side)
    group = gateway.runtime.groups["only"]
    pool = pool_of(group.targets[0], group.config)
    connection: Any = TargetConnection(pool)
    connection.connection_made(target_side)
    pool.release(connection, 0.0)

    def forward(request: bytes) -> bytes:
        client.data_received(request)
        connection.data_received(RESPONSE)
        return client_side.written

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


def count_calls(forward: Callable[[bytes], bytes], requests: list[bytes]) -> tuple[float, float, Counter[str]]:
    """Python and C calls per request, and the Python functions by their calls over all requests."""
    python: Counter[str] = Counter()
    c_calls = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal c_calls
        if event == "call":
            python[frame.f_code.co_name] += 1
        elif event == "c_call":
            c_calls += 1

    for request in requests:
        forward(request)
    sys.setprofile(note)
    for request in requests:
        forward(request)
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
    requests = [request.head.encode() for request in load(mixed_rules(args.rules))]
    assert all(forward(request).startswith(b"HTTP/1.1 200 OK\r\n") for request in requests)
    python, c, functions = count_calls(forward, requests)

    def all_of_them() -> None:
        for request in requests:
            forward(request)

    seconds = min(timeit.repeat(all_of_them, number=200, repeat=7)) / 200 / len(requests)
    print(f"{python:.1f} Python calls, {c:.1f} C calls, {seconds * 1e6:.1f} microseconds a request")
    for name, count in functions.most_common(100 if args.profile else 0):
        print(f"{count / len(requests):6.1f} {name}")
    if args.profile:
        profile = cProfile.Profile()
        profile.runcall(lambda: [all_of_them() for _ in range(200)])
        pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
