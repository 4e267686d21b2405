"""What each transaction costs, measured while requests pass: plain additions for each, sliding windows of the sums.

    a request ends        Demand.note          finds the cell of its path in a dictionary, adds some numbers to it
    every second          Demand.tick          closes a window of ten seconds, and a block of two hours, when it is over
    somebody asks         Demand.workload      the last 24 hours as one Workload, by the names that hold now

A path that has no name yet is counted apart, and joins its name when there is one: so no request is ever counted under
two names. Everything is bounded: cells, paths that wait, cached paths, windows, blocks.

Source of the signals, and of quiet time (the latency of requests that began while few were served): docs/candidates.md.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from proxy.carveout.cell import BLOCK_SECONDS, BLOCKS, BOUNDS, OLD_WINDOW_SECONDS, WINDOW_SECONDS, Cell
from proxy.carveout.frozen_demand import FrozenCell, FrozenDemand
from proxy.carveout.group_load import MOST_IN_FLIGHT, GroupLoad
from proxy.carveout.naming import OTHER, UNMATCHED
from proxy.carveout.server_timing import server_timing
from proxy.carveout.workload import Workload
from proxy.observe.record import RequestRecord

MAX_CELLS: Final = 4096
MAX_WAITING: Final = 2048
"""Paths without a name that are counted apart."""
WAIT_SECONDS: Final = 120.0
"""How long a path may wait for its name before it is `{unmatched}`."""
MAX_CACHED: Final = 8192
MAX_HINTS: Final = 500
"""Names that targets may give."""
MAX_SAMPLES: Final = 256
"""Requests that are kept between two ticks to learn from."""

SAFE_METHODS: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE"))
"""RFC 9110 9.2.1."""

Key = tuple[bytes, bytes, str]
"""Method, path, target group."""


class Demand:
    """The counts of this process.

    Args:
        find: The name for a method and a path, None when there is none yet.
        objective_seconds: The latency that a request should not exceed.
        parts: Over how many processes of the gateway the requests are spread.
        now: Seconds since the epoch.

    Attributes:
        renamed: Names that are given no more, to what their requests are called now.
        samples: Requests to learn from; whoever does so empties it.
        modulus: One client in so many is in the sample.
    """

    def __init__(
        self,
        find: Callable[[bytes, bytes], str | None],
        *,
        objective_seconds: float = 1.0,
        parts: int = 1,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.objective_seconds = objective_seconds
        self.renamed: dict[str, str] = {}
        self.samples: list[RequestRecord] = []
        self.modulus = 1
        self._parts = parts
        self._hints: set[str] = set()
        self._find = find
        self._now = now
        self._by_path: dict[Key, Cell] = {}
        self._cells: dict[tuple[str, str], Cell] = {}
        self._waiting: dict[Key, Cell] = {}
        self._groups: dict[str, GroupLoad] = {}
        self._window = int(now() // WINDOW_SECONDS)
        self._block = int(now() // BLOCK_SECONDS)
        self._first_window = self._window
        self._closed_blocks = 0

    def note(self, record: RequestRecord) -> None:
        """Count a request of a target group that has ended; between one and two microseconds."""
        view = record.view
        if view is None:
            return
        if len(self.samples) < MAX_SAMPLES and not hash(record.client) % self.modulus:
            self.samples.append(record)
        key = (record.method, view.path, record.target_group)
        cell = self._by_path.get(key)
        if cell is None or record.hint:
            cell = self._cell_of(key, record)
        cell.requests += 1
        status = record.status
        cell.codes[status // 100 % 10] += 1
        cell.request_bytes += record.request_bytes
        cell.response_bytes += record.response_bytes
        cell.last_hit = record.started_at
        if cell.is_write:
            cell.writes += 1
        if status >= 400:
            if status >= 500 or record.reason:
                cell.errors += 1
            else:
                cell.client_errors += 1
        fields = record.response_fields
        if fields is not None:
            if b"set-cookie" in fields:
                cell.sets_cookies += 1
            if b"server-timing" in fields:
                database, cpu = server_timing(fields[b"server-timing"])
                cell.database_seconds += database
                cell.cpu_seconds += cpu
        sent_at = record.sent_at
        if not sent_at:
            return
        if record.tunnel or record.is_stream:
            cell.streams += 1
            return
        head_at = record.head_at
        # What a slow client kept waiting was not the target's time.
        ended_at = head_at if record.client_was_slow and head_at else record.ended_at
        seconds = ended_at - sent_at
        if seconds < 0.0:
            seconds = 0.0
        cell.seconds += seconds
        cell.squared_seconds += seconds * seconds
        cell.counts[bisect_left(BOUNDS, seconds)] += 1
        if head_at > sent_at:
            cell.first_byte_seconds += head_at - sent_at
        if seconds > self.objective_seconds:
            cell.slow_seconds += seconds - self.objective_seconds
        group = cell.group
        in_flight = record.in_flight
        group.counts[in_flight if in_flight < MOST_IN_FLIGHT else MOST_IN_FLIGHT] += 1
        if in_flight <= group.quiet:
            cell.quiet_requests += 1
            cell.quiet_seconds += seconds
        clock = group.clocks.get(record.target_id)
        if clock is None:
            clock = group.clock_of(record.target_id, self._parts)
        worked = clock.ended(record.target_request, record.target_ended, sent_at, sent_at + seconds)
        cell.worked_seconds += worked
        cell.squared_worked_seconds += worked * worked

    def _cell_of(self, key: Key, record: RequestRecord) -> Cell:
        method, path, target_group = key
        hint = record.hint
        if hint and hint not in self._hints:
            if len(self._hints) < MAX_HINTS:
                self._hints.add(hint)
            else:
                hint = record.hint = OTHER
        name = hint or self._find(method, path)
        if name is None:
            cell = self._waiting.get(key)
            if cell is None:
                if len(self._waiting) >= MAX_WAITING:
                    return self.cell(UNMATCHED, target_group, method)
                cell = self._waiting[key] = Cell("", target_group, self._group(target_group), _is_write(method))
                cell.waiting_since = self._now()
        else:
            cell = self.cell(name, target_group, method)
        if not hint:
            if len(self._by_path) >= MAX_CACHED:
                self._by_path.clear()
            self._by_path[key] = cell
        return cell

    def cell(self, name: str, target_group: str, method: bytes) -> Cell:
        """The counts of this transaction; those of `{other}` when there are too many."""
        cell = self._cells.get((name, target_group))
        if cell is None:
            if len(self._cells) >= MAX_CELLS and name not in (OTHER, UNMATCHED):
                return self.cell(OTHER, target_group, method)
            # Of what has no name, GET and POST share a cell: none of it is called a write.
            is_write = name not in (OTHER, UNMATCHED) and _is_write(method)
            cell = self._cells[name, target_group] = Cell(name, target_group, self._group(target_group), is_write)
        return cell

    def _group(self, name: str) -> GroupLoad:
        return self._groups.setdefault(name, GroupLoad())

    @property
    def cells(self) -> list[Cell]:
        """All that have a name."""
        return list(self._cells.values())

    def names_changed(self) -> None:
        """Look the names of all paths up again: those that waited may have one now."""
        self._by_path.clear()
        self._settle_waiting(self._now())

    def _settle_waiting(self, now: float) -> None:
        for key, cell in list(self._waiting.items()):
            method, path, target_group = key
            name = self._find(method, path)
            if name is None and now - cell.waiting_since > WAIT_SECONDS:
                name = UNMATCHED
            if name is not None:
                self.cell(name, target_group, method).absorb(cell)
                del self._waiting[key]
                self._by_path.pop(key, None)

    def tick(self) -> None:
        """Close what is over; to be called every second or so."""
        now = self._now()
        window = int(now // WINDOW_SECONDS)
        if window == self._window:
            return
        self._settle_waiting(now)
        for group in self._groups.values():
            group.judge()
        for cell in self._cells.values():
            cell.close_window(self._window)
        self._window = window
        if int(now // BLOCK_SECONDS) != self._block:
            self._block = int(now // BLOCK_SECONDS)
            self._closed_blocks += 1
            for cell in self._cells.values():
                cell.close_block()
            self._forget_idle()

    def _forget_idle(self) -> None:
        """Let go of what nobody asked for as long as anything is kept."""
        oldest = self._now() - BLOCK_SECONDS * (BLOCKS + 1)
        for key in [key for key, cell in self._cells.items() if cell.last_hit < oldest]:
            del self._cells[key]

    def workload(self) -> Workload:
        """What is known of the last hours, up to now."""
        return self.freeze().workload()

    def freeze(self) -> FrozenDemand:
        """The counts as they are now, to be put together in another thread: that takes a second for many names."""
        window = int(self._now() // WINDOW_SECONDS)
        cells = []
        for cell in self._cells.values():
            cell.close_window(self._window)
            cells.append(FrozenCell(cell.name, cell.target_group, cell.last_hit, list(cell.all_blocks())))
        width = OLD_WINDOW_SECONDS if self._closed_blocks else WINDOW_SECONDS
        oldest = max(self._first_window, (self._block - BLOCKS) * BLOCK_SECONDS // WINDOW_SECONDS)
        workers = {name: found for name, group in self._groups.items() if (found := group.workers) is not None}
        return FrozenDemand(cells, dict(self.renamed), window, oldest, width, self.objective_seconds, workers)


def _is_write(method: bytes) -> bool:
    return method not in SAFE_METHODS
