"""How far the migration is: what the monolith and the others served minute by minute, and what nobody asks it for.

    each minute     totals(snapshot) -> point_between(before, after)     pure
                    ledger.record(point, hits)                           SQLite, one file, off the event loop
    asked           ledger.points(), ledger.ready_to_delete(days)

The process with the admin port keeps the ledger; it sees the counts of all workers.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from proxy.observe import families
from proxy.observe.snapshot import Snapshot

POINT_SECONDS: Final = 60.0
DAY: Final = 86_400.0
THINNED: Final = ((DAY, 600.0), (30 * DAY, 3600.0), (365 * DAY, DAY))
"""Points older than the first become points of the second: at most 14 500 for a year, and one a day after that."""
MOST_TRANSACTIONS: Final = 5000
"""Transactions whose last hit is kept; over that, those that were hit longest ago go."""
FILE_NAME: Final = "progress.sqlite3"
_BUSY_SECONDS: Final = 5.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS point (
    at REAL PRIMARY KEY, seconds REAL NOT NULL, monolith_requests INTEGER NOT NULL, moved_requests INTEGER NOT NULL,
    monolith_seconds REAL NOT NULL, moved_seconds REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hit (name TEXT PRIMARY KEY, last_hit REAL NOT NULL) WITHOUT ROWID;
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Totals:
    """Requests and target seconds by target group since the gateway's start, and requests by transaction and group."""

    requests: Mapping[str, float]
    seconds: Mapping[str, float]
    transactions: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Point:
    """What was served in the `seconds` up to `at` (since the epoch), by the monolith and by what was carved out.

    Seconds of service are those from a request sent until its response begins, the load balancer's
    TargetResponseTime.
    """

    at: float
    seconds: float
    monolith_requests: int
    moved_requests: int
    monolith_seconds: float
    moved_seconds: float


def totals(snapshot: Snapshot) -> Totals:
    """Read the sums of all rules from the metrics."""
    requests: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for sample in snapshot["values"].get(families.ROUTED_REQUESTS.name, ()):
        group = sample["labels"][-1]
        requests[group] = requests.get(group, 0.0) + sample["value"]
    for distribution in snapshot["distributions"].get(families.TARGET_RESPONSE_DURATION.name, ()):
        group = distribution["labels"][-1]
        seconds[group] = seconds.get(group, 0.0) + distribution["sum"]
    transactions: dict[tuple[str, str], float] = {}
    for sample in snapshot["values"].get(families.TRANSACTION_REQUESTS.name, ()):
        name, group, _ = sample["labels"]
        transactions[name, group] = transactions.get((name, group), 0.0) + sample["value"]
    return Totals(requests, seconds, transactions)


def point_between(before: Totals, after: Totals, monolith: Collection[str], at: float, seconds: float) -> Point:
    """What came between two readings; a sum that went back began anew."""

    def grown(new: Mapping[str, float], old: Mapping[str, float], of_monolith: bool) -> float:
        gains = ((group, value, old.get(group, 0.0)) for group, value in new.items())
        return sum(
            value - base if value >= base else value
            for group, value, base in gains
            if (group in monolith) == of_monolith
        )

    return Point(
        at,
        seconds,
        round(grown(after.requests, before.requests, True)),
        round(grown(after.requests, before.requests, False)),
        grown(after.seconds, before.seconds, True),
        grown(after.seconds, before.seconds, False),
    )


def hits_between(before: Totals, after: Totals, monolith: Collection[str], at: float) -> dict[str, float]:
    """The monolith's transactions that were asked for between two readings, each with `at` as its last hit."""
    return {
        name: at
        for (name, group), count in after.transactions.items()
        if group in monolith and count > before.transactions.get((name, group), 0.0) and not name.startswith("{")
    }


class Ledger:
    """The points and last hits on disk; safe to use from any thread, one at a time.

    Args:
        path: The file; None keeps everything in memory. A file that is no database is put aside.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._connection = _open(path)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def record(self, point: Point, hits: Mapping[str, float]) -> None:
        """Add a point and what was hit; what is old becomes coarser."""
        with self._lock, self._connection as connection:
            connection.execute(
                "INSERT OR REPLACE INTO point VALUES (:at, :seconds, :monolith_requests, :moved_requests, "
                ":monolith_seconds, :moved_seconds)",
                asdict(point),
            )
            connection.executemany(
                "INSERT INTO hit VALUES (?, ?) ON CONFLICT (name) "
                "DO UPDATE SET last_hit = max(last_hit, excluded.last_hit)",
                hits.items(),
            )
            connection.execute(
                "DELETE FROM hit WHERE name IN (SELECT name FROM hit ORDER BY last_hit DESC, name LIMIT -1 OFFSET ?)",
                (MOST_TRANSACTIONS,),
            )
            self._thin(connection, point.at)

    def points(self) -> list[Point]:
        """All points, the oldest first."""
        with self._lock:
            return [Point(*row) for row in self._connection.execute("SELECT * FROM point ORDER BY at")]

    def ready_to_delete(self, days: float, now: float) -> list[dict[str, Any]]:
        """Transactions of the monolith without a hit for so many days, the longest ago first.

        Only days count in which the gateway ran: what nobody looked at is no proof of silence.
        """
        with self._lock:
            rows = self._connection.execute(
                "SELECT name, last_hit, (SELECT coalesce(sum(seconds), 0) FROM point WHERE at > last_hit) AS silent "
                "FROM hit WHERE last_hit <= ? ORDER BY last_hit, name",
                (now - days * DAY,),
            ).fetchall()
        return [
            {"transaction": name, "last_hit": last_hit, "days": round(silent / DAY, 2)}
            for name, last_hit, silent in rows
            if silent >= days * DAY
        ]

    def _thin(self, connection: sqlite3.Connection, now: float) -> None:
        for age, width in THINNED:
            before = (now - age) // width * width
            crowded = connection.execute(
                "SELECT CAST(at / :width AS INTEGER) AS slot FROM point WHERE at < :before "
                "GROUP BY slot HAVING count(*) > 1",
                {"width": width, "before": before},
            ).fetchall()
            for (slot,) in crowded:
                span = {"from": slot * width, "to": (slot + 1) * width}
                merged = connection.execute(
                    "SELECT max(at), sum(seconds), sum(monolith_requests), sum(moved_requests), sum(monolith_seconds), "
                    "sum(moved_seconds) FROM point WHERE at >= :from AND at < :to",
                    span,
                ).fetchone()
                connection.execute("DELETE FROM point WHERE at >= :from AND at < :to", span)
                connection.execute("INSERT INTO point VALUES (?, ?, ?, ?, ?, ?)", merged)


def progress_document(ledger: Ledger, days: float, now: float) -> dict[str, Any]:
    """What `/api/progress` answers."""
    return {
        "points": [asdict(point) for point in ledger.points()],
        "days": days,
        "ready_to_delete": ledger.ready_to_delete(days, now),
    }


def open_ledger(folder: Path | None) -> Ledger:
    """The ledger of a state folder, made if need be; in memory, with a word in the log, where none can be written."""
    if folder is None:
        return Ledger(None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Ledger(folder / FILE_NAME)
    except (OSError, sqlite3.Error) as error:
        logger.warning("%s: progress is not kept over a restart: %s", folder, error)
        return Ledger(None)


def _open(path: Path | None) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if path is None or isinstance(error, sqlite3.OperationalError):
            raise
        aside = path.with_suffix(".broken")
        path.replace(aside)
        logger.warning("%s was no progress file (%s): put aside as %s, begun anew", path, error, aside.name)
        return _connect(path)


def _connect(path: Path | None) -> sqlite3.Connection:
    connection = sqlite3.connect(path or ":memory:", timeout=_BUSY_SECONDS, check_same_thread=False)
    try:
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        with contextlib.suppress(sqlite3.Error):
            connection.close()
        raise
    return connection
