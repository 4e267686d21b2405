"""Time as an argument: what waits for minutes is tested in milliseconds."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> float:
        """Seconds since the epoch."""

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Wait for the event, but not beyond `until`; None waits for the event alone."""


class SystemClock:
    """The machine's."""

    def now(self) -> float:
        return time.time()

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        try:
            async with asyncio.timeout(None if until is None else max(until - time.time(), 0)):
                await event.wait()
        except TimeoutError:
            pass
