"""How much may be tried before the analysis gives up.

Steps, not seconds, so that a verdict is the same everywhere. Seconds are only the last resort: what a look-up in the
table costs depends on the table.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 5.0
"""Of this thread's CPU time, for a whole analysis."""


class UndecidedError(Exception):
    """One question stays open; the message says why."""


class ExhaustedError(Exception):
    """The whole analysis has used up its steps."""


class Work:
    """Counts steps: one is a pattern moved by one byte, or a choice in the search for a request (about 1 µs).

    Args:
        steps: For everything.
        steps_for_each: For one rule, so that a single hard one does not use up the others' share.
        clock: CPU seconds.
    """

    __slots__ = ("_clock", "_for_each", "_of_this", "_remaining", "_until")

    def __init__(self, steps: int, steps_for_each: int, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._until = clock() + SECONDS
        self._remaining = steps
        self._for_each = steps_for_each
        self._of_this = steps_for_each

    def begin(self) -> None:
        """From here on the steps are those of the next rule; raise ExhaustedError if the time is up."""
        self._of_this = self._for_each
        if self._clock() > self._until:
            raise ExhaustedError

    def spend(self, steps: int) -> None:
        """Take steps off; raise ExhaustedError if all are used up, UndecidedError if one rule's are."""
        self._remaining -= steps
        self._of_this -= steps
        if self._remaining < 0:
            raise ExhaustedError
        if self._of_this < 0:
            raise UndecidedError("its conditions are too entangled with those of earlier rules")
