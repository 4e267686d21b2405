"""The whole gateway as a user runs it: `python -m proxy serve` in a process of its own."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
"""Seconds; a machine that does much else starts a process slowly."""


class Served:
    """A running gateway.

    Attributes:
        port, admin_port: Where it listens.
        table: Its `routes.yaml`, to be rewritten.
    """

    def __init__(self, table: Path, port: int, admin_port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.table = table
        self.port = port
        self.admin_port = admin_port
        self.process = process
        self.log = log
        self.admin = httpx.Client(base_url=f"http://127.0.0.1:{admin_port}", trust_env=False, timeout=10)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels; 0.0 if there is none."""
        total = 0.0
        for family in text_string_to_metric_families(self.admin.get("/metrics").text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    total += sample.value
        return total

    def eventually(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until it holds; fail with the gateway's log if it does not within `PATIENCE` seconds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, f"the gateway ended:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"{what}\n{self.log.read_text()}"
            time.sleep(0.05)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    @property
    def is_ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.admin.get("/readyz").status_code == 200
        return False


def free_port() -> int:
    """A port nobody listens on at this moment.

    It lies below those that connections get (32768 on, `ip_local_port_range`), so none of another test takes it before
    the gateway does.
    """
    while True:
        port = random.randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def serving(
    folder: Path, table: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """Run the gateway with this table, in which PORT stands for a free port, until it is ready."""
    port, admin_port = free_port(), free_port()
    path, log = folder / "routes.yaml", folder / "gateway.log"
    path.write_text(table.replace("PORT", str(port)))
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(path), "--host", "127.0.0.1"]
    command += ["--admin-port", str(admin_port), *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env={**os.environ, **(environment or {})}, stdout=output, stderr=output
        )
    served = Served(path, port, admin_port, process, log)
    try:
        served.eventually(lambda: served.is_ready, "not ready")
        yield served
    finally:
        served.client.close()
        served.admin.close()
        if process.poll() is None:
            process.kill()
        process.wait()
