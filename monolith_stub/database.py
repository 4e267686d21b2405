"""The shop's one SQLite database: schema, connections, and the transactions everything shares."""

import queue
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monolith_stub import seed

SCHEMA_VERSION = 1
LOCK_TIMEOUT_SECONDS = 30

SCHEMA = (
    """CREATE TABLE users (
        id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL, phone TEXT,
        city TEXT NOT NULL, created_at TEXT NOT NULL, password_hash TEXT NOT NULL)""",
    """CREATE TABLE friendships (user_id INTEGER, friend_id INTEGER, PRIMARY KEY (user_id, friend_id))
        WITHOUT ROWID""",
    """CREATE TABLE contact_hashes (user_id INTEGER, contact_hash BLOB, PRIMARY KEY (user_id, contact_hash))
        WITHOUT ROWID""",
    """CREATE TABLE products (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, description TEXT NOT NULL,
        price_cents INTEGER NOT NULL, stock INTEGER NOT NULL CHECK (stock >= 0))""",
    "CREATE INDEX products_by_category ON products (category, id)",
    """CREATE TABLE orders (
        id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users, status TEXT NOT NULL,
        total_cents INTEGER NOT NULL, created_at TEXT NOT NULL)""",
    "CREATE INDEX orders_by_user ON orders (user_id, id)",
    """CREATE TABLE order_lines (
        order_id INTEGER NOT NULL REFERENCES orders, product_id INTEGER NOT NULL REFERENCES products,
        quantity INTEGER NOT NULL, price_cents INTEGER NOT NULL,
        PRIMARY KEY (order_id, product_id)) WITHOUT ROWID""",
    "CREATE INDEX order_lines_by_product ON order_lines (product_id, quantity)",
    """CREATE TABLE payments (
        id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL UNIQUE REFERENCES orders,
        amount_cents INTEGER NOT NULL, card_token TEXT NOT NULL, card_fingerprint TEXT NOT NULL,
        brand TEXT NOT NULL, last4 TEXT NOT NULL, created_at TEXT NOT NULL)""",
    "CREATE TABLE images (id INTEGER PRIMARY KEY)",
    "CREATE TABLE reports (day TEXT PRIMARY KEY, report TEXT NOT NULL)",
)
LATER = (
    """CREATE TABLE IF NOT EXISTS clicks (
        page TEXT NOT NULL, minute TEXT NOT NULL, clicks INTEGER NOT NULL, PRIMARY KEY (page, minute))
        WITHOUT ROWID""",
)
"""Tables that databases of the first version have not, and are given."""


class Database:
    """Connections to one file, lent for the length of a request. Safe to use from many threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()

    def prepare(self) -> None:
        """Create and seed the database if this is its first start.

        One transaction: a process killed half-way leaves an empty file, and of two that start
        together one waits for the other.
        """
        self._turn_on_wal()
        with self.write() as connection:
            for statement in LATER:
                connection.execute(statement)
            if connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
                return
            for statement in SCHEMA:
                connection.execute(statement)
            seed.fill(connection)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; each statement sees the last committed state."""
        connection = self._acquire()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection inside a write transaction: committed at the end, rolled back by an exception."""
        with self.read() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the idle connections; call it when no request is left."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def _acquire(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            connection = sqlite3.connect(
                self._path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            return connection

    def _turn_on_wal(self) -> None:
        # SQLite does not wait for a lock here as it does elsewhere, hence the loop.
        deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while True:
            try:
                with self.read() as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
