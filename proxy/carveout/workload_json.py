"""A workload as plain data, and how those of several workers become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from proxy.carveout.workload import TransactionLoad, WindowLoad, Workload

_WINDOW_FIELDS: Final = tuple(each.name for each in fields(WindowLoad))
_PLAIN_FIELDS: Final = tuple(each.name for each in fields(TransactionLoad) if each.name != "windows")


def workload_to_json(workload: Workload) -> dict[str, Any]:
    """What `json.dumps` takes and `workload_from_json` reads; windows are lists, the index first."""
    return {
        "started_at": workload.started_at,
        "window_seconds": workload.window_seconds,
        "window_count": workload.window_count,
        "objective_seconds": workload.objective_seconds,
        "transactions": [_load_to_json(load) for load in workload.transactions],
        "cpu_seconds": workload.cpu_seconds,
        "source": workload.source,
        "workers": workload.workers,
    }


def _load_to_json(load: TransactionLoad) -> dict[str, Any]:
    windows = [
        [index, *(getattr(window, name) for name in _WINDOW_FIELDS)] for index, window in sorted(load.windows.items())
    ]
    return {name: getattr(load, name) for name in _PLAIN_FIELDS} | {"windows": windows}


def workload_from_json(data: Mapping[str, Any]) -> Workload:
    """The workload that `workload_to_json` wrote."""
    transactions = [
        TransactionLoad(**{**load, "windows": {index: WindowLoad(*values) for index, *values in load["windows"]}})
        for load in data["transactions"]
    ]
    return Workload(**{**data, "transactions": transactions})


def add(workloads: Sequence[Workload]) -> Workload:
    """What all of them saw together, on the coarsest of their windows, which start at multiples of their length.

    Args:
        workloads: At least one.
    """
    width = max(workload.window_seconds for workload in workloads)
    first = min(int(workload.started_at // width) for workload in workloads)
    count = 0
    loads: dict[tuple[str, str], TransactionLoad] = {}
    cpu_seconds: dict[str, dict[int, float]] = {}
    workers: dict[str, int] = {}
    for workload in workloads:
        last = workload.started_at + workload.window_seconds * workload.window_count
        count = max(count, int(-(-last // width)) - first)
        starts = [
            int((workload.started_at + index * workload.window_seconds) // width) - first
            for index in range(workload.window_count)
        ]
        for load in workload.transactions:
            _add_load(loads.setdefault((load.name, load.target_group), _empty(load)), load, starts)
        for group, number in workload.workers.items():
            workers[group] = workers.get(group, 0) + number
        for group, seconds in workload.cpu_seconds.items():
            known = cpu_seconds.setdefault(group, {})
            for index, value in zip(starts, seconds, strict=False):
                known[index] = known.get(index, 0.0) + value
    return replace(
        workloads[0],
        started_at=first * width,
        window_seconds=width,
        window_count=count,
        transactions=list(loads.values()),
        workers=workers,
        cpu_seconds={group: [known.get(index, 0.0) for index in range(count)] for group, known in cpu_seconds.items()},
    )


def _empty(load: TransactionLoad) -> TransactionLoad:
    return TransactionLoad(load.name, load.target_group)


def _add_load(total: TransactionLoad, load: TransactionLoad, starts: Sequence[int]) -> None:
    for name in _PLAIN_FIELDS:
        mine, its = getattr(total, name), getattr(load, name)
        if name == "last_hit":
            total.last_hit = max(mine, its)
        elif isinstance(its, list):
            total.counts = [a + b for a, b in zip(mine, its, strict=True)]
        elif isinstance(its, dict):
            for neighbour, count in its.items():
                mine[neighbour] = mine.get(neighbour, 0) + count
        elif not isinstance(its, str):
            setattr(total, name, mine + its)
    for index, window in load.windows.items():
        sums = total.windows.setdefault(starts[index], WindowLoad())
        for name in _WINDOW_FIELDS:
            setattr(sums, name, getattr(sums, name) + getattr(window, name))
