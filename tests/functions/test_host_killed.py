"""The host is killed, again and again: what it has acknowledged runs, and no process of it stays behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
from function_host import HANDLERS, PATIENCE, eventually, notes

REPOSITORY = Path(__file__).resolve().parents[2]


class KilledHost:
    """`strangler functions`, started again with the same folder each time it was killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=PATIENCE)

    def start(self) -> None:
        command = [sys.executable, "-m", "proxy", "functions", "--functions-port", str(self.port)]
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._is_healthy, "the host does not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def send(self, number: int) -> str | None:
        """The request id of an event that was acknowledged; None if it was not."""
        url = "/2015-03-31/functions/note/invocations"
        with contextlib.suppress(httpx.TransportError):
            answer = self.client.post(url, json=number, headers={"X-Amz-Invocation-Type": "Event"})
            if answer.status_code == 202:
                return answer.headers["x-amzn-requestid"]
        return None

    def _is_healthy(self) -> bool:
        assert self.process.poll() is None
        with contextlib.suppress(httpx.TransportError):
            return self.client.get("/health").status_code == 200
        return False


def test_what_was_acknowledged_runs_although_the_host_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    function = {"handler": "app.note", "code": str(HANDLERS), "environment": {"NOTES": str(file)}}
    (tmp_path / "functions.yaml").write_text(json.dumps({"version": 1, "functions": {"note": function}}))
    host = KilledHost(tmp_path)
    acknowledged: set[str] = set()
    number = 0
    for _ in range(4):
        host.start()
        until = number + 40
        while number < until:
            number += 1
            if request_id := host.send(number):
                acknowledged.add(request_id)
        host.kill()
    host.start()
    eventually(lambda: acknowledged <= {note["id"] for note in notes(file)}, "an acknowledged event was lost")
    host.process.send_signal(signal.SIGTERM)
    assert host.process.wait(PATIENCE) == 0
    host.client.close()
    assert len(acknowledged) == number


def test_environments_end_with_a_host_that_was_killed(tmp_path: Path) -> None:
    function = {"handler": "app.count", "code": str(HANDLERS)}
    (tmp_path / "functions.yaml").write_text(json.dumps({"version": 1, "functions": {"count": function}}))
    host = KilledHost(tmp_path)
    host.start()
    pid = host.client.post("/2015-03-31/functions/count/invocations", json={}).json()["pid"]
    host.kill()
    host.client.close()
    eventually(lambda: not _lives(pid), "its environment lives on")


def _lives(pid: int) -> bool:
    """A process that has ended but is waited for by nobody has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False
