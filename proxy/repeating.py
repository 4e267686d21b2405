"""Background work that is done again and again, and goes on when it failed once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Never

logger = logging.getLogger(__name__)


async def repeat(work: Callable[[], Awaitable[object]], seconds: float, what: str) -> Never:
    """Do the work every so many seconds until the task is cancelled; an error is logged, and the next try is due.

    A task that an error ends says nothing until it is asked, and what it did for the gateway is done no more.

    Args:
        what: Names the work in the log.
    """
    is_failing = False
    while True:
        try:
            await work()
            is_failing = False
        except Exception:
            # Once, not each second, until it has worked again.
            if not is_failing:
                logger.exception("%s: failed; tried again every %g s", what, seconds)
            is_failing = True
        await asyncio.sleep(seconds)
