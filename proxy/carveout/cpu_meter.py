"""Reads the targets' CPU time while the gateway runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from proxy.carveout.cell import BLOCK_SECONDS, BLOCKS, WINDOW_SECONDS
from proxy.carveout.cpu_sources import CpuHistory, CpuSource, CpuSourceError
from proxy.carveout.workload import Workload

READ_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)


class CpuMeter:
    """The CPU time of target groups, read every few seconds.

    Args:
        sources: At most one a target group.
    """

    def __init__(self, sources: Sequence[CpuSource], *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        kept = BLOCK_SECONDS * (BLOCKS + 1) // WINDOW_SECONDS
        self._histories = {source.target_group: CpuHistory(WINDOW_SECONDS, kept) for source in sources}
        self._sources = list(sources)
        self._failing: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read; needs a running event loop."""
        if self._sources and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="read CPU times")

    async def stop(self) -> None:
        """End reading."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def read(self) -> None:
        """Read every source once. One that fails is left out until it is back; its windows stay empty."""
        for source in self._sources:
            try:
                total = await asyncio.to_thread(source.read)
            except CpuSourceError as error:
                if source.written not in self._failing:
                    self._failing.add(source.written)
                    logger.warning("the CPU time of %s is not known: %s", source.target_group, error)
                continue
            self._failing.discard(source.written)
            self._histories[source.target_group].note(self._now(), total)

    async def _run(self) -> None:
        while True:
            await self.read()
            await asyncio.sleep(READ_SECONDS)

    def add_to(self, workload: Workload) -> None:
        """Put what is known into a workload."""
        for group, history in self._histories.items():
            workload.cpu_seconds[group] = history.by_window(
                workload.started_at, workload.window_seconds, workload.window_count
            )
