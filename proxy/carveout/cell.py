"""The counts of one transaction at one target group: plain numbers, and what they were when a window or block ended."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from typing import Final

from proxy.carveout.group_load import GroupLoad
from proxy.carveout.workload import FINE_BUCKETS
from proxy.observe.families import DURATION_BUCKETS
from proxy.observe.snapshot import Distribution, Value

WINDOW_SECONDS: Final = 10
OLD_WINDOW_SECONDS: Final = 60
"""Windows of blocks that are over are joined to this length."""
BLOCK_SECONDS: Final = 7200
BLOCKS: Final = 11
"""Blocks that are kept besides the one that is being filled: 22 to 24 hours together."""
MAX_NEIGHBOURS: Final = 32

BOUNDS: Final = tuple(sorted({*FINE_BUCKETS, *DURATION_BUCKETS}))
"""Of the histogram that both others are read from: percentiles, and the one that is scraped."""
_TO_DURATION: Final = [bisect_left(DURATION_BUCKETS, bound) for bound in (*BOUNDS, float("inf"))]

SUMS: Final = (
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
WINDOW_SUMS: Final = ("requests", "seconds", "quiet_requests", "quiet_seconds", "cpu_seconds", "worked_seconds")
"""Attributes of a cell that are those of a `WindowLoad`."""


class Block:
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
        self.blocks: deque[Block | None] = deque(maxlen=BLOCKS)
        self._windows = array("d")
        self._window_sums: list[float] = [0.0] * len(WINDOW_SUMS)
        self._block_sums: list[float] = [0.0] * len(SUMS)
        self._block_counts = [0] * len(self.counts)

    def absorb(self, other: Cell) -> None:
        """Add what was counted while a path waited for its name."""
        for name in (*WINDOW_SUMS, *SUMS):
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
            sums = [float(getattr(self, name)) for name in WINDOW_SUMS]
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
        self._block_sums = [float(getattr(self, name)) for name in SUMS]
        self._block_counts = list(self.counts)
        self.neighbours = {}

    def all_blocks(self) -> Iterator[Block]:
        """Those that are kept, and the one that is being filled."""
        yield from (block for block in self.blocks if block is not None)
        yield self._since_block()

    def _since_block(self) -> Block:
        sums = [getattr(self, name) - before for name, before in zip(SUMS, self._block_sums, strict=True)]
        counts = [now - before for now, before in zip(self.counts, self._block_counts, strict=True)]
        return Block(sums, counts, self._windows[:], dict(self.neighbours))

    @property
    def duration_counts(self) -> list[int]:
        """By `DURATION_BUCKETS`, the last for what is slower."""
        counts = [0] * (len(DURATION_BUCKETS) + 1)
        for index, count in zip(_TO_DURATION, self.counts, strict=True):
            counts[index] += count
        return counts


def _joined(windows: array[float]) -> array[float]:
    """Windows of ten seconds as windows of a minute."""
    width = len(WINDOW_SUMS) + 1
    joined: array[float] = array("d")
    for start in range(0, len(windows), width):
        index = windows[start] // (OLD_WINDOW_SECONDS // WINDOW_SECONDS)
        if not joined or joined[-width] != index:
            joined.append(index)
            joined.extend([0.0] * (width - 1))
        for offset in range(1, width):
            joined[offset - width] += windows[start + offset]
    return joined
