"""The service's own SQLite database: one report a day."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

LOCK_TIMEOUT_SECONDS = 30
MAX_LISTED = 100


class Store:
    """All statements of the service; the task and the API use the same file, each call on a connection of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "reports.sqlite3"
        with self._connected() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS reports (day TEXT PRIMARY KEY, report TEXT NOT NULL)")

    def keep(self, report: dict[str, Any]) -> None:
        """Keep a report; a second one of the day replaces the first."""
        with self._connected() as connection:
            connection.execute("INSERT OR REPLACE INTO reports VALUES (?, ?)", (report["day"], json.dumps(report)))

    def days(self) -> list[str]:
        """The days with a report, newest first, at most `MAX_LISTED`."""
        with self._connected() as connection:
            rows = connection.execute("SELECT day FROM reports ORDER BY day DESC LIMIT ?", (MAX_LISTED,)).fetchall()
        return [day for (day,) in rows]

    def report(self, day: str) -> dict[str, Any] | None:
        """The report of one day."""
        with self._connected() as connection:
            row = connection.execute("SELECT report FROM reports WHERE day = ?", (day,)).fetchone()
        report: dict[str, Any] | None = json.loads(row[0]) if row else None
        return report

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None)) as connection:
            yield connection
