"""What has run: one row for a schedule and a scheduled time, which is what makes it run only once."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

LOCK_TIMEOUT_SECONDS = 30
SILENT_AFTER = timedelta(minutes=5)
"""A scheduler that has not been heard of for so long has ended, and its runs with it."""
KEPT = timedelta(days=400)
"""How long it is remembered what has run."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS schedules (
    name TEXT PRIMARY KEY, expression TEXT NOT NULL, start REAL NOT NULL, checked_until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    schedule TEXT NOT NULL, scheduled_at REAL NOT NULL, run_id TEXT NOT NULL, owner TEXT NOT NULL, state TEXT NOT NULL,
    started_at REAL, ended_at REAL, exit_code INTEGER, PRIMARY KEY (schedule, scheduled_at));
CREATE INDEX IF NOT EXISTS runs_by_time ON runs (scheduled_at);
CREATE TABLE IF NOT EXISTS owners (owner TEXT PRIMARY KEY, heard_at REAL NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a schedule."""

    schedule: str
    scheduled_at: datetime
    run_id: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a schedule is: when it began, and until when everything due has been decided."""

    start: datetime
    checked_until: datetime


class Store:
    """All statements of the scheduler; several may share the file. Safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._owner = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            folder / "scheduler.sqlite3", timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file; call it when no run is left."""
        self._connection.close()

    def progress(self, schedule: str, expression: str, now: datetime) -> Progress:
        """How far the schedule is; a new one, or one with another expression, begins now."""
        with self._write() as connection:
            row = connection.execute(
                "SELECT start, checked_until FROM schedules WHERE name = ? AND expression = ?", (schedule, expression)
            ).fetchone()
            if row is None:
                # A rate's first run is at its start, which therefore has to lie after what has been decided.
                row = (now.timestamp(), (now - timedelta(microseconds=1)).timestamp())
                connection.execute("INSERT OR REPLACE INTO schedules VALUES (?, ?, ?, ?)", (schedule, expression, *row))
        start, checked_until = (datetime.fromtimestamp(value, now.tzinfo) for value in row)
        return Progress(start, checked_until)

    def claim(
        self, schedule: str, until: datetime, to_run: Iterable[datetime], skipped: Iterable[datetime]
    ) -> tuple[list[Run], list[Run]]:
        """Decide everything due up to `until`; return those that nobody had claimed, to run and skipped."""
        with self._write() as connection:
            claimed = self._insert(connection, schedule, "claimed", to_run)
            left_out = self._insert(connection, schedule, "skipped", skipped)
            connection.execute(
                # Back, too: a clock that was wrongly ahead must not silence the schedule. The rows keep it from twice.
                "UPDATE schedules SET checked_until = ? WHERE name = ?",
                (until.timestamp(), schedule),
            )
        return claimed, left_out

    def started(self, run: Run, now: datetime) -> None:
        """Note the start of a run."""
        self._set(run, "state = 'started', started_at = ?", now.timestamp())

    def ended(self, run: Run, now: datetime, exit_code: int | None) -> None:
        """Note the end of a run; without an exit code it could not be started."""
        state = "succeeded" if exit_code == 0 else "failed"
        self._set(run, "state = ?, ended_at = ?, exit_code = ?", state, now.timestamp(), exit_code)

    def heard(self, now: datetime) -> list[Run]:
        """Note that this scheduler lives; return the runs of those that do no more, marked as lost."""
        with self._write() as connection:
            connection.execute("INSERT OR REPLACE INTO owners VALUES (?, ?)", (self._owner, now.timestamp()))
            rows = connection.execute(
                "UPDATE runs SET state = 'lost', ended_at = ?1 WHERE state IN ('claimed', 'started') "
                "AND owner NOT IN (SELECT owner FROM owners WHERE heard_at > ?2) "
                "RETURNING schedule, scheduled_at, run_id",
                (now.timestamp(), (now - SILENT_AFTER).timestamp()),
            ).fetchall()
            connection.execute("DELETE FROM owners WHERE heard_at <= ?", ((now - SILENT_AFTER).timestamp(),))
            connection.execute("DELETE FROM runs WHERE scheduled_at < ?", ((now - KEPT).timestamp(),))
        return [Run(name, datetime.fromtimestamp(at, now.tzinfo), run_id) for name, at, run_id in rows]

    def states(self, schedule: str) -> list[tuple[float, str]]:
        """Every scheduled time (seconds since the epoch) and what became of it."""
        with self._lock:
            return self._connection.execute(
                "SELECT scheduled_at, state FROM runs WHERE schedule = ? ORDER BY scheduled_at", (schedule,)
            ).fetchall()

    def _insert(
        self, connection: sqlite3.Connection, schedule: str, state: str, instants: Iterable[datetime]
    ) -> list[Run]:
        runs = [Run(schedule, instant, secrets.token_hex(8)) for instant in instants]
        return [
            run
            for run in runs
            if connection.execute(
                "INSERT OR IGNORE INTO runs (schedule, scheduled_at, run_id, owner, state) VALUES (?, ?, ?, ?, ?)",
                (schedule, run.scheduled_at.timestamp(), run.run_id, self._owner, state),
            ).rowcount
        ]

    def _set(self, run: Run, assignments: str, *values: object) -> None:
        with self._write() as connection:
            connection.execute(f"UPDATE runs SET {assignments} WHERE run_id = ?", (*values, run.run_id))

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
