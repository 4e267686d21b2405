"""The service's own SQLite database: the columns it needs and no others."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from extracted_services.recommendations import seed
from extracted_services.recommendations.index import Index

LOCK_TIMEOUT_SECONDS = 30

SCHEMA = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    """CREATE TABLE products (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, price_cents INTEGER NOT NULL)""",
    """CREATE TABLE purchases (user_id INTEGER, product_id INTEGER, PRIMARY KEY (user_id, product_id))
        WITHOUT ROWID""",
    """CREATE TABLE friendships (user_id INTEGER, friend_id INTEGER, PRIMARY KEY (user_id, friend_id))
        WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that requests need, read once at the start."""

    index: Index
    names: dict[int, str]
    products: dict[int, dict[str, Any]]


def load(folder: Path) -> Snapshot:
    """Read the database in this folder, created and seeded in one transaction if this is its first start."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recommendations.sqlite3"
    with closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None)) as connection:
        with _exclusive(connection):
            if not connection.execute("PRAGMA user_version").fetchone()[0]:
                _create(connection)
        connection.row_factory = sqlite3.Row
        names = dict(connection.execute("SELECT id, name FROM users").fetchall())
        products = {row["id"]: dict(row) for row in connection.execute("SELECT * FROM products")}
        connection.row_factory = None
        index = Index(
            names,
            connection.execute("SELECT user_id, product_id FROM purchases"),
            connection.execute("SELECT user_id, friend_id FROM friendships"),
        )
    return Snapshot(index, names, products)


def _create(connection: sqlite3.Connection) -> None:
    for statement in SCHEMA:
        connection.execute(statement)
    connection.executemany("INSERT INTO users VALUES (?, ?)", seed.users())
    connection.executemany("INSERT INTO products VALUES (?, ?, ?, ?)", seed.products())
    connection.executemany("INSERT OR IGNORE INTO purchases VALUES (?, ?)", seed.purchases())
    connection.executemany(
        "INSERT INTO friendships VALUES (?, ?)",
        (pair for one, other in seed.friendships() for pair in ((one, other), (other, one))),
    )
    connection.execute("PRAGMA user_version = 1")


@contextmanager
def _exclusive(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
