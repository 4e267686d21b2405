"""The watcher: one call for each new content, whatever editors, mounts and half-written files do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config.watch import Signature, Watcher, content_of


class Disk:
    """A file whose content and signature the test decides; None is a missing file."""

    def __init__(self, content: bytes | None) -> None:
        self.content = content
        self.writes = 0
        self.reads = 0

    def write(self, content: bytes | None) -> None:
        self.content = content
        self.writes += 1

    def signature_of(self, path: Path) -> Signature:
        if self.content is None:
            raise FileNotFoundError(path)
        return (self.writes,)

    def content_of(self, path: Path) -> bytes:
        self.reads += 1
        if self.content is None:
            raise FileNotFoundError(path)
        return self.content


def calls_after(steps: list[bytes | str | None], known: bytes | None = b"a") -> list[int]:
    """How many calls there were after each look. A step is what the file holds at that look, `=` as before."""
    disk = Disk(known)
    calls: list[bytes | None] = []
    watcher = Watcher(
        Path("routes.yaml"),
        lambda: calls.append(disk.content),
        known=known,
        signature=disk.signature_of,
        content=disk.content_of,
    )

    async def look() -> list[int]:
        counts = []
        for step in steps:
            if not isinstance(step, str):
                disk.write(step)
            await watcher.look()
            counts.append(len(calls))
        return counts

    return asyncio.run(look())


@pytest.mark.parametrize(
    ("steps", "calls"),
    [
        pytest.param(["=", "=", "="], [0, 0, 0], id="nothing happens"),
        pytest.param([b"b", "=", "=", "="], [0, 1, 1, 1], id="a change is used at the second look, and once"),
        pytest.param([b"a", "=", "="], [0, 0, 0], id="a touch is no change"),
        pytest.param([b"b", b"bc", b"bcd", "=", "="], [0, 0, 0, 1, 1], id="a file in the making is waited for"),
        pytest.param([b"b", b"a", "="], [0, 0, 0], id="a change taken back is none"),
        pytest.param([b"b", "=", b"a", "="], [0, 1, 1, 2], id="back to what was is a change again"),
        pytest.param([None, None, b"a", "="], [0, 0, 0, 0], id="missing for a while, and the same again"),
        pytest.param([None, None, b"b", "="], [0, 0, 0, 1], id="missing for a while, and another one"),
        pytest.param([b"b", None, b"b", "="], [0, 0, 0, 1], id="missing between the two looks"),
        pytest.param([b"", "="], [0, 1], id="an emptied file is a change: the reload says what is wrong"),
    ],
)
def test_when_a_change_is_told(steps: list[bytes | str | None], calls: list[int]) -> None:
    assert calls_after(steps) == calls


def test_the_content_is_not_read_while_the_signature_stays() -> None:
    disk = Disk(b"a")
    watcher = Watcher(Path("x"), lambda: None, known=b"a", signature=disk.signature_of, content=disk.content_of)

    async def look_often() -> None:
        for _ in range(10):
            await watcher.look()

    asyncio.run(look_often())

    assert disk.reads == 1


def test_companions_count_as_content(tmp_path: Path) -> None:
    """Each change of any of them is told once, as is one that appears or goes."""
    table, certificate = tmp_path / "routes.yaml", tmp_path / "web.pem"
    table.write_text("a")
    calls: list[int] = []

    async def look_after(*changes: Callable[[], object]) -> list[int]:
        watcher = Watcher(table, lambda: calls.append(1), known=b"a", companions=lambda: [certificate])
        counts = []
        for change in changes:
            change()
            await watcher.look()
            await watcher.look()
            counts.append(len(calls))
        return counts

    changes = (
        lambda: None,
        lambda: certificate.write_text("b"),
        lambda: certificate.write_text("cc"),
        lambda: table.write_text("ab"),
        certificate.unlink,
        lambda: None,
    )
    assert asyncio.run(look_after(*changes)) == [0, 1, 2, 3, 4, 4]


def test_a_failing_call_is_logged_and_the_watch_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk(b"a")
    calls: list[bytes | None] = []

    async def reload() -> None:
        calls.append(disk.content)
        raise RuntimeError("no")

    async def change_twice() -> None:
        watcher = Watcher(Path("x"), reload, known=b"a", signature=disk.signature_of, content=disk.content_of)
        for content in (b"b", b"c"):
            disk.write(content)
            await watcher.look()
            await watcher.look()

    asyncio.run(change_twice())

    assert calls == [b"b", b"c"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_a_missing_file_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    assert calls_after([None, None, None]) == [0, 0, 0]
    assert len(caplog.records) == 1


def _write_in_place(path: Path) -> None:
    path.write_text("b")


def _replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_text("b")
    os.replace(other, path)


def _write_keeping_the_time(path: Path) -> None:
    status = path.stat()
    path.write_text("b")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _swap_the_link(path: Path) -> None:
    """As a Kubernetes config map does."""
    target = path.with_name("second")
    target.write_text("b")
    link = path.with_name("link")
    link.symlink_to(target)
    os.replace(link, path)


@pytest.mark.parametrize("change", [_write_in_place, _replace, _write_keeping_the_time, _swap_the_link])
def test_a_real_file(tmp_path: Path, change: object) -> None:
    """Whatever way the content comes, it is noticed; the calls are awaited before the watch ends."""
    assert callable(change)
    path = tmp_path / "routes.yaml"
    path.write_text("a")

    async def watch() -> str:
        changed = asyncio.Event()

        async def on_change() -> None:
            changed.set()

        async with Watcher(path, on_change, interval_seconds=0.01):
            change(path)
            await asyncio.wait_for(changed.wait(), 10)
        return path.read_text()

    assert asyncio.run(watch()) == "b"


def test_leaving_the_block_ends_the_watch(tmp_path: Path) -> None:
    async def watch() -> int:
        async with Watcher(tmp_path / "none", lambda: None, interval_seconds=0.001):
            pass
        return len(asyncio.all_tasks())

    assert asyncio.run(watch()) == 1


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    """Whoever reads a pipe waits until somebody writes, and the gateway with it."""
    pipe = tmp_path / "routes.yaml"
    os.mkfifo(pipe)

    with pytest.raises(OSError, match="not a regular file"):
        content_of(pipe)
