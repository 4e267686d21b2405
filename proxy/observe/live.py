"""What only the runtime knows: the input to a snapshot that no request leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proxy.config.problem import Problem


@dataclass(frozen=True, slots=True)
class ReloadState:
    """How the last load of `routes.yaml` went.

    Attributes:
        successful: Whether it was good; a bad one leaves the table before it in place.
        timestamp: When, in seconds since the epoch.
        counts: Loads so far by result, `success` and `failure`.
        problems: What was found in the last load; warnings only when it was good.
    """

    successful: bool
    timestamp: float
    counts: Mapping[str, int]
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True)
class LiveState:
    """The runtime at the moment of a scrape.

    Attributes:
        groups: Target group name to (target id, healthy, requests in flight) of each of its targets.
        weights: (listener, rule, target group) to the weight in the table now serving.
        reload: The last load.
        access_log_dropped: Lines that the access log has dropped since the start.
        connection_log_dropped: The same of the connection log.
        spans_dropped: Spans that did not reach the collector.
        client_connections: How many are open, and how many ever were opened.
        target_connections: Target group name to open connections.
        target_states: (target group, state of health) to the number of targets in it.
        target_types: Target group name to `ip`, `lambda` or `event`.
        fail_open: Target group name to whether it sends to targets that are not healthy (alb.md 5.8).
        unhealthy_routing_requests: Target group name to how many requests were ever sent so.
        anomalies: Target group name to how many targets are anomalous, and how many get less for that (alb.md 5.2).
        nonsticky_requests: (target group, type of its stickiness) to how many requests ever got a new target.
    """

    groups: Mapping[str, Sequence[tuple[str, bool, int]]] = field(default_factory=dict)
    weights: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    reload: ReloadState = ReloadState(successful=True, timestamp=0.0, counts={})
    access_log_dropped: int = 0
    connection_log_dropped: int = 0
    spans_dropped: int = 0
    client_connections: tuple[int, int] = (0, 0)
    target_connections: Mapping[str, int] = field(default_factory=dict)
    target_states: Mapping[tuple[str, str], int] = field(default_factory=dict)
    target_types: Mapping[str, str] = field(default_factory=dict)
    fail_open: Mapping[str, bool] = field(default_factory=dict)
    unhealthy_routing_requests: Mapping[str, int] = field(default_factory=dict)
    anomalies: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    nonsticky_requests: Mapping[tuple[str, str], int] = field(default_factory=dict)
