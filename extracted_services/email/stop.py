"""SIGTERM: a wait is cut short, work in hand is finished."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(BaseException):
    """Raised out of a wait by the signal; not an Exception, so that no library in between handles it."""


class Stop:
    """A request to stop. `signal.signal` takes `on_signal`; waits are wrapped in `interruptible`."""

    def __init__(self) -> None:
        self.requested = False
        self._interruptible = False

    def on_signal(self, *_: object) -> None:
        """Note the request, and end a wait at once: a long poll may last 20 s, longer than a container is given."""
        self.requested = True
        if self._interruptible:
            self._interruptible = False
            raise Stopped

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """What runs in this block is ended by the signal."""
        self._interruptible = True
        try:
            if self.requested:
                raise Stopped
            yield
        finally:
            self._interruptible = False

    def sleep(self, seconds: float) -> None:
        """Sleep, but not beyond the request."""
        with self.interruptible():
            time.sleep(seconds)
