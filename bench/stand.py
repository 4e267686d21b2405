"""What the proofs stand on: a proxy, its targets, and a look at the gateway's metrics."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import verify
from bench.certificate import Certificate
from bench.client import Client
from bench.peers import Peer, Site
from bench.processes import BenchError, free_ports, running, tail, wait_for_port
from bench.table import Table


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that runs and has answered a first request."""

    process: subprocess.Popen[bytes]
    site: Site
    file: Path
    log: Path

    @property
    def port(self) -> int:
        return self.site.port

    @property
    def admin_port(self) -> int:
        return self.site.admin_port

    @property
    def door(self) -> verify.Door:
        return verify.Door(self.port, tls=self.site.tls is not None)

    @property
    def pid(self) -> int:
        return self.process.pid

    def check_alive(self) -> None:
        """Raise BenchError if the process has ended."""
        if self.process.poll() is not None:
            raise BenchError(f"the proxy ended with code {self.process.returncode}: {tail(self.log)}")


@contextlib.contextmanager
def serving(
    peer: Peer,
    table: Table,
    target_ports: Mapping[str, int],
    directory: Path,
    *,
    text: str | None = None,
    port: int | None = None,
    core: int | None = None,
    open_files: int | None = None,
    connections: int = 1024,
    workers: int = 1,
    access_log: bool = False,
    tls: Certificate | None = None,
) -> Iterator[Proxy]:
    """Start a proxy, yield it when it answers 200, stop it at the end.

    Args:
        directory: An own empty folder for its files.
        text: Its configuration, if not the one that `peer` makes from the table.
        port: The port that `text` makes it listen on.
        open_files: Its limit of open files, where the one of this process is too low.
        connections: How many clients it has to take at once.
        access_log: Write one, to the file that the proxy's `site` names.
    """
    listen_port, admin_port = free_ports(2)
    site = Site(
        port or listen_port,
        admin_port,
        table,
        target_ports,
        directory,
        connections=connections,
        workers=workers,
        access_log=directory / "access.log" if access_log else None,
        tls=tls,
    )
    directory.chmod(0o755)
    file = directory / peer.file_name
    file.write_text(peer.configuration(site) if text is None else text)
    log = directory / "log"
    command = peer.command(file, site)
    environment = peer.environment()
    with running(command, log=log, core=core, environment=environment, open_files=open_files) as process:
        wait_for_port(site.port, process, log)
        proxy = Proxy(process, site, file, log)
        verify.wait_until_answering(proxy.door, proxy.check_alive)
        yield proxy


@contextlib.contextmanager
def counting_target(
    name: str, port: int, directory: Path, *, delay_ms: float = 0, journal: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `bench.counting_target`; yield it when it listens."""
    command = [sys.executable, "-m", "bench.counting_target", name, str(port), "--delay-ms", str(delay_ms)]
    if journal is not None:
        command += ["--journal", str(journal)]
    log = directory / f"{name}.log"
    with running(command, log=log) as process:
        wait_for_port(port, process, log)
        yield process


async def scrape(admin_port: int) -> dict[str, float]:
    """Return the gateway's metrics, by series as Prometheus text writes it; empty if it does not answer."""
    client = Client(admin_port, host="localhost")
    outcome = await client.request("GET", "/metrics")
    await client.close()
    lines = outcome.body.decode().splitlines() if outcome.status == 200 else []
    series = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in series}


def total(metrics: Mapping[str, float], name: str, *labels: str) -> float | None:
    """Return the sum of a metric's series whose labels contain each text given; None if there are none."""
    found = [
        value
        for series, value in metrics.items()
        if series.partition("{")[0] == name and all(label in series for label in labels)
    ]
    return sum(found) if found else None
