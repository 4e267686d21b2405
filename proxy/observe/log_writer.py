"""Lines to a file from a thread of their own, so that a slow disk never holds up the event loop."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque

logger = logging.getLogger(__name__)

STANDARD_OUTPUT = "-"
FLUSH_SECONDS = 0.5
FLUSH_BYTES = 256 * 1024
PENDING_BYTES = 16 * 1024 * 1024
CHUNK_LINES = 1000
CLOSE_SECONDS = 5.0


class LogWriter:
    """Appends lines to a file, in batches.

    A line is handed over to a writer thread, which writes after `flush_seconds` or as soon as `FLUSH_BYTES`
    wait. Once `pending_bytes` wait, or when the disk refuses, lines are dropped and counted. The file is
    opened by name again after `reopen` and when the name no longer leads to it, so both kinds of log rotation
    work; it is created readable for owner and group only, since it holds addresses of people.

    Each batch goes out in whole lines to a file opened for appending, so several workers may share it.

    Args:
        path: A file, or `-` for standard output.
        flush_seconds: How long a line may wait.
        pending_bytes: How much may wait in memory.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, path: str, *, flush_seconds: float = FLUSH_SECONDS, pending_bytes: int = PENDING_BYTES) -> None:
        self._path = path
        self._flush_seconds = flush_seconds
        self._pending_bytes = pending_bytes
        self._lines: deque[str] = deque()
        # Each counter has one thread that writes it, so no lock is needed to compare them.
        self._accepted = 0
        self._refused_lines = 0
        self._taken = 0
        self._lost_lines = 0
        self._wake = threading.Event()
        self._is_woken = False
        self._stopping = False
        self._reopening = False
        self._failing = False
        self._torn = False
        self._file: int | None = self._open()
        self._writing = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._writing.start()

    @property
    def dropped(self) -> int:
        """Lines accepted for nothing: memory was full, or the disk refused them."""
        return self._refused_lines + self._lost_lines

    def write(self, line: str) -> None:
        """Take one line, without its end. Never blocks."""
        pending = self._accepted - self._taken
        if pending > self._pending_bytes or self._stopping:
            self._refused_lines += 1
            return
        self._accepted += len(line)
        self._lines.append(line)
        if pending > FLUSH_BYTES and not self._is_woken:
            self._is_woken = True
            self._wake.set()

    def reopen(self) -> None:
        """Open the file by its name again, soon and in the writer thread."""
        self._reopening = True
        self._wake.set()

    def close(self) -> None:
        """Write what is left, within `CLOSE_SECONDS`, and close the file. Later lines are dropped."""
        self._stopping = True
        self._wake.set()
        self._writing.join(CLOSE_SECONDS)
        if self._writing.is_alive():
            logger.error(
                "access log %s: still blocked after %g s, %d lines lost",
                self._path,
                CLOSE_SECONDS,
                len(self._lines),
            )

    def _run(self) -> None:
        while True:
            stopping = self._stopping
            if not stopping:
                self._wake.wait(self._flush_seconds)
            self._wake.clear()
            self._is_woken = False
            self._follow_rotation()
            self._drain()
            if stopping:
                self._close_file()
                return

    def _drain(self) -> None:
        while self._lines:
            batch = [self._lines.popleft() for _ in range(min(len(self._lines), CHUNK_LINES))]
            try:
                self._write_out(("\n".join(batch) + "\n").encode("utf-8", "backslashreplace"))
                self._failing = False
            except OSError as error:
                self._lost_lines += len(batch)
                self._complain(error)
            # Only now: what is being written still takes up memory.
            self._taken += sum(map(len, batch))

    def _write_out(self, data: bytes) -> None:
        if self._file is None:
            self._file = self._open()
        rest = memoryview(b"\n" + data if self._torn else data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
            # Where a disk takes only a part, the line that it tore must not spoil the next.
            self._torn = bool(rest)

    def _follow_rotation(self) -> None:
        """Close the file when it is no longer the one its name leads to; the next batch opens the new one."""
        if self._path == STANDARD_OUTPUT or self._file is None:
            return
        asked, self._reopening = self._reopening, False
        try:
            now = os.stat(self._path)
            here = os.fstat(self._file)
            moved = (now.st_dev, now.st_ino) != (here.st_dev, here.st_ino)
        except FileNotFoundError:
            moved = True
        except OSError as error:
            self._complain(error)
            return
        if moved or asked:
            self._close_file()
            try:
                self._file = self._open()
            except OSError as error:
                self._complain(error)

    def _open(self) -> int:
        self._torn = False
        if self._path == STANDARD_OUTPUT:
            return os.dup(1)
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _close_file(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None

    def _complain(self, error: OSError) -> None:
        """Say it once, not for every batch."""
        if not self._failing:
            self._failing = True
            logger.error("access log %s: %s; lines are dropped until it works again", self._path, error)
