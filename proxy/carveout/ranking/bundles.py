"""Which transactions must move together: those that sessions go through in a row, and those of one resource."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
    ties = _Ties(busiest, step_popularity(rows))
    pairs = ((one, other) for one in range(len(busiest)) for other in range(one + 1, len(busiest)))
    average = {pair: pull for pair in pairs if (pull := ties.pull(*pair)) > 0.0}
    groups = [[number] for number in range(len(busiest))]
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
    requests = [row.requests for row in busiest]
    bundles = [sorted(group, key=lambda number: (-requests[number], number)) for group in groups if len(group) > 1]
    return [_bundle(busiest, group, ties) for group in bundles]


class _Ties:
    """What pulls transactions together; each is looked at once."""

    def __init__(self, rows: Sequence[TransactionLoad], popularity: Mapping[str, float]) -> None:
        self._popularity = popularity
        self._steps = [sum(count for name, count in row.neighbours.items() if name != row.name) for row in rows]
        splits = [split_name(row.name) for row in rows]
        self.resources = [resource_of(split[1]) if split else None for split in splits]
        self.writes = [split is not None and split[0] not in _SAFE for split in splits]
        self._rows = rows

    def pull(self, one: int, other: int) -> float:
        """From 0 to 1."""
        together = max(self.follows(one, other), self.follows(other, one))
        if self.resources[one] is not None and self.resources[one] == self.resources[other]:
            together += SAME_RESOURCE
            if self.writes[one] != self.writes[other]:
                together += WRITES_WHAT_IS_READ
        return min(together, 1.0)

    def follows(self, one: int, other: int) -> float:
        """The share of sessions' next steps from `one` that lead to `other`, beyond what its popularity explains."""
        if self._steps[one] < LEAST_TRANSITIONS:
            return 0.0
        name = self._rows[other].name
        steps = self._rows[one].neighbours.get(name, 0)
        return max(steps / self._steps[one] - self._popularity.get(name, 0.0), 0.0) if steps else 0.0


def _bundle(rows: Sequence[TransactionLoad], group: Sequence[int], ties: _Ties) -> Bundle:
    why = []
    for one in group:
        for other in group:
            share = ties.follows(one, other) if one != other else 0.0
            if share >= TOGETHER:
                why.append(f"{share:.0%} of sessions go from {rows[one].name} to {rows[other].name} next")
    for resource in sorted({name for number in group if (name := ties.resources[number]) is not None}):
        of_it = [number for number in group if ties.resources[number] == resource]
        writers = [rows[number].name for number in of_it if ties.writes[number]]
        readers = [rows[number].name for number in of_it if not ties.writes[number]]
        if writers and readers:
            why.append(f"{_some(writers)} writes what {_some(readers)} reads")
        elif len(of_it) > 1:
            why.append(f"{len(of_it)} transactions share the resource {resource}")
    return Bundle(tuple(rows[number] for number in group), tuple(why))


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"
