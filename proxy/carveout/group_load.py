"""What all requests of a target group tell of its targets: when they are quiet, and how many requests they work on."""

from __future__ import annotations

from typing import Final

from proxy.carveout.queueing import NO_POOL, ServiceClock

QUIET_SHARE: Final = 0.25
"""A request is quiet that began with no more in flight than a quarter of all did."""
MAX_CLOCKS: Final = 64
"""Targets of a group whose workers are told; each takes 40 KiB."""
MOST_IN_FLIGHT: Final = 255


class GroupLoad:
    """How many requests a target group's targets have in flight when one begins, and how they work them off."""

    __slots__ = ("clocks", "counts", "quiet")

    def __init__(self) -> None:
        self.clocks: dict[str, ServiceClock] = {}
        self.counts = [0] * (MOST_IN_FLIGHT + 1)
        self.quiet = 1

    def clock_of(self, target_id: str, parts: int) -> ServiceClock:
        """The clock of a target; with too many targets the one that is known longest begins anew."""
        if len(self.clocks) >= MAX_CLOCKS:
            del self.clocks[next(iter(self.clocks))]
        clock = self.clocks[target_id] = ServiceClock(parts)
        return clock

    @property
    def workers(self) -> int | None:
        """How many requests all targets together work on at once; None where one of them has shown no pool."""
        workers = [clock.workers for clock in self.clocks.values()]
        return sum(workers) if workers and max(workers) < NO_POOL else None

    def judge(self) -> None:
        """Let the quiet quarter be that of late; older requests count half at each call."""
        total = sum(self.counts)
        seen = 0
        for in_flight, count in enumerate(self.counts):
            seen += count
            if seen and seen >= QUIET_SHARE * total:
                self.quiet = in_flight
                break
        if total > 1000:
            self.counts = [count // 2 for count in self.counts]
