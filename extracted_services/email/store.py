"""The team's own SQLite database: which events have had their mail, so that a message that comes twice sends one."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

LOCK_TIMEOUT_SECONDS = 30

_SCHEMA = """CREATE TABLE IF NOT EXISTS events (
    event_id TEXT PRIMARY KEY, receipts INTEGER NOT NULL DEFAULT 1, leased_until REAL NOT NULL, sent_at REAL)"""


class Claim(Enum):
    """What to do about an event."""

    SEND = "send"
    SENT_BEFORE = "sent before"
    IN_OTHER_HANDS = "in other hands"


class Store:
    """All statements of the worker; several may share the file. Safe to use from two threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            folder / "email.sqlite3", timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A commit that a power failure takes back repeats a mail with the same Message-ID; a sync for each costs more.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(_SCHEMA)
        self._connection.execute("CREATE INDEX IF NOT EXISTS events_by_time ON events (sent_at)")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def claim(self, event_id: str, now: float, lease_seconds: float) -> Claim:
        """Take an event for `lease_seconds`, unless its mail is sent or another worker has it."""
        with self._write() as connection:
            row = connection.execute(
                "SELECT leased_until, sent_at FROM events WHERE event_id = ?", (event_id,)
            ).fetchone()
            if row is None:
                connection.execute(
                    "INSERT INTO events (event_id, leased_until) VALUES (?, ?)", (event_id, now + lease_seconds)
                )
                return Claim.SEND
            connection.execute("UPDATE events SET receipts = receipts + 1 WHERE event_id = ?", (event_id,))
            leased_until, sent_at = row
            if sent_at is not None:
                return Claim.SENT_BEFORE
            if leased_until > now:
                return Claim.IN_OTHER_HANDS
            self._lease(connection, event_id, now + lease_seconds)
            return Claim.SEND

    def extend(self, event_id: str, until: float) -> None:
        """Keep a claimed event until this time."""
        with self._write() as connection:
            self._lease(connection, event_id, until)

    def release(self, event_id: str) -> None:
        """Give an event back whose mail could not be sent."""
        self.extend(event_id, 0)

    def sent(self, event_id: str, now: float) -> None:
        """Note that the mail is sent."""
        with self._write() as connection:
            connection.execute("UPDATE events SET sent_at = ? WHERE event_id = ?", (now, event_id))

    def forget_sent_before(self, time: float) -> None:
        """Forget events whose messages no queue can still hold."""
        with self._write() as connection:
            connection.execute("DELETE FROM events WHERE sent_at < ?", (time,))

    def totals(self) -> tuple[int, int]:
        """Events whose mail is sent, and receipts of all events."""
        with self._lock:
            sent, receipts = self._connection.execute(
                "SELECT COUNT(sent_at), COALESCE(SUM(receipts), 0) FROM events"
            ).fetchone()
        return sent, receipts

    def _lease(self, connection: sqlite3.Connection, event_id: str, until: float) -> None:
        connection.execute("UPDATE events SET leased_until = ? WHERE event_id = ?", (until, event_id))

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
