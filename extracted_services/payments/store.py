"""The service's own SQLite database: what is to be paid, and what was, by tokens."""

import queue
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from extracted_services.payments import seed
from extracted_services.payments.cards import CardToken

LOCK_TIMEOUT_SECONDS = 30
FIRST_ID = 900_000_000_000
"""Numbers from here on are this service's, those below are the monolith's: a rule tells them apart by the path."""

SCHEMA = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, total_cents INTEGER NOT NULL, paid INTEGER NOT NULL)",
    """CREATE TABLE payments (
        id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL UNIQUE REFERENCES orders,
        amount_cents INTEGER NOT NULL, card_token TEXT NOT NULL, card_fingerprint TEXT NOT NULL,
        brand TEXT NOT NULL, last4 TEXT NOT NULL, created_at TEXT NOT NULL)""",
)
_PAYMENT = "id, order_id, amount_cents, card_token, brand, last4, created_at"


class NoSuchOrderError(Exception):
    """There is no such order here."""


class AlreadyPaidError(Exception):
    """The order is paid."""


class Store:
    """All statements of the service. Safe to use from many threads, and by several processes on one file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "payments.sqlite3"
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()

    def prepare(self) -> None:
        """Create and seed the database in one transaction if this is its first start."""
        self._turn_on_wal()
        with self._write() as connection:
            if connection.execute("PRAGMA user_version").fetchone()[0]:
                return
            for statement in SCHEMA:
                connection.execute(statement)
            connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", seed.orders())
            connection.execute("PRAGMA user_version = 1")

    def close(self) -> None:
        """Close the idle connections; call it when no request is left."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def pay(self, order_id: int, card: CardToken, created_at: str) -> dict[str, Any]:
        """Note that an order is paid in full.

        Raises:
            NoSuchOrderError: It is unknown.
            AlreadyPaidError: It was paid before.
        """
        with self._write() as connection:
            order = connection.execute("SELECT total_cents, paid FROM orders WHERE id = ?", (order_id,)).fetchone()
            if order is None:
                raise NoSuchOrderError
            if order["paid"]:
                raise AlreadyPaidError
            connection.execute("UPDATE orders SET paid = 1 WHERE id = ?", (order_id,))
            row = connection.execute(
                "INSERT INTO payments (id, order_id, amount_cents, card_token, card_fingerprint, brand, last4, "
                "created_at) VALUES ((SELECT max(?, 1 + coalesce(max(id), 0)) FROM payments), ?, ?, ?, ?, ?, ?, ?) "
                f"RETURNING {_PAYMENT}",
                (FIRST_ID, order_id, order["total_cents"], *card, created_at),
            ).fetchone()
            return dict(row)

    def payment(self, payment_id: int) -> dict[str, Any] | None:
        """Return one payment."""
        with self._read() as connection:
            row = connection.execute(f"SELECT {_PAYMENT} FROM payments WHERE id = ?", (payment_id,)).fetchone()
            return dict(row) if row else None

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        connection = self._acquire()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._read() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

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
                with self._read() as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
