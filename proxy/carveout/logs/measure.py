"""A workload from an engine that knows `parsed`: learn the names on a sample, then let it add up."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from proxy.carveout.logs import queries
from proxy.carveout.logs.names import Naming, learn
from proxy.carveout.logs.problems import LogError
from proxy.carveout.workload import TransactionLoad, WindowLoad, Workload

WINDOW_CHOICES: Final = (10, 30, 60, 300, 900, 3600, 14400, 86400)
"""Seconds; the shortest that makes no more than `MOST_WINDOWS` of them."""
MOST_WINDOWS: Final = 2000
MOST_NEIGHBOURS: Final = 16

_SAMPLE: Final = 200_000
_SESSION_REQUESTS: Final = 1_000_000
_CHUNK_US: Final = 900 * 1_000_000
_QUIET_SHARE: Final = 0.25
_PAUSE_US: Final = 1800 * 1_000_000


class Engine(Protocol):
    """Where the queries run. Queries are DuckDB's SQL; the engine says them in its own words."""

    def define(self, name: str, query: str, *, keep: bool = False) -> None:
        """Make the result of a query known as `name`; `keep` it if it is read several times and room is at hand."""

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Run a query, a few rows at a time."""

    def names(self, naming: Naming) -> str:
        """An SQL expression for the name of a row with `method` and `path`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to measure.

    Attributes:
        objective_seconds: The latency objective that tail pain is over.
        window_seconds: Length of a window; 0 to choose by how long the log is.
        target_group: Name for what lines without one belong to.
        source: What the workload says that it was read from.
    """

    objective_seconds: float = 1.0
    window_seconds: float = 0
    target_group: str = "monolith"
    source: str = "logs"


@dataclass(frozen=True, slots=True)
class Overview:
    """Lines in all, those that could be read, those of requests that a target was asked, and when these ended."""

    lines: int
    told: int
    asked: int
    first_us: int
    last_us: int


def overview(engine: Engine) -> Overview:
    """Count; raise LogError if there is nothing to measure."""
    lines, told, asked, first, last = next(engine.rows(queries.OVERVIEW))
    if not told:
        raise LogError(f"none of the {lines or 0} lines can be read: is it the log that --format says?")
    if not asked:
        raise LogError(f"no target was asked in any of the {told} requests: there is nothing to carve out")
    return Overview(lines, told, asked, first, last)


def measure(
    engine: Engine, naming: Naming, settings: Settings, seen: Overview, step: Callable[[str], None] = lambda _: None
) -> Workload:
    """Learn the names, name all requests, and add up.

    Args:
        step: Called with what begins now, for whoever waits.
    """
    step("learning names")
    sample = engine.rows(queries.SAMPLE.format(below=_below(_SAMPLE / seen.asked), limit=2 * _SAMPLE))
    learn(naming, [(method, path, int(status), client) for method, path, status, client in sample])

    window = settings.window_seconds or _window(seen)
    window_us = round(window * 1e6)
    origin_us = seen.first_us // window_us * window_us
    step("naming requests")
    named = queries.NAMED.format(name=engine.names(naming), origin_us=origin_us, window_us=window_us)
    engine.define("named", named, keep=True)

    workload = Workload(
        started_at=origin_us / 1e6,
        window_seconds=window,
        window_count=(seen.last_us - origin_us) // window_us + 1,
        objective_seconds=settings.objective_seconds,
        source=settings.source,
    )
    collected = _Collector(settings.target_group)
    step("adding up")
    collected.totals(engine.rows(queries.TOTALS.format(objective_us=round(settings.objective_seconds * 1e6))))
    collected.windows(engine.rows(queries.WINDOWS))
    step("finding quiet moments")
    engine.define("marks", queries.MARKS.format(chunk_us=_CHUNK_US))
    engine.define("chunks", queries.CHUNKS, keep=True)
    engine.define("arrivals", queries.ARRIVALS, keep=True)
    collected.quiet(engine.rows(queries.QUIET.format(share=_QUIET_SHARE)))
    step("following sessions")
    below = _below(_SESSION_REQUESTS / seen.asked)
    collected.sessions(engine.rows(queries.SESSIONS.format(below=below)))
    collected.neighbours(engine.rows(queries.NEIGHBOURS.format(below=below, pause_us=_PAUSE_US)))
    workload.transactions = collected.transactions()
    return workload


class _Collector:
    """Puts the rows of the queries together, by name and target group."""

    def __init__(self, default_group: str) -> None:
        self._default = default_group
        self._loads: dict[tuple[str, str], TransactionLoad] = {}

    def load(self, name: str, target_group: str) -> TransactionLoad:
        key = (name, target_group or self._default)
        found = self._loads.get(key)
        if found is None:
            found = self._loads[key] = TransactionLoad(*key)
        return found

    def window(self, name: str, target_group: str, index: int) -> WindowLoad:
        return self.load(name, target_group).windows.setdefault(int(index), WindowLoad())

    def totals(self, rows: Iterator[tuple[Any, ...]]) -> None:
        for name, group, bucket, count, *sums in rows:
            first_byte, squared, slow, received, sent, errors, client_errors, writes, last_us = sums
            load = self.load(name, group)
            load.request_bytes += int(received)
            load.response_bytes += int(sent)
            load.errors += int(errors)
            load.client_errors += int(client_errors)
            load.writes += int(writes)
            load.last_hit = max(load.last_hit, int(last_us) / 1e6)
            if bucket < 0:
                load.streams += int(count)
                continue
            load.counts[bucket] += int(count)
            load.first_byte_seconds += int(first_byte) / 1e6
            load.squared_seconds += float(squared)
            load.slow_seconds += int(slow) / 1e6

    def windows(self, rows: Iterator[tuple[Any, ...]]) -> None:
        for name, group, index, count, lasted in rows:
            window = self.window(name, group, index)
            window.requests += int(count)
            window.seconds += int(lasted) / 1e6

    def quiet(self, rows: Iterator[tuple[Any, ...]]) -> None:
        for name, group, index, count, lasted in rows:
            window = self.window(name, group, index)
            window.quiet_requests += int(count)
            window.quiet_seconds += int(lasted) / 1e6

    def sessions(self, rows: Iterator[tuple[Any, ...]]) -> None:
        for name, group, count in rows:
            self.load(name, group).sessions += int(count)

    def neighbours(self, rows: Iterator[tuple[Any, ...]]) -> None:
        for name, group, neighbour, count in rows:
            neighbours = self.load(name, group).neighbours
            neighbours[neighbour] = neighbours.get(neighbour, 0) + int(count)

    def transactions(self) -> list[TransactionLoad]:
        for load in self._loads.values():
            most = heapq.nlargest(MOST_NEIGHBOURS, load.neighbours.items(), key=lambda item: (item[1], item[0]))
            load.neighbours = dict(most)
        return [self._loads[key] for key in sorted(self._loads)]


def _window(seen: Overview) -> float:
    seconds = (seen.last_us - seen.first_us) / 1e6
    return next((choice for choice in WINDOW_CHOICES if seconds <= choice * MOST_WINDOWS), WINDOW_CHOICES[-1])


def _below(share: float) -> str:
    """A share of hashes as the hexadecimal digits that they are below; `g` is above all of them."""
    return f"{int(share * 16**6):06x}" if share < 1 else "g"
