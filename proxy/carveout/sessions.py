"""Which transactions a session uses one after the other: what must move together, and what need not."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final
from zlib import crc32

from proxy.carveout.cell import Cell

MAX_SESSIONS: Final = 4096
MAX_USED: Final = 64
"""Transactions that are remembered of a session."""
_COOKIE: Final = re.compile(rb"(?:^|;\s*)[\w.-]*(?:sess|sid|auth|token)[\w.-]*=([^;]+)", re.IGNORECASE)


def client_key(fields: Mapping[bytes, bytes], peer: str) -> int:
    """A hash of who asks: the first address of X-Forwarded-For, else the peer's. It serves for counting only."""
    forwarded = fields.get(b"x-forwarded-for")
    return crc32(forwarded.partition(b",")[0].strip() if forwarded else peer.encode())


def session_key(fields: Mapping[bytes, bytes], peer: str) -> int:
    """A hash of the session: its cookie, as far as the cookie's name tells, else client and user agent."""
    cookie = fields.get(b"cookie")
    found = _COOKIE.search(cookie) if cookie else None
    if found is not None:
        return crc32(found[1])
    return crc32(fields.get(b"user-agent", b""), client_key(fields, peer))


class Sessions:
    """The last transaction of each session, for as many sessions as fit."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[int, tuple[Cell, set[str]]] = OrderedDict()

    def note(self, session: int, cell: Cell) -> None:
        """Note that a session asked for this transaction."""
        before = self._sessions.pop(session, None)
        if before is None:
            used: set[str] = set()
            if len(self._sessions) >= MAX_SESSIONS:
                self._sessions.popitem(last=False)
        else:
            last, used = before
            last.followed_by(cell.name)
        if cell.name not in used and len(used) < MAX_USED:
            used.add(cell.name)
            cell.sessions += 1
        self._sessions[session] = (cell, used)

    def interrupt(self) -> None:
        """Requests were not seen: what comes next follows none of those before. Who used what stays known."""
        # Only sampling gets here, where losing the sets costs a little accuracy and keeps this simple.
        self._sessions.clear()
