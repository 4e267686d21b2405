"""How often a peer may do what costs it nothing."""

from __future__ import annotations


class Allowance:
    """So many at once, and so many a second on average; pure, time is an argument."""

    __slots__ = ("_left", "_most", "_per_second", "_seen_at")

    def __init__(self, most: int, per_second: float) -> None:
        self._most = most
        self._per_second = per_second
        self._left = float(most)
        self._seen_at = 0.0

    def spend(self, now: float) -> bool:
        """Take one; return whether there was one."""
        if self._seen_at:
            self._left = min(self._most, self._left + (now - self._seen_at) * self._per_second)
        self._seen_at = now
        self._left -= 1
        return self._left >= 0
