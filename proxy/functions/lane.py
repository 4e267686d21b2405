"""Records of a shard that wait for their turn, in order."""

from __future__ import annotations

import asyncio
import math
from collections import deque

from proxy.functions.batch import StreamRecord
from proxy.functions.model import MAX_SYNC_BYTES

_ENVELOPE_BYTES = 64


class Lane:
    """The records of some partition keys of a shard, in order."""

    def __init__(self) -> None:
        self.waiting: deque[StreamRecord] = deque()
        self.changed = asyncio.Event()
        self.closed = False
        self._since = 0.0

    def add(self, record: StreamRecord, now: float) -> None:
        if not self.waiting:
            self._since = now
        self.waiting.append(record)
        self.changed.set()

    def close(self) -> None:
        """No more will come: what waits is a batch."""
        self.closed = True
        self.changed.set()

    def due(self, window: float) -> float | None:
        """When what waits becomes a batch even if no more comes."""
        return self._since + window if self.waiting else None

    def take(
        self, most: int, window: float, now: float, *, most_bytes: int = MAX_SYNC_BYTES, before: float = math.inf
    ) -> tuple[StreamRecord, ...]:
        """The next batch, if there is one: it is full, its window is over, or no more will come.

        Args:
            before: Only records that arrived before this time; one that did not ends the batch.
        """
        if not self.waiting:
            return ()
        is_full = len(self.waiting) >= most or self.waiting[-1].arrived >= before
        if not is_full and now < self._since + window and not self.closed:
            return ()
        batch: list[StreamRecord] = []
        size = _ENVELOPE_BYTES
        while self.waiting and len(batch) < most and self.waiting[0].arrived < before:
            size += self.waiting[0].size
            if batch and size > most_bytes:
                break
            batch.append(self.waiting.popleft())
        self._since = now
        return tuple(batch)
