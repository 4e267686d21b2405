"""A workload as the admin API shows it: one entry a transaction and target group, most time first."""

from __future__ import annotations

import math
from typing import Any

from proxy.carveout.cpu import cpu_shares
from proxy.carveout.naming import Namer
from proxy.carveout.workload import FINE_BUCKETS, TransactionLoad, Workload


def transactions_report(workload: Workload, now: float) -> dict[str, Any]:
    """The document of `/api/transactions`: seconds as floats, shares from 0 to 1, null for what is not known.

    Shares are of all transactions of the target group.

    Args:
        now: Seconds since the epoch.
    """
    seconds = max(min(now, workload.started_at + workload.window_seconds * workload.window_count), 0.0)
    seconds = max(seconds - workload.started_at, 1.0)
    demands = {(load.name, load.target_group): _demand_seconds(load) for load in workload.transactions}
    totals: dict[str, tuple[float, float]] = {}
    for load in workload.transactions:
        busy, demand = totals.get(load.target_group, (0.0, 0.0))
        totals[load.target_group] = busy + load.seconds, demand + demands[load.name, load.target_group]
    cpu = {group: _cpu_shares(workload, group) for group in totals}
    entries = [
        _entry(load, seconds, demands[load.name, load.target_group], totals[load.target_group])
        | {"cpu_share": cpu[load.target_group].get(load.name)}
        for load in workload.transactions
    ]
    entries.sort(key=lambda entry: (-entry["time_share"], entry["name"]))
    return {"window": {"seconds": seconds, "since": workload.started_at}, "transactions": entries}


def _demand_seconds(load: TransactionLoad) -> float:
    """Requests times their latency in quiet moments; times their mean where there were none (docs/candidates.md)."""
    quiet = sum(window.quiet_requests for window in load.windows.values())
    if not quiet:
        return load.seconds
    return load.requests * sum(window.quiet_seconds for window in load.windows.values()) / quiet


def _entry(load: TransactionLoad, seconds: float, demand: float, totals: tuple[float, float]) -> dict[str, Any]:
    requests = load.requests
    timed = sum(load.counts)
    busy, quiet = load.seconds, sum(window.quiet_requests for window in load.windows.values())
    mean = busy / timed if timed else 0.0
    variance = max(load.squared_seconds / timed - mean * mean, 0.0) if timed else 0.0
    return {
        "name": load.name,
        "target_group": load.target_group,
        "requests": requests,
        "rate": requests / seconds,
        "mean": mean,
        "p50": load.percentile(0.5),
        "p95": load.percentile(0.95),
        "p99": load.percentile(0.99),
        "quiet_mean": sum(window.quiet_seconds for window in load.windows.values()) / quiet if quiet else None,
        "time_share": _share(busy, totals[0]),
        "demand_share": _share(demand, totals[1]),
        "tail_pain": load.slow_seconds / seconds,
        "first_byte_mean": load.first_byte_seconds / timed if timed else 0.0,
        "request_bytes": load.request_bytes,
        "response_bytes": load.response_bytes,
        "bandwidth": (load.request_bytes + load.response_bytes) / seconds,
        "error_rate": _share(load.errors, requests),
        "client_error_rate": _share(load.client_errors, requests),
        "variability": math.sqrt(variance) / mean if mean else 0.0,
        "write_share": _share(load.writes, requests),
        "in_flight": busy / seconds,
        "streams": load.streams,
        "database_share": _share(load.database_seconds, busy) if load.database_seconds else None,
        "histogram": {"bounds": list(FINE_BUCKETS), "counts": load.counts},
        "neighbours": load.neighbours,
        "last_hit": load.last_hit,
    }


def _cpu_shares(workload: Workload, target_group: str) -> dict[str, float]:
    """As the target reports it (`Server-Timing: cpu`), else by regression; empty when neither says anything."""
    reported = {
        load.name: sum(window.cpu_seconds for window in load.windows.values())
        for load in workload.transactions
        if load.target_group == target_group
    }
    total = sum(reported.values())
    if total:
        return {name: seconds / total for name, seconds in reported.items()}
    return cpu_shares(workload, target_group)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def names_report(namer: Namer) -> dict[str, Any]:
    """The document of `/api/transactions/names`, to be reviewed: what names there are, and which changed."""
    return {
        "names": [
            {
                "name": template.name,
                "source": template.source,
                "requests": template.requests,
                "regex": template.regex,
            }
            for template in namer.templates()
        ],
        "overflow": namer.overflow,
        "renames": [{"at": rename.at, "old": rename.old, "new": rename.new} for rename in namer.renames],
    }
