"""What the report says: six questions to the shop's database, word for word what the monolith asks it at night."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

LOCK_TIMEOUT_SECONDS = 30
REORDER_BELOW = 50

QUESTIONS = {
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


class SourceError(Exception):
    """The shop's database cannot be read; the message says where it was looked for and why."""


def compute_report(source: Path, day: date) -> dict[str, Any]:
    """Ask everything in one read transaction, so that all answers are about the same moment.

    Args:
        source: The shop's database, or a copy of it; it is only read.
        day: What the report is called after.

    Raises:
        SourceError
    """
    report: dict[str, Any] = {"day": day.isoformat()}
    try:
        with closing(_reading(source)) as connection:
            connection.execute("BEGIN")
            for name, question in QUESTIONS.items():
                report[name] = [dict(row) for row in connection.execute(question)]
    except sqlite3.Error as error:
        raise SourceError(f"the shop's database {source}: {error}") from error
    return report


def _reading(source: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None
    )
    connection.row_factory = sqlite3.Row
    return connection
