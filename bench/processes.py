"""Child processes of a benchmark: started on a core, measured through /proc, always stopped."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
STOP_SECONDS = 5.0


class BenchError(Exception):
    """A benchmark cannot give a number; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process tree in KiB; `pss_kib` counts a page shared by n processes as 1/n."""

    rss_kib: int
    pss_kib: int


def cores() -> tuple[int | None, int | None]:
    """Return the core of the proxy and the core of everything else; None (not pinned) on a single core."""
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[-1], allowed[-2]) if len(allowed) > 1 else (None, None)


def exit_on_sigterm() -> None:
    """Make SIGTERM an exit that passes through every `finally`, so that no child process is left behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    core: int | None = None,
    environment: Mapping[str, str] | None = None,
    open_files: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` from the repository's folder; stop it and all it started when the block ends.

    Args:
        log: File that takes standard output and standard error.
        core: The one CPU it may run on.
        environment: Added to the environment of this process.
        open_files: Limit of open files of the child.
    """

    def prepare() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})
        if open_files is not None:
            raise_open_files(open_files)

    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=REPOSITORY,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            preexec_fn=prepare,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process politely, after `STOP_SECONDS` by force, and whatever is left of its group."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def raise_open_files(needed: int) -> None:
    """Raise this process's limit of open files to `needed`; raise BenchError if the system refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, max(needed, hard)))
    except (ValueError, OSError) as error:
        remedy = "raise it with ulimit -n, or ask for fewer connections"
        raise BenchError(f"{needed} open files are needed, the limit is {hard}: {remedy}") from error


def most_open_files(wanted: int) -> int:
    """Return `wanted`, or the highest limit of open files that this process may set if that is lower."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def tail(log: Path, lines: int = 3) -> str:
    """Return the last lines of a log in one line, for an error message."""
    return " / ".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""


def free_ports(count: int) -> list[int]:
    """Return ports that nothing is bound to at this moment.

    They lie below the range that the system takes the ports of outgoing connections from: a port of that range
    may be taken by a connection between this look and the start of the server it is meant for.
    """
    lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = range(10_000, lowest_outgoing)
    found: list[int] = []
    for port in random.sample(candidates, len(candidates)):
        if len(found) == count:
            break
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            found.append(port)
    if len(found) < count:
        raise BenchError(f"no {count} free ports between 10000 and {lowest_outgoing}")
    return found


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 20.0) -> None:
    """Return when something accepts connections; raise BenchError if the process ends or time runs out."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    state = "still runs" if process.poll() is None else f"ended with code {process.returncode}"
    raise BenchError(f"nothing listens on port {port}, the process {state}: {tail(log)}")


def tree(pid: int) -> list[int]:
    """Return the process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting.extend(children.get(found[-1], ()))
    return found


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process tree so far, that of ended and reaped children included."""
    ticks = sum(sum(map(int, fields[11:15])) for member in tree(pid) if (fields := _stat(member)))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> Memory:
    """Return the resident memory of a process tree."""
    rss = pss = 0
    for member in tree(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                name, _, value = line.partition(":")
                rss += int(value.split()[0]) if name == "Rss" else 0
                pss += int(value.split()[0]) if name == "Pss" else 0
    return Memory(rss, pss)


def open_files(pid: int) -> int:
    """Return how many files and sockets a process tree holds open."""
    return sum(len(os.listdir(f"/proc/{member}/fd")) for member in tree(pid))


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from `state`, field 3 of proc(5), on; None if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
