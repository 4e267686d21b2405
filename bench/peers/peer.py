"""What a compared proxy is told and what it has to offer."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from bench.certificate import Certificate
from bench.table import Table


@dataclass(frozen=True, slots=True)
class Site:
    """What a proxy serves: a table on a port of 127.0.0.1, with one target, a port of 127.0.0.1, per group.

    `connections` is how many clients it has to take at once, `workers` how many threads or processes forward.
    With `access_log` it writes a line a request to that file, with `tls` it speaks HTTPS.
    """

    port: int
    admin_port: int
    table: Table
    target_ports: Mapping[str, int]
    directory: Path
    connections: int = 1024
    workers: int = 1
    access_log: Path | None = None
    tls: Certificate | None = None


class Peer(Protocol):
    """A proxy to compare. `configuration` is pure; `command` names the file that holds its text.

    `configuration` raises BenchError for a site that it has no words for.
    """

    name: ClassVar[str]
    file_name: ClassVar[str]
    counts: ClassVar[str]
    """What it counts per request: metrics that are part of the same work."""
    decides: ClassVar[bool]
    """False for a floor, which forwards everything to the default group and adds nothing."""

    def missing(self) -> str | None:
        """Return why it cannot run here and the remedy, or None."""

    def version(self) -> str: ...

    def configuration(self, site: Site) -> str: ...

    def command(self, file: Path, site: Site) -> Sequence[str]: ...

    def check_command(self, file: Path) -> Sequence[str] | None:
        """Return the command with which it validates a configuration, or None if it has none."""

    def environment(self) -> Mapping[str, str]: ...


def output_of(*command: str) -> str:
    """Return what a command prints on both its outputs."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()
