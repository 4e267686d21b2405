"""Counts of one moment, put together as a workload: off the event loop, since many names take a second."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from proxy.carveout.cell import BOUNDS, SUMS, WINDOW_SECONDS, WINDOW_SUMS, Block
from proxy.carveout.workload import FINE_BUCKETS, TransactionLoad, WindowLoad, Workload

_TO_FINE: Final = [bisect_left(FINE_BUCKETS, bound) for bound in (*BOUNDS, float("inf"))]


@dataclass(frozen=True, slots=True)
class FrozenCell:
    name: str
    target_group: str
    last_hit: float
    blocks: list[Block]


@dataclass(frozen=True, slots=True)
class FrozenDemand:
    """Counts of one moment; nothing in it changes any more.

    Attributes:
        window, oldest: Indices of the last window and of the first that is kept, both of `WINDOW_SECONDS`.
        width: Seconds of the windows to be.
    """

    cells: list[FrozenCell]
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


def _add_block(load: TransactionLoad, block: Block, start: int, factor: int, renamed: dict[str, str]) -> None:
    for name, value in zip(SUMS, block.sums, strict=True):
        before = getattr(load, name)
        setattr(load, name, before + (int(value) if isinstance(before, int) else value))
    for bucket, count in zip(_TO_FINE, block.counts, strict=True):
        load.counts[bucket] += count
    for name, count in block.neighbours.items():
        name = renamed.get(name, name)
        load.neighbours[name] = load.neighbours.get(name, 0) + count
    width = len(WINDOW_SUMS) + 1
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
