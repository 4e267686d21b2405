"""A task is a process: started, listened to, ended when it takes too long. On AWS a container would be started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

GRACE_SECONDS = 10.0
"""Between SIGTERM and SIGKILL."""
MAX_LINE = 16_384
_POLL_SECONDS = 0.1


def run_task(
    command: Sequence[str],
    variables: Mapping[str, str],
    timeout_seconds: float,
    stopping: threading.Event,
    on_line: Callable[[str], None],
) -> int:
    """Run a command to its end and return its exit code (negative: the signal that ended it).

    It and all that it has started is ended after `timeout_seconds`, or when `stopping` is set: by SIGTERM, and by
    SIGKILL `GRACE_SECONDS` later.

    Raises:
        OSError: It cannot be started.
    """
    # `python` in a command is the one that runs the scheduler, also in a virtual environment that is not activated.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = {**os.environ, "PATH": path, **variables}
    process = subprocess.Popen(
        [shutil.which(command[0], path=path) or command[0], *command[1:]],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    reader = threading.Thread(target=_read_lines, args=(process, on_line), name="task-output", daemon=True)
    reader.start()
    deadline = time.monotonic() + timeout_seconds
    while process.poll() is None:
        if stopping.is_set() or time.monotonic() > deadline:
            _signal_group(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
            break
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)
    _signal_group(process, signal.SIGKILL)
    exit_code = process.wait()
    reader.join(GRACE_SECONDS)
    return exit_code


def _read_lines(process: subprocess.Popen[bytes], on_line: Callable[[str], None]) -> None:
    assert process.stdout is not None
    with process.stdout as output:
        while line := output.readline(MAX_LINE):
            on_line(line.decode(errors="replace").rstrip("\r\n"))


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
