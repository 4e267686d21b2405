"""The service's own SQLite database: the users, and the outbox that is written in the same transaction."""

import json
import queue
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path
from typing import Any, NamedTuple

from extracted_services.users import seed
from extracted_services.users.events import Event, user_signed_up

LOCK_TIMEOUT_SECONDS = 30
LEASE_SECONDS = 60

SCHEMA = (
    """CREATE TABLE users (
        id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL, phone TEXT,
        city TEXT NOT NULL, created_at TEXT NOT NULL, password_hash TEXT NOT NULL)""",
)
OUTBOX = """CREATE TABLE events (
    id INTEGER PRIMARY KEY, body TEXT NOT NULL, attributes TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL)"""
SCHEMA_VERSION = 2
_USER = "id, email, name, phone, city, created_at"


class AddressTakenError(Exception):
    """Another user has this e-mail address."""


class PendingEvent(NamedTuple):
    """An event leased to one worker; `attempts` counts this one too."""

    id: int
    event: Event
    attempts: int


class Store:
    """All statements of the service. Safe to use from many threads, and by several processes on one file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "users.sqlite3"
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()

    def prepare(self) -> None:
        """In one transaction, create and seed the database if there is none, or bring an older one up to date."""
        self._turn_on_wal()
        with self._write() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == SCHEMA_VERSION:
                return
            if version == 0:
                for statement in SCHEMA:
                    connection.execute(statement)
                connection.executemany(
                    "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)",
                    ((*user, seed.PASSWORD_HASH) for user in seed.users()),
                )
            connection.execute(OUTBOX)
            if version == 1:
                self._turn_mail_into_events(connection)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        """Close the idle connections; call it when no request is left."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def has_address(self, email: str) -> bool:
        """Tell whether a user has this address."""
        with self._read() as connection:
            return connection.execute("SELECT 1 FROM users WHERE email = ?", (email,)).fetchone() is not None

    def add_user(self, values: tuple[str | None, ...], event_of: Callable[[dict[str, Any]], Event]) -> dict[str, Any]:
        """Store a user (email, name, phone, city, created_at, password_hash) and the event of them, or neither.

        Raises: AddressTakenError
        """
        try:
            with self._write() as connection:
                row = connection.execute(
                    "INSERT INTO users (email, name, phone, city, created_at, password_hash) "
                    f"VALUES (?, ?, ?, ?, ?, ?) RETURNING {_USER}",
                    values,
                ).fetchone()
                user = dict(row)
                self._put_into_outbox(connection, event_of(user))
                return user
        except sqlite3.IntegrityError as error:
            raise AddressTakenError from error

    def user(self, user_id: int) -> dict[str, Any] | None:
        """Return one user."""
        with self._read() as connection:
            row = connection.execute(f"SELECT {_USER} FROM users WHERE id = ?", (user_id,)).fetchone()
            return dict(row) if row else None

    def user_with_password(self, email: str) -> tuple[dict[str, Any], str] | None:
        """Return the user with this address and their password hash."""
        with self._read() as connection:
            row = connection.execute(f"SELECT {_USER}, password_hash FROM users WHERE email = ?", (email,)).fetchone()
        if row is None:
            return None
        user = dict(row)
        return user, user.pop("password_hash")

    def users(self, after: int, limit: int) -> list[dict[str, Any]]:
        """Return users by id."""
        with self._read() as connection:
            rows = connection.execute(f"SELECT {_USER} FROM users WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
            return [dict(row) for row in rows]

    def lease_event(self, now: float) -> PendingEvent | None:
        """Take the oldest event that is due; unless finished, it is due again after `LEASE_SECONDS`."""
        with self._write() as connection:
            row = connection.execute(
                "UPDATE events SET attempts = attempts + 1, due_at = ? "
                "WHERE id = (SELECT id FROM events WHERE due_at <= ? ORDER BY id LIMIT 1) "
                "RETURNING id, body, attributes, attempts",
                (now + LEASE_SECONDS, now),
            ).fetchone()
        if row is None:
            return None
        return PendingEvent(row["id"], Event(row["body"], json.loads(row["attributes"])), row["attempts"])

    def finish_event(self, event_id: int) -> None:
        """Forget an event that was delivered."""
        with self._write() as connection:
            connection.execute("DELETE FROM events WHERE id = ?", (event_id,))

    def postpone_event(self, event_id: int, due_at: float) -> None:
        """Make a leased event due at this time (seconds since the epoch)."""
        with self._write() as connection:
            connection.execute("UPDATE events SET due_at = ? WHERE id = ?", (due_at, event_id))

    def _put_into_outbox(self, connection: sqlite3.Connection, event: Event) -> None:
        connection.execute(
            "INSERT INTO events (body, attributes, due_at) VALUES (?, ?, ?)",
            (event.body, json.dumps(event.attributes), time.time()),
        )

    def _turn_mail_into_events(self, connection: sqlite3.Connection) -> None:
        """Version 1 kept finished mails in its outbox; whom they were for is all that is needed of them."""
        for row in connection.execute("SELECT message FROM outbox ORDER BY id").fetchall():
            address = message_from_bytes(row["message"])["To"]
            user = connection.execute(f"SELECT {_USER} FROM users WHERE email = ?", (address,)).fetchone()
            if user is not None:
                self._put_into_outbox(connection, user_signed_up(dict(user), {}))
        connection.execute("DROP TABLE outbox")

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
                if connection.in_transaction:
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
