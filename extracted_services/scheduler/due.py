"""Which runs are due, and what becomes of those that are late."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile

from extracted_services.scheduler.expressions import Recurrence

PRECISION = timedelta(seconds=60)
"""05:00 means 05:00:00 to 05:00:59 (EventBridge guide); what is later was missed."""
MAX_AT_ONCE = 100
"""Of the runs that came due since the last look, so many of the newest are considered."""


class Missed(StrEnum):
    """What becomes of runs that came due while no scheduler was there."""

    SKIP = "skip"
    LAST = "last"
    ALL = "all"


def due_between(recurrence: Recurrence, after: datetime, until: datetime) -> list[datetime]:
    """The newest `MAX_AT_ONCE` due instants in (after, until], ascending."""
    return list(deque(takewhile(lambda due: due <= until, recurrence.after(after)), MAX_AT_ONCE))


def divide(due: Sequence[datetime], now: datetime, missed: Missed) -> tuple[list[datetime], list[datetime]]:
    """Divide what is due into what is to run and what is skipped."""
    late = [instant for instant in due if now - instant >= PRECISION]
    on_time = [instant for instant in due if now - instant < PRECISION]
    match missed:
        case Missed.ALL:
            caught_up = late
        case Missed.LAST:
            caught_up = late[-1:]
        case Missed.SKIP:
            caught_up = []
    return caught_up + on_time, late[: len(late) - len(caught_up)]
