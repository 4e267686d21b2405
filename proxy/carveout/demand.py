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
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from proxy.carveout.naming import OTHER, UNMATCHED
from proxy.carveout.queueing import NO_POOL, ServiceClock
from proxy.carveout.server_timing import server_timing
from proxy.carveout.workload import FINE_BUCKETS, TransactionLoad, WindowLoad, Workload
from proxy.observe.families import DURATION_BUCKETS
from proxy.observe.record import RequestRecord
from proxy.observe.snapshot import Distribution, Value

WINDOW_SECONDS: Final = 10
OLD_WINDOW_SECONDS: Final = 60
"""Windows of blocks that are over are joined to this length."""
BLOCK_SECONDS: Final = 7200
BLOCKS: Final = 11
"""Blocks that are kept besides the one that is being filled: 22 to 24 hours together."""
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
MAX_NEIGHBOURS: Final = 32
QUIET_SHARE: Final = 0.25
"""A request is quiet that began with no more in flight than a quarter of all did."""
MAX_CLOCKS: Final = 64
"""Targets of a group whose workers are told; each takes 40 KiB."""
MOST_IN_FLIGHT: Final = 255

SAFE_METHODS: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE"))
"""RFC 9110 9.2.1."""
BOUNDS: Final = tuple(sorted({*FINE_BUCKETS, *DURATION_BUCKETS}))
"""Of the histogram that both others are read from: percentiles, and the one that is scraped."""
_TO_FINE: Final = [bisect_left(FINE_BUCKETS, bound) for bound in (*BOUNDS, float("inf"))]
_TO_DURATION: Final = [bisect_left(DURATION_BUCKETS, bound) for bound in (*BOUNDS, float("inf"))]

Key = tuple[bytes, bytes, str]
"""Method, path, target group."""

_SUMS: Final = (
    "first_byte_seconds",
    "squared_seconds",
    "squared_worked_seconds",
    "slow_seconds",
    "request_bytes",
    "response_bytes",
    "errors",
    "client_errors",
    "writes",
    "sets_cookies",
    "streams",
    "database_seconds",
    "sessions",
)
"""Attributes of a cell that are those of a `TransactionLoad`."""
_WINDOW_SUMS: Final = ("requests", "seconds", "quiet_requests", "quiet_seconds", "cpu_seconds", "worked_seconds")
"""Attributes of a cell that are those of a `WindowLoad`."""


class GroupLoad:
    """How many requests a target group's targets have in flight when one begins, and how they work them off."""

    __slots__ = ("clocks", "counts", "quiet")

    def __init__(self) -> None:
        self.clocks: dict[str, ServiceClock] = {}
        self.counts = [0] * (MOST_IN_FLIGHT + 1)
        self.quiet = 1

    def clock_of(self, target_id: str, parts: int) -> ServiceClock:
        """The clock of a target; with too many targets the one that is known longest begins anew."""
        if len(self.clocks) >= MAX_CLOCKS:
            del self.clocks[next(iter(self.clocks))]
        clock = self.clocks[target_id] = ServiceClock(parts)
        return clock

    @property
    def workers(self) -> int | None:
        """How many requests all targets together work on at once; None where one of them has shown no pool."""
        workers = [clock.workers for clock in self.clocks.values()]
        return sum(workers) if workers and max(workers) < NO_POOL else None

    def judge(self) -> None:
        """Let the quiet quarter be that of late; older requests count half at each call."""
        total = sum(self.counts)
        seen = 0
        for in_flight, count in enumerate(self.counts):
            seen += count
            if seen and seen >= QUIET_SHARE * total:
                self.quiet = in_flight
                break
        if total > 1000:
            self.counts = [count // 2 for count in self.counts]


class _Block:
    """What a cell counted in a block that is over, or since it began."""

    __slots__ = ("counts", "neighbours", "sums", "windows")

    def __init__(self, sums: list[float], counts: list[int], windows: array[float], neighbours: dict[str, int]) -> None:
        self.sums = sums
        self.counts = counts
        self.windows = windows
        self.neighbours = neighbours


class Cell:
    """The counts of one transaction at one target group since the start; nothing in it ever goes back."""

    __slots__ = (
        "_block_counts",
        "_block_sums",
        "_window_sums",
        "_windows",
        "blocks",
        "client_errors",
        "codes",
        "counts",
        "cpu_seconds",
        "database_seconds",
        "errors",
        "exposed",
        "first_byte_seconds",
        "group",
        "is_write",
        "last_hit",
        "name",
        "neighbours",
        "quiet_requests",
        "quiet_seconds",
        "request_bytes",
        "requests",
        "response_bytes",
        "seconds",
        "sessions",
        "sets_cookies",
        "slow_seconds",
        "squared_seconds",
        "squared_worked_seconds",
        "streams",
        "target_group",
        "waiting_since",
        "worked_seconds",
        "writes",
    )

    def __init__(self, name: str, target_group: str, group: GroupLoad, is_write: bool) -> None:
        self.name = name
        self.target_group = target_group
        self.group = group
        self.is_write = is_write
        self.codes = [0] * 10
        self.counts = [0] * (len(BOUNDS) + 1)
        self.requests = 0
        self.seconds = 0.0
        self.quiet_requests = 0
        self.quiet_seconds = 0.0
        self.cpu_seconds = 0.0
        self.first_byte_seconds = 0.0
        self.squared_seconds = 0.0
        self.worked_seconds = 0.0
        self.squared_worked_seconds = 0.0
        self.slow_seconds = 0.0
        self.request_bytes = 0
        self.response_bytes = 0
        self.errors = 0
        self.client_errors = 0
        self.writes = 0
        self.sets_cookies = 0
        self.streams = 0
        self.database_seconds = 0.0
        self.sessions = 0
        self.last_hit = 0.0
        self.waiting_since = 0.0
        self.exposed: tuple[int, list[Value], list[Distribution]] | None = None
        """The metrics made of it last, with the number of requests then."""
        self.neighbours: dict[str, int] = {}
        self.blocks: deque[_Block | None] = deque(maxlen=BLOCKS)
        self._windows = array("d")
        self._window_sums: list[float] = [0.0] * len(_WINDOW_SUMS)
        self._block_sums: list[float] = [0.0] * len(_SUMS)
        self._block_counts = [0] * len(self.counts)

    def absorb(self, other: Cell) -> None:
        """Add what was counted while a path waited for its name."""
        for name in (*_WINDOW_SUMS, *_SUMS):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.codes = [mine + its for mine, its in zip(self.codes, other.codes, strict=True)]
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.last_hit = max(self.last_hit, other.last_hit)
        for name, count in other.neighbours.items():
            self.followed_by(name, count)

    def followed_by(self, name: str, count: int = 1) -> None:
        """Note which transaction the same session asked for next."""
        if name in self.neighbours or len(self.neighbours) < MAX_NEIGHBOURS:
            self.neighbours[name] = self.neighbours.get(name, 0) + count

    def close_window(self, index: int) -> None:
        """Put what was counted since the last call into the window of this index."""
        if self.requests != self._window_sums[0]:
            sums = [float(getattr(self, name)) for name in _WINDOW_SUMS]
            windows, width = self._windows, len(sums) + 1
            if not windows or windows[-width] != index:
                windows.append(index)
                windows.extend([0.0] * len(sums))
            for offset, (now, before) in enumerate(zip(sums, self._window_sums, strict=True), 1):
                windows[offset - width] += now - before
            self._window_sums = sums

    def close_block(self) -> None:
        """End a block; call `close_window` first."""
        block = self._since_block()
        block.windows = _joined(block.windows)
        self.blocks.append(block if any(block.sums) or block.windows else None)
        self._windows = array("d")
        self._block_sums = [float(getattr(self, name)) for name in _SUMS]
        self._block_counts = list(self.counts)
        self.neighbours = {}

    def all_blocks(self) -> Iterator[_Block]:
        """Those that are kept, and the one that is being filled."""
        yield from (block for block in self.blocks if block is not None)
        yield self._since_block()

    def _since_block(self) -> _Block:
        sums = [getattr(self, name) - before for name, before in zip(_SUMS, self._block_sums, strict=True)]
        counts = [now - before for now, before in zip(self.counts, self._block_counts, strict=True)]
        return _Block(sums, counts, self._windows[:], dict(self.neighbours))

    @property
    def duration_counts(self) -> list[int]:
        """By `DURATION_BUCKETS`, the last for what is slower."""
        counts = [0] * (len(DURATION_BUCKETS) + 1)
        for index, count in zip(_TO_DURATION, self.counts, strict=True):
            counts[index] += count
        return counts


def _joined(windows: array[float]) -> array[float]:
    """Windows of ten seconds as windows of a minute."""
    width = len(_WINDOW_SUMS) + 1
    joined: array[float] = array("d")
    for start in range(0, len(windows), width):
        index = windows[start] // (OLD_WINDOW_SECONDS // WINDOW_SECONDS)
        if not joined or joined[-width] != index:
            joined.append(index)
            joined.extend([0.0] * (width - 1))
        for offset in range(1, width):
            joined[offset - width] += windows[start + offset]
    return joined


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
            cells.append(_FrozenCell(cell.name, cell.target_group, cell.last_hit, list(cell.all_blocks())))
        width = OLD_WINDOW_SECONDS if self._closed_blocks else WINDOW_SECONDS
        oldest = max(self._first_window, (self._block - BLOCKS) * BLOCK_SECONDS // WINDOW_SECONDS)
        workers = {name: found for name, group in self._groups.items() if (found := group.workers) is not None}
        return FrozenDemand(cells, dict(self.renamed), window, oldest, width, self.objective_seconds, workers)


@dataclass(frozen=True, slots=True)
class _FrozenCell:
    name: str
    target_group: str
    last_hit: float
    blocks: list[_Block]


@dataclass(frozen=True, slots=True)
class FrozenDemand:
    """Counts of one moment; nothing in it changes any more.

    Attributes:
        window, oldest: Indices of the last window and of the first that is kept, both of `WINDOW_SECONDS`.
        width: Seconds of the windows to be.
    """

    cells: list[_FrozenCell]
    renamed: dict[str, str]
    window: int
    oldest: int
    width: int
    objective_seconds: float
    workers: dict[str, int]

    def workload(self) -> Workload:
        """All of it by the names that held then."""
        factor = self.width // WINDOW_SECONDS
        start = self.oldest // factor
        loads: dict[tuple[str, str], TransactionLoad] = {}
        for cell in self.cells:
            key = (self.renamed.get(cell.name, cell.name), cell.target_group)
            load = loads.setdefault(key, TransactionLoad(*key))
            load.last_hit = max(load.last_hit, cell.last_hit)
            for block in cell.blocks:
                is_open = block is cell.blocks[-1]
                _add_block(load, block, start, factor if is_open else 1, self.renamed)
        used = [load for load in loads.values() if load.windows or load.streams]
        return Workload(
            start * self.width,
            self.width,
            self.window // factor - start + 1,
            self.objective_seconds,
            used,
            workers=dict(self.workers),
        )


def _add_block(load: TransactionLoad, block: _Block, start: int, factor: int, renamed: dict[str, str]) -> None:
    for name, value in zip(_SUMS, block.sums, strict=True):
        before = getattr(load, name)
        setattr(load, name, before + (int(value) if isinstance(before, int) else value))
    for bucket, count in zip(_TO_FINE, block.counts, strict=True):
        load.counts[bucket] += count
    for name, count in block.neighbours.items():
        name = renamed.get(name, name)
        load.neighbours[name] = load.neighbours.get(name, 0) + count
    width = len(_WINDOW_SUMS) + 1
    windows = block.windows
    for offset in range(0, len(windows), width):
        index, requests, seconds, quiet_requests, quiet_seconds, cpu_seconds, worked_seconds = windows[
            offset : offset + width
        ]
        window = load.windows.setdefault(int(index // factor) - start, WindowLoad())
        window.requests += int(requests)
        window.seconds += seconds
        window.quiet_requests += int(quiet_requests)
        window.quiet_seconds += quiet_seconds
        window.cpu_seconds += cpu_seconds
        window.worked_seconds += worked_seconds


def _is_write(method: bytes) -> bool:
    return method not in SAFE_METHODS
