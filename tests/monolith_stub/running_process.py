"""Start a shop or a service as a real process on a free port and talk HTTP to it."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).resolve().parents[2]
START_TIMEOUT_SECONDS = 30
_LISTENING = re.compile(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")


@dataclass(frozen=True)
class Running:
    """A started process: a client bound to its address, its data folder and its log."""

    http: httpx.Client
    data: Path
    log: Path

    @property
    def mail(self) -> list[str]:
        """Return the delivered messages, in no order."""
        return [file.read_text() for file in (self.data / "mail" / "new").glob("*")]


@contextmanager
def running(
    module: str, data: Path, environment: Mapping[str, str] | None = None, arguments: Sequence[str] | None = None
) -> Iterator[Running]:
    """Run `python -m module` until the block ends, and see that its log (beside the data) has no stack trace.

    Args:
        module: What to run.
        data: Its data folder.
        environment: Variables beside those of this process.
        arguments: Instead of `--data DATA`.
    """
    log = data.with_name(data.name + ".log")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SMTP_")}
    own = ["--data", str(data)] if arguments is None else arguments
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--host", "127.0.0.1", "--port", "0", *own],
            cwd=REPOSITORY,
            env={**inherited, **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        with httpx.Client(base_url=_address(process, log), timeout=30) as client:
            yield Running(client, data, log)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
    assert "Traceback" not in log.read_text()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    # A second start appends to the same log: only its own lines count.
    marker = f"Started server process [{process.pid}]"
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        _, _, own = log.read_text().partition(marker)
        if match := _LISTENING.search(own):
            return match[1]
        time.sleep(0.02)
    raise AssertionError(f"the process did not start:\n{log.read_text()}")
