"""The nightly report: a cron job that lives inside the web process and competes with its requests."""

import json
import logging
import sqlite3
import threading
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from monolith_stub.api import Here, not_found
from monolith_stub.database import Database

router = APIRouter(prefix="/api/reports/nightly", tags=["reports"])

_log = logging.getLogger(__name__)
REORDER_BELOW = 50

_QUERIES = {
    "revenue_by_month": """
        SELECT substr(created_at, 1, 7) AS month, COUNT(*) AS orders, SUM(total_cents) AS cents
        FROM orders GROUP BY month ORDER BY month""",
    "revenue_by_category": """
        SELECT category, SUM(quantity) AS sold, SUM(quantity * order_lines.price_cents) AS cents
        FROM order_lines JOIN products ON products.id = product_id GROUP BY category ORDER BY category""",
    "best_customers": """
        SELECT users.id, name, COUNT(*) AS orders, SUM(total_cents) AS cents
        FROM orders JOIN users ON users.id = user_id
        GROUP BY users.id ORDER BY cents DESC, users.id LIMIT 20""",
    "to_reorder": f"""
        SELECT id, name, stock,
            (SELECT COALESCE(SUM(quantity), 0) FROM order_lines WHERE product_id = products.id) AS sold
        FROM products WHERE stock < {REORDER_BELOW} ORDER BY stock, id LIMIT 100""",
    "bought_together": """
        SELECT one.product_id AS one, other.product_id AS other, COUNT(*) AS orders
        FROM order_lines AS one JOIN order_lines AS other
        ON other.order_id = one.order_id AND other.product_id > one.product_id
        GROUP BY one.product_id, other.product_id ORDER BY COUNT(*) DESC, one, other LIMIT 50""",
    "taste_by_city": """
        WITH sales AS (
            SELECT city, category, SUM(quantity) AS sold FROM orders
            JOIN users ON users.id = orders.user_id JOIN order_lines ON order_lines.order_id = orders.id
            JOIN products ON products.id = order_lines.product_id GROUP BY city, category)
        SELECT city, category, sold, ROUND(100.0 * sold / SUM(sold) OVER (PARTITION BY city), 1) AS percent,
            RANK() OVER (PARTITION BY city ORDER BY sold DESC, category) AS place
        FROM sales ORDER BY city, place""",
}


@router.post("", status_code=201)
def run_report(shop: Here, response: Response) -> dict[str, Any]:
    """Compute today's report now; a second run of the day replaces the first."""
    report = write_report(shop.database)
    response.headers["Location"] = f"/api/reports/nightly/{report['day']}"
    return report


@router.get("")
def list_reports(shop: Here) -> dict[str, Any]:
    """List the days with a report, newest first (at most 100)."""
    with shop.database.read() as connection:
        rows = connection.execute("SELECT day FROM reports ORDER BY day DESC LIMIT 100").fetchall()
    return {"days": [row["day"] for row in rows]}


@router.get("/{day}")
def read_report(day: Annotated[str, Path(pattern=r"^\d{4}-\d{2}-\d{2}$")], shop: Here) -> dict[str, Any]:
    """Return the report of one day."""
    with shop.database.read() as connection:
        row = connection.execute("SELECT report FROM reports WHERE day = ?", (day,)).fetchone()
    if row is None:
        raise not_found("report of", day)
    report: dict[str, Any] = json.loads(row["report"])
    return report


def write_report(database: Database) -> dict[str, Any]:
    """Compute the report of today (UTC) and store it."""
    report: dict[str, Any] = {"day": datetime.now(UTC).date().isoformat()}
    with database.read() as connection:
        for name, query in _QUERIES.items():
            report[name] = [dict(row) for row in connection.execute(query)]
    with database.write() as connection:
        connection.execute("INSERT OR REPLACE INTO reports VALUES (?, ?)", (report["day"], json.dumps(report)))
    return report


def seconds_until(at: time, now: datetime) -> float:
    """Return how long it is from now (UTC) until the next time the clock shows `at`; never 0."""
    due = now.replace(hour=at.hour, minute=at.minute, second=at.second, microsecond=0)
    if due <= now:
        due += timedelta(days=1)
    return (due - now).total_seconds()


class NightlySchedule:
    """A thread that writes the report once a day."""

    def __init__(self, database: Database, at: time) -> None:
        self._database = database
        self._at = at
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nightly-report")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a report that is being written is finished first."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(seconds_until(self._at, datetime.now(UTC))):
            try:
                write_report(self._database)
                _log.info("nightly report written")
            except sqlite3.Error:
                _log.exception("nightly report failed; the next one is due tomorrow")
