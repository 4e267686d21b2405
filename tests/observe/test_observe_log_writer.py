"""The writer thread: nothing is lost in peace, nothing blocks in trouble."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.observe import log_writer
from proxy.observe.log_writer import LogWriter


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.005)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def writer(log: Path) -> Iterator[LogWriter]:
    writer = LogWriter(str(log), flush_seconds=0.01)
    yield writer
    writer.close()


def test_lines_appear_without_close(writer: LogWriter, log: Path) -> None:
    writer.write("one")
    writer.write("two")

    wait_until(lambda: log.read_text() == "one\ntwo\n")


def test_lines_are_appended_to_what_is_there(log: Path) -> None:
    log.write_text("before\n")
    writer = LogWriter(str(log))
    writer.write("after")
    writer.close()

    assert log.read_text() == "before\nafter\n"


def test_the_file_is_not_for_everybody(writer: LogWriter, log: Path) -> None:
    assert not stat.S_IMODE(log.stat().st_mode) & 0o007


def test_a_renamed_file_is_followed_by_a_new_one(writer: LogWriter, log: Path) -> None:
    writer.write("old")
    wait_until(lambda: log.read_text() == "old\n")
    log.rename(log.with_suffix(".1"))
    wait_until(log.exists)
    writer.write("new")

    wait_until(lambda: log.read_text() == "new\n")
    assert log.with_suffix(".1").read_text() == "old\n"


def test_a_deleted_file_is_made_again(writer: LogWriter, log: Path) -> None:
    log.unlink()
    wait_until(log.exists)
    writer.write("line")

    wait_until(lambda: log.read_text() == "line\n")


def test_a_truncated_file_is_written_from_its_start(writer: LogWriter, log: Path) -> None:
    """As `copytruncate` of logrotate does it."""
    writer.write("old")
    wait_until(lambda: log.read_text() == "old\n")
    os.truncate(log, 0)
    writer.write("new")

    wait_until(lambda: log.read_text() == "new\n")


def test_reopen_keeps_writing(writer: LogWriter, log: Path) -> None:
    writer.write("one")
    writer.reopen()
    writer.write("two")

    wait_until(lambda: log.read_text() == "one\ntwo\n")


def test_what_the_disk_cannot_take_in_time_is_dropped_and_counted(tmp_path: Path) -> None:
    """A pipe that nobody reads blocks the writer as a dead disk would; `write` returns all the same."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = LogWriter(str(pipe), flush_seconds=0.01, pending_bytes=500_000)
    line = "x" * 999
    for _ in range(2000):
        writer.write(line)

    assert 1000 < writer.dropped < 2000
    accepted = 2000 - writer.dropped
    os.set_blocking(reader, True)
    received = 0
    while received < accepted * 1000:
        received += len(os.read(reader, 65536))
    writer.close()
    assert received == accepted * 1000
    assert 2000 - accepted == writer.dropped
    os.close(reader)


def test_a_blocked_disk_does_not_hold_up_the_end_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log_writer, "CLOSE_SECONDS", 0.1)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = LogWriter(str(pipe), flush_seconds=0.01)
    for _ in range(200):
        writer.write("x" * 9999)
    writer.close()

    assert "still blocked" in caplog.text
    os.close(reader)
    wait_until(lambda: all(thread.name != "access-log" for thread in threading.enumerate()))


def test_a_disk_that_refuses_is_reported_once_and_recovers(
    log: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real_write = os.write
    refusing = True

    def write(file: int, data: memoryview) -> int:
        if refusing:
            raise OSError(28, "No space left on device")
        return real_write(file, data)

    monkeypatch.setattr(log_writer.os, "write", write)
    with caplog.at_level(logging.ERROR):
        writer = LogWriter(str(log), flush_seconds=0.01)
        for expected in (1, 2, 3):
            writer.write("lost")
            wait_until(lambda expected=expected: writer.dropped == expected)
        refusing = False
        writer.write("kept")
        writer.close()

    assert log.read_text() == "kept\n"
    assert writer.dropped == 3
    assert caplog.text.count("No space left on device") == 1


def test_a_line_that_was_torn_does_not_spoil_the_next(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up takes a part of a batch."""
    real_write = os.write
    results = iter([4, OSError(28, "No space left on device")])

    def write(file: int, data: memoryview) -> int:
        result = next(results, None)
        if isinstance(result, OSError):
            raise result
        return real_write(file, data[:result])

    monkeypatch.setattr(log_writer.os, "write", write)
    writer = LogWriter(str(log), flush_seconds=0.01)
    writer.write("torn apart")
    wait_until(lambda: writer.dropped == 1)
    writer.write("whole")
    writer.close()

    assert log.read_text() == "torn\nwhole\n"


def test_lines_after_close_are_dropped(log: Path) -> None:
    writer = LogWriter(str(log))
    writer.close()
    writer.write("late")

    assert writer.dropped == 1
    assert log.read_text() == ""


def test_many_lines_keep_their_order(log: Path) -> None:
    writer = LogWriter(str(log), flush_seconds=0.001)
    for number in range(20_000):
        writer.write(str(number))
    writer.close()

    assert log.read_text().split() == [str(number) for number in range(20_000)]


def test_standard_output() -> None:
    script = (
        "from proxy.observe.log_writer import LogWriter\n"
        "writer = LogWriter('-')\n"
        "writer.write('a line')\n"
        "writer.close()\n"
        "print('still open')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout == "a line\nstill open\n"
