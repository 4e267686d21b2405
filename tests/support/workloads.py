"""Workloads made by hand."""

from __future__ import annotations

from typing import Any

from proxy.carveout.workload import TransactionLoad, WindowLoad, Workload, bucket_of

DAYS_OF_HOURS = 48


def transaction(
    name: str,
    *,
    each: int = 100,
    mean: float = 0.1,
    work: float | None = None,
    group: str = "monolith",
    windows: int = DAYS_OF_HOURS,
    **attributes: Any,
) -> TransactionLoad:
    """`each` requests of `mean` seconds in every window, of which `work` seconds are work."""
    load = TransactionLoad(name, group, **attributes)
    for index in range(windows):
        worked = each * (mean if work is None else work)
        load.windows[index] = WindowLoad(each, each * mean, worked_seconds=worked)
    load.counts[bucket_of(mean)] = each * windows
    load.squared_seconds = each * windows * mean * mean * 1.5
    load.first_byte_seconds = attributes.get("first_byte_seconds", each * windows * mean)
    return load


def workload(*transactions: TransactionLoad, windows: int = DAYS_OF_HOURS, seconds: float = 3600.0) -> Workload:
    return Workload(1_700_000_000.0, seconds, windows, 1.0, list(transactions), source="test")
