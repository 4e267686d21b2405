"""The last requests, for somebody who looks on: a bounded sample of them, kept only while it is asked for.

A gateway that nobody looks at has no tail, so that its requests pay one comparison. Each `take` of what was collected
keeps the tail for `LEASE_SECONDS` more: whoever looks on has nothing to close, and may crash.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Final, TypedDict

from proxy.observe.record import METHOD_LIMIT, RequestRecord, total_seconds

SAMPLE: Final = 40
"""Requests kept between two takes, of however many there were."""
LEASE_SECONDS: Final = 5.0
"""How long a tail is kept that nobody takes from."""
PATH_LIMIT: Final = 512
"""Bytes of a path that are shown."""


class TailEntry(TypedDict):
    """One request as it is shown: no query, no header, no cookie, no client address."""

    at: float
    method: str
    path: str
    has_query: bool
    status: int
    seconds: float
    overhead: float
    listener: str
    rule: str
    target_group: str
    target: str
    response_bytes: int
    reason: str


class TailBatch(TypedDict):
    """What came since the take before: how many requests there were, and a fair sample of them in order."""

    seen: int
    entries: list[TailEntry]


class Tail:
    """Collects a sample of the requests that end.

    Args:
        until: The moment, by the caller's clock, from which on it may be let go.
        pick: A whole number from 0 up to its argument, exclusive.
    """

    def __init__(self, until: float, pick: Callable[[int], int] = random.randrange) -> None:
        self.until = until
        self._pick = pick
        self._seen = 0
        self._entries: list[TailEntry] = []

    def record(self, record: RequestRecord) -> None:
        """Note one request that has ended, or not: each has the same chance (reservoir sampling, algorithm R)."""
        self._seen += 1
        if len(self._entries) < SAMPLE:
            self._entries.append(entry(record))
            return
        place = self._pick(self._seen)
        if place < SAMPLE:
            self._entries[place] = entry(record)

    def take(self, until: float) -> TailBatch:
        """Return what was collected, and begin anew."""
        self.until = until
        batch = TailBatch(seen=self._seen, entries=sorted(self._entries, key=_moment))
        self._seen, self._entries = 0, []
        return batch


def nothing() -> TailBatch:
    """A batch without requests."""
    return {"seen": 0, "entries": []}


def join(batches: Iterable[TailBatch]) -> TailBatch:
    """What several workers saw, in order."""
    joined = nothing()
    for batch in batches:
        joined["seen"] += batch["seen"]
        joined["entries"] += batch["entries"]
    joined["entries"].sort(key=_moment)
    return joined


def entry(record: RequestRecord) -> TailEntry:
    """What is shown of a request. A path stands as the rules saw it, each byte as the character of the same number."""
    view = record.view
    path = view.path if view is not None else b""
    return {
        "at": record.started_at,
        "method": record.method[:METHOD_LIMIT].decode("latin-1"),
        "path": path[:PATH_LIMIT].decode("latin-1"),
        "has_query": bool(view is not None and view.query),
        "status": record.status,
        "seconds": round(total_seconds(record), 6),
        "overhead": round(record.overhead, 6),
        "listener": record.listener,
        "rule": record.rule,
        "target_group": record.target_group,
        "target": record.target_id,
        "response_bytes": record.response_bytes,
        "reason": record.reason,
    }


def _moment(entry: TailEntry) -> float:
    return entry["at"]
