"""The gateway: what both doors lead to, and what holds the table in force."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Final

from proxy.auth.authentication import Authentication
from proxy.carveout.transactions import Transactions
from proxy.config.model import LoadBalancerAttributes
from proxy.errors import ClientError, GatewayError
from proxy.exchange import PAGE_HEADERS, RequestExchange
from proxy.forward.pool import TargetPool
from proxy.http1.mitigation import Mitigated
from proxy.http1.pages import REASONS, page
from proxy.http1.sealed import Sealer
from proxy.listen.client import Client, Exchange, Timed
from proxy.observe.access_log import AccessLog
from proxy.observe.condition_samples import SAMPLES_A_SECOND, Sample
from proxy.observe.connection_log import Connection, ConnectionLog
from proxy.observe.live import LiveState, ReloadState
from proxy.observe.metrics import Metrics, RouteSeries
from proxy.observe.record import RefusedRequest, RequestRecord
from proxy.observe.request_spans import RequestSpans
from proxy.observe.snapshot import Snapshot
from proxy.observe.tail import LEASE_SECONDS, Tail, TailBatch
from proxy.rules.request import RequestView
from proxy.runtime import Listener, Runtime, carry_over, serving_rules, weights
from proxy.targets.group import TargetGroup
from proxy.targets.health import ROUTABLE_STATES
from proxy.targets.target import HealthState

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 1.0
"""How often connections are looked at for timeouts: the coarseness of every timeout here."""
TARGET_IDLE_SECONDS: Final = 60.0
"""How long a connection to a target is kept without a request; targets close theirs earlier or later."""
SERVER_LINE: Final = b"Server: awselb/2.0\r\n"


class Gateway:
    """Takes requests from the doors, holds the runtime, keeps the time.

    Args:
        runtime: The first table.
        access_log: Where each record goes besides the metrics, if anywhere.
        connection_log: Where each client connection goes when it closes, if anywhere.
        spans: Makes spans of the records, if anybody wants them.
        transactions: Names and measures the requests; by default it learns, and keeps nothing.
        sealer: Seals the cookies of stickiness and of logins; by default with a key of its own.
        draw: A number in [0, 1) for weighted choices.
    """

    def __init__(
        self,
        runtime: Runtime,
        metrics: Metrics,
        *,
        access_log: AccessLog | None = None,
        connection_log: ConnectionLog | None = None,
        spans: RequestSpans | None = None,
        transactions: Transactions | None = None,
        sealer: Sealer | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.runtime = runtime
        self.metrics = metrics
        self.access_log = access_log
        self.connection_log = connection_log
        self.spans = spans
        self.transactions = transactions or Transactions(runtime.config.transactions)
        self.sealer = sealer or Sealer(os.urandom(32))
        self.draw = draw
        self.authentication = Authentication(self.sealer, metrics)
        self._tail: Tail | None = None
        self._clients: set[Timed] = set()
        self._clients_ever = 0
        self._sweep: asyncio.TimerHandle | None = None
        self._date = b""
        self._date_until = 0.0
        self._samples: list[Sample] = []
        self._samples_left = SAMPLES_A_SECOND
        metrics.serving(serving_rules(runtime.config))
        metrics.condition_samples.serving(runtime.config.listeners)

    # For the doors

    @property
    def attributes(self) -> LoadBalancerAttributes:
        """The load balancer attributes in force."""
        return self.runtime.config.attributes

    def mitigated(self, exchange: Exchange, mitigated: Mitigated) -> None:
        """Note and count what desync mitigation found in the request of this exchange."""
        listener = exchange.listener
        if mitigated.severity:
            exchange.classification = mitigated.severity.label
            exchange.classification_reason = mitigated.reason
            self.metrics.noncompliant(listener, exchange.classification, exchange.classification_reason)
        if mitigated.dropped_names:
            self.invalid_names(exchange, dropped=True)
        if mitigated.forwarded_names:
            self.invalid_names(exchange, dropped=False)

    def invalid_names(self, exchange: Exchange, *, dropped: bool) -> None:
        """Count a request with header names that the load balancer calls invalid (alb.md 6.4)."""
        self.metrics.invalid_header(exchange.listener, "dropped" if dropped else "forwarded")

    def exchange(
        self,
        client: Client,
        port: int,
        view: RequestView,
        block: bytes,
        length: int,
        *,
        protocol: bytes,
        upgrade: bool,
        ambiguous: bool,
        head_bytes: int,
        received_at: float,
    ) -> RequestExchange:
        """An exchange for this request, not yet run; see `proxy.listen.client.Gate`."""
        runtime = self.runtime
        listener = runtime.by_port.get(port) or runtime.listener_at(port)
        if listener is None:
            # A connection of a listener that a reload removed: its last table is gone, so it is refused.
            listener = next(iter(runtime.by_port.values()))
        exchange = RequestExchange(self, client, listener, runtime, view, block, length, protocol, upgrade, ambiguous)
        exchange.received_at = received_at
        exchange.started_at = time.time()
        exchange.request_bytes = head_bytes
        return exchange

    def refuse(self, client: Client, port: int, error: ClientError, head: bytes, received_at: float) -> None:
        """Answer and record what is no request; the door closes afterwards."""
        runtime = self.runtime
        listener = runtime.listener_at(port)
        record = RefusedRequest()
        record.started_at = time.time()
        record.received_at = received_at
        record.listener = listener.name if listener else ""
        record.client = client.peer
        record.client_port = client.client_port
        record.conn_trace_id = client.conn_trace_id
        record.tls = client.tls
        record.port = port
        record.head = head
        record.method, record.protocol = _first_and_last_word(head)
        record.request_bytes = len(head)
        record.status = error.status
        record.reason = error.reason
        if error.classification:
            record.classification = error.classification
            record.classification_reason = error.classification_reason
            self.metrics.noncompliant(record.listener, error.classification, error.classification_reason)
        body = page(error.status)
        block = self.answer_block(PAGE_HEADERS, len(body), listener)
        sent = b"" if record.method == b"HEAD" else body
        record.response_bytes = client.start(error.status, REASONS[error.status].encode(), block, len(body), sent, True)
        record.ended_at = time.perf_counter()
        record.overhead = record.ended_at - received_at
        self.note(error, record)
        self.record(record, listener.unmatched_series() if listener else None)

    def connected(self, client: Timed) -> None:
        self._clients.add(client)
        self._clients_ever += 1

    def disconnected(self, client: Timed) -> None:
        self._clients.discard(client)

    def connection_ended(self, connection: Connection) -> None:
        if self.connection_log is not None:
            self.connection_log.record(connection)

    # For the exchange

    def answer_block(
        self, headers: tuple[tuple[bytes, bytes], ...], length: int | None, listener: Listener | None
    ) -> bytes:
        """Header lines of an answer of the gateway's own (alb.md 8); a 204 has no `length` (RFC 9110 8.6)."""
        lines = b"".join([b"%s: %s\r\n" % header for header in headers])
        if length is not None:
            lines += b"Content-Length: %d\r\n" % length
        server = b"" if listener is not None and not listener.config.attributes.server_header else SERVER_LINE
        block = b"%sDate: %s\r\n%s" % (server, self._now(), lines)
        if listener is not None and listener.response_headers is not None:
            block = listener.response_headers.set_in(block)
        return block

    def page(self, status: int) -> bytes:
        """The body of an error answer."""
        return page(status)

    def note(self, error: GatewayError, record: RequestRecord) -> None:
        """Tell an operator why the gateway answered by itself; the metrics count it, too."""
        logger.debug("%s %s: %s", record.method.decode("latin-1"), error.reason, error)

    def record(self, record: RequestRecord, series: RouteSeries | None) -> None:
        """Step 7: count a request that has ended, and log it."""
        if series is None:
            listener = self.runtime.listeners.get(record.listener)
            series = listener.unmatched_series() if listener else self.metrics.series(record.listener, "", "")
        series.record(record)
        if self._samples_left:
            self._samples_left -= 1
            self._samples.append((record.listener, record.rule, record.view, record.started_at))
        if record.target_group:
            self.transactions.demand.note(record)
        if self.access_log is not None:
            self.access_log.record(record)
        if self._tail is not None:
            self._tail.record(record)
        if self.spans is not None and record.view is not None:
            name = record.hint or self.transactions.namer.find(record.method, record.view.path)
            self.spans.record(record, name or "")

    def _now(self) -> bytes:
        now = time.time()
        if now >= self._date_until:
            self._date = formatdate(now, usegmt=True).encode()
            self._date_until = int(now) + 1.0
        return self._date

    # Table and time

    def replace(self, runtime: Runtime) -> None:
        """Put a new table in force between two requests; requests in flight end under the old one."""
        carry_over(runtime, self.runtime)
        self._count_samples()
        self.runtime = runtime
        self.metrics.serving(serving_rules(runtime.config))
        self.metrics.condition_samples.serving(runtime.config.listeners)
        self.authentication.serving(runtime.config)
        self.transactions.serving(runtime.config.transactions)

    def start(self) -> None:
        """Begin to keep the time; needs a running event loop."""
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._keep_time)

    def stop(self) -> None:
        """Stop keeping the time and close the connections to targets."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        self.transactions.save()
        for group in self.runtime.groups.values():
            for target in group.targets:
                if isinstance(target.pool, TargetPool):
                    target.pool.retire()

    def _count_samples(self) -> None:
        """Look at the requests that were kept for it; a few milliseconds at the very most."""
        samples, self._samples = self._samples, []
        self._samples_left = SAMPLES_A_SECOND
        self.metrics.condition_samples.count(samples)

    def _keep_time(self) -> None:
        now = time.perf_counter()
        if self._tail is not None and now > self._tail.until:
            self._tail = None
        self._count_samples()
        attributes = self.runtime.config.attributes
        idle_timeout = attributes.idle_timeout_seconds
        keep_alive = attributes.client_keep_alive_seconds
        for client in list(self._clients):
            client.check_time(now, idle_timeout, keep_alive)
        for group in self.runtime.groups.values():
            group.tend()
            for target in group.targets:
                if isinstance(target.pool, TargetPool):
                    target.pool.close_idle(now - TARGET_IDLE_SECONDS)
                    if target.state is HealthState.DRAINING:
                        target.pool.give_up_connecting()
        self.transactions.tick()
        self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._keep_time)

    # What is seen of it

    def live_state(self, reload: ReloadState) -> LiveState:
        """The gauges of this moment."""
        groups = self.runtime.groups
        return LiveState(
            groups={
                name: [(target.id, target.state in ROUTABLE_STATES, target.in_flight) for target in group.targets]
                for name, group in groups.items()
            },
            weights=weights(self.runtime.config),
            reload=reload,
            access_log_dropped=self.access_log.dropped if self.access_log else 0,
            connection_log_dropped=self.connection_log.dropped if self.connection_log else 0,
            spans_dropped=self.spans.dropped if self.spans else 0,
            client_connections=(len(self._clients), self._clients_ever),
            target_connections={
                name: sum(target.pool.count for target in group.targets if isinstance(target.pool, TargetPool))
                for name, group in groups.items()
            },
            target_states=_target_states(groups),
            target_types={name: group.config.target_type for name, group in groups.items()},
            fail_open={name: group.fail_open for name, group in groups.items()},
            unhealthy_routing_requests={name: group.unhealthy_routing_requests for name, group in groups.items()},
            anomalies={
                name: (
                    sum(target.is_anomalous for target in group.targets),
                    sum(target.mitigated_share < 1 for target in group.targets),
                )
                for name, group in groups.items()
            },
            nonsticky_requests={
                (name, stickiness.type): group.nonsticky_requests
                for name, group in groups.items()
                if (stickiness := group.config.attributes.stickiness) is not None
            },
        )

    def take_tail(self) -> TailBatch:
        """The requests since the call before, or rather a sample of them; from the first call on they are kept."""
        until = time.perf_counter() + LEASE_SECONDS
        if self._tail is None:
            self._tail = Tail(until)
        return self._tail.take(until)

    def metrics_snapshot(self, reload: ReloadState) -> Snapshot:
        """Every metric of this process as plain data."""
        self._count_samples()
        own, named = self.metrics.snapshot(self.live_state(reload)), self.transactions.snapshot()
        return {
            "values": own["values"] | named["values"],
            "distributions": own["distributions"] | named["distributions"],
        }


def _target_states(groups: Mapping[str, TargetGroup]) -> dict[tuple[str, str], int]:
    """Targets by group and state; a group without a healthy or without an unhealthy one says so with a 0."""
    counts: dict[tuple[str, str], int] = {}
    for name, group in groups.items():
        counts[name, HealthState.HEALTHY.value] = counts[name, HealthState.UNHEALTHY.value] = 0
        for target in group.targets:
            key = (name, target.state.value)
            counts[key] = counts.get(key, 0) + 1
    return counts


def _first_and_last_word(head: bytes) -> tuple[bytes, bytes]:
    """Method and version of a head that is not well-formed, as far as they can be told."""
    words = head[:256].split(b"\r\n", 1)[0].split(b" ")
    version = words[-1] if len(words) > 2 and words[-1].startswith(b"HTTP/") else b""
    return (words[0] if len(words) > 1 else b""), version
