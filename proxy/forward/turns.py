"""At most so many calls at the same time; the others wait for their turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress

Begin = Callable[[], None]


class Turns:
    """Turns are given in the order in which they were asked for. For one event loop."""

    __slots__ = ("_free", "_waiting")

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: deque[Begin] = deque()

    def ask(self, begin: Begin) -> None:
        """Call `begin` now, or as soon as somebody gives a turn back."""
        if self._free:
            self._free -= 1
            begin()
        else:
            self._waiting.append(begin)

    def leave(self, begin: Begin) -> None:
        """No longer wait."""
        with suppress(ValueError):
            self._waiting.remove(begin)

    def give_back(self) -> None:
        """End a turn; the next in the line begins."""
        if self._waiting:
            self._waiting.popleft()()
        else:
            self._free += 1
