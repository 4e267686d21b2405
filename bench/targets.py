"""The targets behind the compared proxies, all on the load's core: what they answer, and how they are run."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.cases import Case
from bench.peers import PEERS, Site
from bench.peers.nginx import target_body, target_configuration
from bench.processes import BenchError, cores, free_ports, most_open_files, running, wait_for_port
from bench.table import GROUPS

ANSWER_BYTES = 200
BODIES = {group: target_body(group, ANSWER_BYTES).encode() for group in GROUPS}
"""What nginx, as a target, answers for each group."""


@contextlib.contextmanager
def target(case: Case, folder: Path) -> Iterator[dict[str, int]]:
    """Run the target of a case; yield the port of each group."""
    if case.target == "nginx" and (reason := PEERS["nginx"].missing()):
        raise BenchError(f"{reason} (it is the target)")
    folder.chmod(0o755)
    directory = folder / "target"
    directory.mkdir(mode=0o755)
    ports = dict(zip(GROUPS, free_ports(len(GROUPS)), strict=True))
    if case.target == "nginx":
        if case.download:
            (directory / "large").write_bytes(b"x" * case.download)
        file = directory / "target.conf"
        file.write_text(target_configuration(ports, directory, ANSWER_BYTES))
        command = list(PEERS["nginx"].command(file, Site(0, 0, case.table, ports, directory)))
    else:
        command = [sys.executable, "-m", f"bench.{case.target}_target", *map(str, ports.values())]
    log = directory / "log"
    with running(command, log=log, core=cores()[1], open_files=most_open_files(1 << 16)) as process:
        for port in ports.values():
            wait_for_port(port, process, log)
        yield ports
