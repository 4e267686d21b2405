"""What must outlive the host: asynchronous events, mappings made through the API, checkpoints. One SQLite file."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, fields
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from proxy.functions.model import MappingConfig
from proxy.functions.retry import QueuedEvent

P = ParamSpec("P")
T = TypeVar("T")

_COLUMNS = ", ".join(field.name for field in fields(QueuedEvent))
_PLACES = ", ".join("?" for _ in fields(QueuedEvent))
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    request_id TEXT PRIMARY KEY, function TEXT NOT NULL, payload BLOB NOT NULL, trace_id TEXT NOT NULL,
    accepted REAL NOT NULL, due REAL NOT NULL, attempts INTEGER NOT NULL, throttles INTEGER NOT NULL,
    condition TEXT NOT NULL, response BLOB, failed INTEGER NOT NULL, deliveries INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS events_due ON events (function, due);
CREATE TABLE IF NOT EXISTS mappings (uuid TEXT PRIMARY KEY, mapping TEXT NOT NULL, modified REAL NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints (
    mapping TEXT NOT NULL, shard TEXT NOT NULL, position TEXT NOT NULL, PRIMARY KEY (mapping, shard)
);
"""


class StoreError(Exception):
    """The file cannot be used or written to; the message says why."""


class Store:
    """Its methods block: call what reads through `run` and what changes something through `write`.

    There is one thread for all of them. What waits while the disk is at work is written together.

    Raises:
        StoreError: The file cannot be opened, or another host has it open.
    """

    def __init__(self, path: Path) -> None:
        self._waiting: list[tuple[Callable[[], None], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "function-store")
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1)
        try:
            # Two hosts on one file would both run the events that are in it.
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._db.close()
            raise StoreError(f"{path}: {error} (is another function host running on it?)") from None

    async def run(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call one of its methods outside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(method, *args, **kwargs))

    async def write(self, method: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call one of its methods outside the event loop and return when what it changes is on disk.

        Raises:
            StoreError: It is not: the disk is full, or the store is closed.
        """
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((partial(method, *args, **kwargs), written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_waiting())
        await written

    async def _write_waiting(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                error: Exception | None = None
                try:
                    await self.run(self._transaction, [change for change, _ in batch])
                except (sqlite3.Error, RuntimeError) as failure:
                    error = StoreError(f"nothing can be kept: {failure}")
                for _, written in batch:
                    if written.done():
                        continue
                    if error is None:
                        written.set_result(None)
                    else:
                        written.set_exception(error)
        finally:
            self._writing = None

    def _transaction(self, changes: list[Callable[[], None]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for change in changes:
                change()
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._db.close()

    def put(self, event: QueuedEvent) -> None:
        """Keep an event, in place of what was kept of it."""
        self._db.execute(f"INSERT OR REPLACE INTO events ({_COLUMNS}) VALUES ({_PLACES})", astuple(event))

    def remove(self, request_id: str) -> None:
        self._db.execute("DELETE FROM events WHERE request_id = ?", (request_id,))

    def due(self, function: str, now: float, limit: int, *, over: bool) -> list[QueuedEvent]:
        """The events of a function whose time has come and that are over or are not, the longest due first."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM events"
            " WHERE function = ? AND (condition != '') = ? AND due <= ? ORDER BY due LIMIT ?",
            (function, over, now, limit),
        )
        return [_event(row) for row in rows]

    def ready(self, now: float) -> dict[str, int]:
        """How many events of each function have their time come."""
        rows = self._db.execute("SELECT function, count(*) FROM events WHERE due <= ? GROUP BY function", (now,))
        return dict(rows.fetchall())

    def next_due(self, now: float) -> float | None:
        """When the next event after `now` is due."""
        row = self._db.execute("SELECT min(due) FROM events WHERE due > ?", (now,)).fetchone()
        due: float | None = row[0]
        return due

    def depth(self) -> dict[str, int]:
        """How many events each function has waiting."""
        return dict(self._db.execute("SELECT function, count(*) FROM events GROUP BY function").fetchall())

    def mappings(self) -> dict[str, tuple[MappingConfig, float]]:
        """The mappings made through the API, by UUID, with when each was changed."""
        rows = self._db.execute("SELECT uuid, mapping, modified FROM mappings").fetchall()
        return {uuid: (_mapping(mapping), modified) for uuid, mapping, modified in rows}

    def put_mapping(self, uuid: str, mapping: MappingConfig, modified: float) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO mappings VALUES (?, ?, ?)", (uuid, json.dumps(asdict(mapping)), modified)
        )

    def remove_mapping(self, uuid: str) -> None:
        """Forget a mapping and how far it has read."""
        self._db.execute("DELETE FROM mappings WHERE uuid = ?", (uuid,))
        self._db.execute("DELETE FROM checkpoints WHERE mapping = ?", (uuid,))

    def checkpoints(self, mapping: str) -> dict[str, str]:
        """How far a mapping has read, by shard."""
        rows = self._db.execute("SELECT shard, position FROM checkpoints WHERE mapping = ?", (mapping,))
        return dict(rows.fetchall())

    def put_checkpoint(self, mapping: str, shard: str, position: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)", (mapping, shard, position))


def _mapping(text: str) -> MappingConfig:
    values = json.loads(text)
    return MappingConfig(**values | {"filters": tuple(values.get("filters", ()))})


def _event(row: tuple[object, ...]) -> QueuedEvent:
    values = dict(zip((field.name for field in fields(QueuedEvent)), row, strict=True))
    values["failed"] = bool(values["failed"])
    return QueuedEvent(**values)  # type: ignore[arg-type]
