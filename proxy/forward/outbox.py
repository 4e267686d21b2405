"""Requests of one turn of the event loop, sent together at its end.

Each write wakes the target if it sleeps, which is a good part of what a write costs; requests that are written one
after the other find it awake. Nothing waits that could have been sent: until the turn ends there is other work.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from proxy.forward.connection import TargetConnection

MAX_GATHERED: Final = 32
"""Most requests that are gathered: those that come later need not wait for more of their kind."""


class Outbox:
    """What waits for the end of this turn, of all connections to targets of one event loop."""

    __slots__ = ("_loop", "_unsent")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._unsent: list[TargetConnection] = []

    def add(self, connection: TargetConnection) -> None:
        """Have its `send_now` called when the turn ends."""
        unsent = self._unsent
        if not unsent:
            self._loop.call_soon(self.send_all)
        unsent.append(connection)
        if len(unsent) >= MAX_GATHERED:
            self.send_all()

    def send_all(self) -> None:
        """Send what waits."""
        unsent, self._unsent = self._unsent, []
        for connection in unsent:
            connection.send_now()


_outboxes: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Outbox]] = WeakKeyDictionary()


def outbox_of(loop: asyncio.AbstractEventLoop) -> Outbox:
    """The one of this event loop."""
    outbox = _outboxes.get(loop)
    if outbox is None:
        outbox = _outboxes[loop] = Outbox(loop)
    return outbox
