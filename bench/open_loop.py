"""The load of `open_loop.c`: requests that are due at moments of their own, whether or not the proxy keeps up."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import REPOSITORY, BenchError
from bench.table import Request

SOURCE = REPOSITORY / "bench" / "open_loop.c"
WARM_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Result:
    """What one run reports; `lateness_p99_seconds` is how late the load itself was."""

    answered: int
    unanswered: int
    seconds: float
    p50_seconds: float
    p99_seconds: float
    lateness_p99_seconds: float


def build(folder: Path) -> Path:
    """Compile the load into a folder; raise BenchError if there is no compiler or it fails."""
    program = folder / "open_loop"
    try:
        done = subprocess.run(
            ["cc", "-O2", "-o", str(program), str(SOURCE), "-lm"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise BenchError("no C compiler (cc) is installed: sh bench/install.sh") from None
    if done.returncode != 0:
        raise BenchError(f"{SOURCE} does not compile: {done.stderr[:300]}")
    return program


def requests_text(requests: Sequence[Request]) -> bytes:
    """Return the file of requests: each its length, a line feed and its bytes."""
    heads = [request.head.encode() + b"x" * request.body_bytes for request in requests]
    return b"".join(b"%d\n%s" % (len(head), head) for head in heads)


def run(
    program: Path,
    requests: Sequence[Request],
    port: int,
    folder: Path,
    *,
    rate: float,
    seconds: int,
    connections: int,
    core: int | None,
) -> Result:
    """Offer `rate` requests a second after a second of warming up; raise BenchError if one was not answered 200."""
    file = folder / "requests"
    file.write_bytes(requests_text(requests))
    pin = [] if core is None else ["taskset", "-c", str(core)]
    numbers = [port, connections, round(rate), seconds + WARM_SECONDS, WARM_SECONDS]
    command = [*pin, str(program), *map(str, numbers), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"the open load ended with code {done.returncode}: {done.stderr.strip()}")
    result = parse(done.stdout)
    if result.unanswered:
        raise BenchError(f"{result.unanswered} of the requests that were due at {rate:.0f}/s were not answered")
    return result


def parse(output: str) -> Result:
    """Read a report."""
    values = dict(line.split() for line in output.splitlines())
    return Result(
        answered=int(values["answered"]),
        unanswered=int(values["unanswered"]),
        seconds=float(values["seconds"]),
        p50_seconds=float(values["p50"]) / 1e6,
        p99_seconds=float(values["p99"]) / 1e6,
        lateness_p99_seconds=float(values["lateness_p99"]) / 1e6,
    )
