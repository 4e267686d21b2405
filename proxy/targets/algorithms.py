"""How one target is chosen among those that may take a request (alb.md 5.2).

A new algorithm is a class beside `RoundRobin` and an entry in ALGORITHMS. `pick` runs once for every request:
constant time, nothing allocated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from proxy.targets.target import Target


class Algorithm(Protocol):
    """The balancing of one target group; it may keep state between two requests."""

    def pick(self, targets: Sequence[Target]) -> Target:
        """Choose one of `targets`, which has at least one; it may differ from call to call."""
        ...


class RoundRobin:
    """`round_robin`: one after the other, in the order of the group."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0

    def pick(self, targets: Sequence[Target]) -> Target:
        """Choose the target after the one chosen last."""
        index = self._next
        if index >= len(targets):
            index = 0
        self._next = index + 1
        return targets[index]


ALGORITHMS: Mapping[str, Callable[[], Algorithm]] = {"round_robin": RoundRobin}
"""By the value of `load_balancing.algorithm.type`."""
