"""The service's own SQLite database: who can be found, by hash, and the hashes of everybody's contacts."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from extracted_services.contacts import seed
from extracted_services.contacts.hashes import contact_hash

LOCK_TIMEOUT_SECONDS = 30
_BATCH = 500

SCHEMA = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)",
    # Hashed once, when a user comes, and not for every upload.
    """CREATE TABLE user_hashes (contact_hash BLOB, user_id INTEGER NOT NULL REFERENCES users,
        PRIMARY KEY (contact_hash, user_id)) WITHOUT ROWID""",
    """CREATE TABLE contact_hashes (user_id INTEGER, contact_hash BLOB, PRIMARY KEY (user_id, contact_hash))
        WITHOUT ROWID""",
)


class Upload:
    """The hashes of one upload, in a temporary table on disk, so that their number does not matter."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._waiting: list[tuple[bytes]] = []
        connection.execute("PRAGMA temp_store = FILE")
        connection.execute("CREATE TEMP TABLE uploaded (contact_hash BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, value: str) -> None:
        """Take an e-mail address or a phone number."""
        self._waiting.append((contact_hash(value),))
        if len(self._waiting) >= _BATCH:
            self._flush()

    def clear(self) -> None:
        """Forget what was taken."""
        self._waiting.clear()
        self._connection.execute("DELETE FROM temp.uploaded")

    def replace_contacts(self, user_id: int) -> tuple[int, list[dict[str, Any]]] | None:
        """Make these the contacts of a user: how many hashes there are, and who is found. None: no such user."""
        self._flush()
        connection = self._connection
        if not connection.execute("SELECT 1 FROM users WHERE id = ?", (user_id,)).fetchone():
            return None
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute("DELETE FROM contact_hashes WHERE user_id = ?", (user_id,))
            inserted = connection.execute(
                "INSERT INTO contact_hashes SELECT ?, contact_hash FROM temp.uploaded ORDER BY contact_hash", (user_id,)
            )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        found = connection.execute(
            "SELECT DISTINCT users.id, users.name FROM temp.uploaded "
            "JOIN user_hashes USING (contact_hash) JOIN users ON users.id = user_hashes.user_id "
            "WHERE users.id != ? ORDER BY users.id",
            (user_id,),
        )
        return inserted.rowcount, [dict(row) for row in found]

    def _flush(self) -> None:
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT OR IGNORE INTO temp.uploaded VALUES (?)", self._waiting)
        self._connection.execute("COMMIT")
        self._waiting.clear()


class Store:
    """One file; each upload has a connection, and with it a temporary table, of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "contacts.sqlite3"

    def prepare(self) -> None:
        """Create and seed the database in one transaction if this is its first start."""
        self._turn_on_wal()
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            if not connection.execute("PRAGMA user_version").fetchone()[0]:
                for statement in SCHEMA:
                    connection.execute(statement)
                for user in seed.users():
                    connection.execute("INSERT INTO users VALUES (?, ?)", (user.id, user.name))
                    hashes = {contact_hash(user.email), contact_hash(user.phone)}
                    connection.executemany("INSERT INTO user_hashes VALUES (?, ?)", ((one, user.id) for one in hashes))
                connection.execute("PRAGMA user_version = 1")
            connection.execute("COMMIT")

    @contextmanager
    def upload(self) -> Iterator[Upload]:
        """Lend what takes an upload; what it has taken is gone afterwards, but for `replace_contacts`."""
        with self._connected() as connection:
            yield Upload(connection)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(
            self._path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        finally:
            connection.close()

    def _turn_on_wal(self) -> None:
        # SQLite does not wait for a lock here as it does elsewhere, hence the loop.
        deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while True:
            try:
                with self._connected() as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
