"""Writes a point of progress each minute, and one when the gateway stops."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from proxy.carveout.progress import (
    POINT_SECONDS,
    Ledger,
    Totals,
    hits_between,
    point_between,
    progress_document,
    totals,
)
from proxy.observe.snapshot import Snapshot
from proxy.repeating import repeat

logger = logging.getLogger(__name__)


class ProgressKeeper:
    """Keeps a ledger up to date.

    Args:
        snapshot: The metrics of all workers.
        monolith: The target groups that are the monolith, by the table in force.
        clock: Seconds since the epoch.
        timer: Seconds since whenever, which nobody sets: how long the gateway ran is not what a corrected clock says.
    """

    def __init__(
        self,
        ledger: Ledger,
        snapshot: Callable[[], Awaitable[Snapshot]],
        monolith: Callable[[], Collection[str]],
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._snapshot = snapshot
        self._monolith = monolith
        self._clock = clock
        self._before = Totals({}, {})
        self._timer = timer
        self._noted_at = timer()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to keep the time."""
        self._task = asyncio.create_task(self._keep(), name="progress")

    async def stop(self) -> None:
        """Write what came since the last point, and close the ledger."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            await self.note()
        await asyncio.to_thread(self._ledger.close)

    async def note(self) -> None:
        """Write down what came since the last point; a disk that is full or locked costs that point only."""
        after = totals(await self._snapshot())
        now, moment = self._clock(), self._timer()
        monolith = self._monolith()
        point = point_between(self._before, after, monolith, now, moment - self._noted_at)
        hits = hits_between(self._before, after, monolith, now)
        try:
            await asyncio.to_thread(self._ledger.record, point, hits)
        except sqlite3.Error as error:
            logger.warning("no point of progress: %s", error)
            return
        self._before, self._noted_at = after, moment

    async def document(self, days: float) -> dict[str, Any]:
        """What `/api/progress` answers."""
        return await asyncio.to_thread(progress_document, self._ledger, days, self._clock())

    async def _keep(self) -> None:
        await asyncio.sleep(POINT_SECONDS)
        await repeat(self.note, POINT_SECONDS, "noting progress")
