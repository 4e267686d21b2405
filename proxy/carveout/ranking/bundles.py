"""Which transactions must move together: those that sessions go through in a row, and those of one resource."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proxy.carveout.ranking.signals import LEAST_TRANSITIONS, step_popularity
from proxy.carveout.workload import TransactionLoad

MOST_BUNDLED: Final = 200
"""Transactions that are compared with one another."""
TOGETHER: Final = 0.5
"""Groups whose members pull on one another at least this strongly on average belong together."""
SAME_RESOURCE: Final = 0.4
"""Two transactions of one resource: the same data, most likely."""
WRITES_WHAT_IS_READ: Final = 0.4
"""On top, when one writes and one reads: apart, the reader would not see what was written."""

_GENERIC = re.compile(r"api|rest|rpc|public|internal|v[0-9]+(\.[0-9]+)?", re.IGNORECASE)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """Transactions that belong together, most used first, and the reasons why."""

    rows: tuple[TransactionLoad, ...]
    why: tuple[str, ...]


def split_name(name: str) -> tuple[str, str] | None:
    """Method and templated path; None for names that are no path, such as `{other}`."""
    method, _, path = name.partition(" ")
    return (method, path) if path.startswith("/") else None


def resource_of(path: str) -> str | None:
    """The path up to what it is about: `/api/orders` of `/api/orders/{id}/items`; None when that is a parameter."""
    kept = []
    for segment in path.split("/")[1:]:
        if not segment or "{" in segment:
            return None
        kept.append(segment)
        if not _GENERIC.fullmatch(segment):
            return "/" + "/".join(kept)
    return None


def find_bundles(rows: Sequence[TransactionLoad]) -> list[Bundle]:
    """Bundles of two and more among the transactions of one monolith, by average-linkage clustering.

    Average and not single linkage: a chain of weak ties does not make one bundle of the whole site.
    """
    named = [row for row in rows if split_name(row.name)]
    busiest = sorted(named, key=lambda row: (-row.seconds, row.name))[:MOST_BUNDLED]
    popularity = step_popularity(rows)
    pulls = {
        (one, other): _pull(busiest[one], busiest[other], popularity)
        for one in range(len(busiest))
        for other in range(one + 1, len(busiest))
    }
    groups = [[number] for number in range(len(busiest))]
    average = {pair: pull for pair, pull in pulls.items() if pull > 0.0}
    while average:
        (one, other), strongest = max(average.items(), key=lambda item: (item[1], -item[0][0], -item[0][1]))
        if strongest < TOGETHER:
            break
        sizes = len(groups[one]), len(groups[other])
        groups[one] += groups[other]
        groups[other] = []
        for third in range(len(groups)):
            if groups[third] and third != one:
                pair, gone = (min(one, third), max(one, third)), (min(other, third), max(other, third))
                joined = (average.get(pair, 0.0) * sizes[0] + average.get(gone, 0.0) * sizes[1]) / sum(sizes)
                average.pop(pair, None)
                if joined > 0.0:
                    average[pair] = joined
        average = {pair: pull for pair, pull in average.items() if other not in pair}
    bundles = [sorted(group, key=lambda number: -busiest[number].requests) for group in groups if len(group) > 1]
    return [_bundle([busiest[number] for number in group], popularity) for group in bundles]


def _pull(one: TransactionLoad, other: TransactionLoad, popularity: dict[str, float]) -> float:
    together = max(_follows(one, other, popularity), _follows(other, one, popularity))
    if _same_resource(one, other):
        together += SAME_RESOURCE
        if _writes(one) != _writes(other):
            together += WRITES_WHAT_IS_READ
    return min(together, 1.0)


def _follows(one: TransactionLoad, other: TransactionLoad, popularity: dict[str, float]) -> float:
    """The share of sessions' next steps from `one` that lead to `other`, beyond what its popularity explains."""
    steps = sum(count for name, count in one.neighbours.items() if name != one.name)
    if steps < LEAST_TRANSITIONS:
        return 0.0
    return max(one.neighbours.get(other.name, 0) / steps - popularity.get(other.name, 0.0), 0.0)


def _same_resource(one: TransactionLoad, other: TransactionLoad) -> bool:
    first, second = split_name(one.name), split_name(other.name)
    resource = resource_of(first[1]) if first else None
    return resource is not None and second is not None and resource == resource_of(second[1])


def _writes(row: TransactionLoad) -> bool:
    split = split_name(row.name)
    return split is not None and split[0] not in _SAFE


def _bundle(rows: list[TransactionLoad], popularity: dict[str, float]) -> Bundle:
    why = []
    for index, one in enumerate(rows):
        for other in rows[index + 1 :]:
            for first, second in ((one, other), (other, one)):
                share = _follows(first, second, popularity)
                if share >= TOGETHER:
                    why.append(f"{share:.0%} of sessions go from {first.name} to {second.name} next")
    resources: dict[str, list[TransactionLoad]] = {}
    for row in rows:
        split = split_name(row.name)
        resource = resource_of(split[1]) if split else None
        if resource is not None:
            resources.setdefault(resource, []).append(row)
    for resource, of_it in sorted(resources.items()):
        writers = [row.name for row in of_it if _writes(row)]
        readers = [row.name for row in of_it if not _writes(row)]
        if writers and readers:
            why.append(f"{_some(writers)} writes what {_some(readers)} reads")
        elif len(of_it) > 1:
            why.append(f"{len(of_it)} transactions share the resource {resource}")
    return Bundle(tuple(rows), tuple(why))


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"
