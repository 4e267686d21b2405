"""How long a target really worked on a request: its queue, seen from outside and left out.

A monolith with a fixed pool of workers takes requests in the order in which they came. Number the requests to it as
they are sent. Number k is begun when it comes, or when the (k - workers)th response is complete, whichever is later:
that is all there is to a pool which serves first come first. So one integer a request gives the time that a worker
was busy with it, while response times make every transaction look equally slow as soon as there is a queue.

The number of workers shows in overtaking. Who ends has begun, and so have all that came before; those of them that
are not done have a worker each. So a request of number k that is the e-th to end proves k - e + 1 workers, and a pool
that is full now and then proves all of its own. Where nobody waits in line (an event loop, a thread for each request),
requests prove as many workers as there are requests in flight: then no wait is found and nothing is left out.
"""

from __future__ import annotations

from typing import Final

SLOTS: Final = 4096
"""Ends that are remembered, a power of two; a longer queue is taken for work."""
MOST_WORKERS: Final = 1024
NO_POOL: Final = 1 << 30
"""Workers of a target that has not shown any, or shows more than `MOST_WORKERS`: nothing waits there."""
RARE: Final = 0.0001
"""So large a share of the requests must prove a number of workers: one that was stuck says nothing about the pool."""
RARE_IN_A_PART: Final = 0.05
"""The same where other processes send to the target, too: now and then most of its workers are this one's."""
MUCH_WIDER: Final = 3
"""But where rare requests prove so many times as many workers, there is no pool that other processes share."""
LEAST_PROOFS: Final = 3
FIRST_REVIEW: Final = 16
REVIEW: Final = 256
"""The number of workers is looked at again after so many requests, at first more often,"""
HALVED: Final = 65_536
"""and what is older counts half after so many, since pools are resized."""


class ServiceClock:
    """One target as one process sees it; requests to several targets, or in several processes, have one each.

    Args:
        parts: Over how many processes the traffic is spread. Each finds its part of the workers, with less precision.

    Attributes:
        workers: How many requests the target works on at once, as far as it has shown; `NO_POOL` at first.
    """

    __slots__ = ("_ended_at", "_proofs", "_rare", "_review_at", "_seen", "workers")

    def __init__(self, parts: int = 1) -> None:
        self.workers = NO_POOL
        self._rare = RARE if parts == 1 else RARE_IN_A_PART
        self._seen = 0
        self._review_at = FIRST_REVIEW
        self._ended_at = [0.0] * SLOTS
        self._proofs = [0] * (MOST_WORKERS + 1)

    def ended(self, number: int, ended: int, sent_at: float, now: float) -> float:
        """The target is done with a request, well or badly; return for how many seconds it worked on it.

        Args:
            number: Which request to this target it was, from 1, by when they were sent.
            ended: How many requests the target is done with, this one included.
            sent_at, now: In seconds of the same clock.
        """
        self._ended_at[ended % SLOTS] = now
        before = number - self.workers
        if before <= 0 or before <= ended - SLOTS:
            began = sent_at
        else:
            began = self._ended_at[before % SLOTS] if before <= ended else now
        proven = number - ended + 1
        if proven > 0:
            self._proofs[proven if proven < MOST_WORKERS else MOST_WORKERS] += 1
        self._seen = seen = self._seen + 1
        if seen >= self._review_at:
            self._review_at = seen + min(seen, REVIEW)
            self._review(seen)
        if began <= sent_at:
            return now - sent_at
        return now - began if began < now else 0.0

    def _review(self, seen: int) -> None:
        most = self._proven(RARE, seen)
        usual = most if self._rare == RARE else self._proven(self._rare, seen)
        workers = most if most >= MUCH_WIDER * usual + MUCH_WIDER else usual
        self.workers = workers if workers < MOST_WORKERS else NO_POOL
        if seen // HALVED != (seen - REVIEW) // HALVED:
            self._proofs = [count // 2 for count in self._proofs]

    def _proven(self, rare: float, of: int) -> int:
        """The workers that this share of the requests proved, or more."""
        needed = max(LEAST_PROOFS, rare * min(of, 2 * HALVED))
        proofs = 0
        for workers in range(MOST_WORKERS, 0, -1):
            proofs += self._proofs[workers]
            if proofs >= needed:
                return workers
        return MOST_WORKERS
