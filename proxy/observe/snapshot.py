"""A worker's metrics as plain data, and how several workers' become one.

A snapshot can be sent as JSON from one process to another. Its shape is that of the families, so that a new
metric needs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict

from proxy.observe.families import FAMILIES, Family


class Value(TypedDict):
    """One sample of a counter or a gauge."""

    labels: list[str]
    value: float


class Distribution(TypedDict):
    """One histogram. `counts` are per bucket, not cumulated, with the one for +Inf at the end."""

    labels: list[str]
    counts: list[int]
    sum: float


class Snapshot(TypedDict):
    """Samples by the family's name; a family without samples may be absent."""

    values: dict[str, list[Value]]
    distributions: dict[str, list[Distribution]]


def empty() -> Snapshot:
    """A snapshot of nothing."""
    return {"values": {}, "distributions": {}}


def merge(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Return what all workers did together.

    Counters and histograms are summed, gauges joined as their family says. Sums never go back as long as the
    caller keeps `remains` of a worker that ended among the snapshots.
    """
    merged = empty()
    for family in FAMILIES:
        if family.kind == "histogram":
            distributions = _add_up(snapshot["distributions"].get(family.name, ()) for snapshot in snapshots)
            if distributions:
                merged["distributions"][family.name] = distributions
        else:
            values = _join(family, (snapshot["values"].get(family.name, ()) for snapshot in snapshots))
            if values:
                merged["values"][family.name] = values
    return merged


def remains(snapshot: Snapshot) -> Snapshot:
    """Return what still counts of a worker that has ended: not its health, weights and requests in flight."""
    lasting = {family.name for family in FAMILIES if family.outlives}
    return {
        "values": {name: values for name, values in snapshot["values"].items() if name in lasting},
        "distributions": snapshot["distributions"],
    }


def _join(family: Family, parts: Iterable[Iterable[Value]]) -> list[Value]:
    joined: dict[tuple[str, ...], float] = {}
    for part in parts:
        for sample in part:
            labels = tuple(sample["labels"])
            value = sample["value"]
            if labels not in joined:
                joined[labels] = value
            elif family.merge == "sum":
                joined[labels] += value
            else:
                joined[labels] = (max if family.merge == "max" else min)(joined[labels], value)
    return [{"labels": list(labels), "value": value} for labels, value in joined.items()]


def _add_up(parts: Iterable[Iterable[Distribution]]) -> list[Distribution]:
    added: dict[tuple[str, ...], Distribution] = {}
    for part in parts:
        for sample in part:
            labels = tuple(sample["labels"])
            before = added.get(labels)
            if before is None:
                added[labels] = {
                    "labels": list(labels),
                    "counts": list(sample["counts"]),
                    "sum": sample["sum"],
                }
            else:
                before["counts"] = [a + b for a, b in zip(before["counts"], sample["counts"], strict=True)]
                before["sum"] += sample["sum"]
    return list(added.values())
