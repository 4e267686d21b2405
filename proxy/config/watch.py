"""Notices that a file has new content."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import inspect
import logging
import stat
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from proxy.config.load import MAX_BYTES

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.5

Signature = tuple[int, ...]
Sleep = Callable[[float], Awaitable[object]]
MISSING: Signature = ()
Seen = TypeVar("Seen")


def signature_of(path: Path) -> Signature:
    """What changes when a file is written or replaced: inode, size and both times; raises OSError."""
    status = path.stat()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def content_of(path: Path) -> bytes:
    """The file's bytes, and not many more than a table may have; raises OSError, also for what is no regular file.

    A pipe or a terminal would keep whoever reads it waiting until somebody writes.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


class Watcher:
    """Calls `on_change` once for each new content of a file, while the `async with` block runs.

    It polls, because editors replace the inode and bind mounts tell nothing. The signature is looked at first
    and the content only when it differs; what counts is the content, so a `touch` changes nothing. New content is
    used at the second look in a row that finds it, so that a file is not read while it is being written. A file
    that is missing or unreadable keeps its last content, however long.

    Args:
        path: The file; symbolic links are followed, as a mounted Kubernetes volume swaps them.
        on_change: Called without arguments, awaited if it returns an awaitable. Changes during a call are seen
            after it. What it raises is logged and does not end the watch.
        known: The content that is in use already; without it, what the file holds at the first look.
        companions: Further files whose content counts as part of it; a missing one counts as empty.
        interval_seconds: Time between two looks.
        signature, content, sleep: Stand-ins for tests.
    """

    def __init__(
        self,
        path: Path,
        on_change: Callable[[], Awaitable[object] | object],
        *,
        known: bytes | None = None,
        companions: Callable[[], Iterable[Path]] = tuple,
        interval_seconds: float = INTERVAL_SECONDS,
        signature: Callable[[Path], Signature] = signature_of,
        content: Callable[[Path], bytes] = content_of,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._path = path
        self._on_change = on_change
        self._companions = companions
        self._interval_seconds = interval_seconds
        self._signature = signature
        self._content = content
        self._sleep = sleep
        self._seen: list[Signature] | None = None
        self._pending: bytes | None = None
        self._is_missing = False
        self._in_use = None if known is None else _digest([known, *self._companion_contents()])
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._in_use is None:
            self._take_as_in_use()
        self._task = asyncio.create_task(self.run(), name=f"watch {self._path}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def run(self) -> None:
        """Look again and again; ends only by cancellation."""
        while True:
            await self._sleep(self._interval_seconds)
            await self.look()

    async def look(self) -> None:
        """Look once, and call `on_change` if the content is new and was the same at the look before."""
        try:
            if not self._has_new_content():
                return
        except OSError as error:
            if not self._is_missing:
                logger.warning("%s cannot be read, what was read before stays in use: %s", self._path, error)
            self._is_missing = True
            self._seen = self._pending = None
            return
        self._in_use, self._pending = self._pending, None
        try:
            result = self._on_change()
            if inspect.isawaitable(result):
                await result
        except Exception:  # the watch must outlive any one reload
            logger.exception("%s changed, and taking up the change failed", self._path)

    def _take_as_in_use(self) -> None:
        try:
            self._in_use = _digest(self._contents())
        except OSError:
            # Whatever appears is new.
            self._in_use = b""

    def _has_new_content(self) -> bool:
        signature = self._signatures()
        if signature == self._seen and self._pending is None:
            return False
        digest = _digest(self._contents())
        self._seen = signature
        self._is_missing = False
        if digest == self._in_use:
            self._pending = None
            return False
        if digest != self._pending:
            self._pending = digest
            return False
        return True

    def _signatures(self) -> list[Signature]:
        return [self._signature(self._path), *(_or(self._signature, path, MISSING) for path in self._companions())]

    def _contents(self) -> list[bytes]:
        return [self._content(self._path), *self._companion_contents()]

    def _companion_contents(self) -> list[bytes]:
        return [_or(self._content, path, b"") for path in self._companions()]


def _or(look: Callable[[Path], Seen], path: Path, missing: Seen) -> Seen:
    try:
        return look(path)
    except (OSError, ValueError):
        return missing


def _digest(contents: list[bytes]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for content in contents:
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.digest()
