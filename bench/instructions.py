"""Instructions that a forwarded request costs in the compiled gateway's own code: `python -m bench.instructions`.

valgrind counts them between the bytes that come in and the bytes that go out, over the mixed table of 100 rules and the
load of `bench.compare`. The kernel's part and the event loop's are not in it. The figure is the same each time, up to
some per mille, but not on another build of Python or by another compiler.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.hot_path import CLIENTS, forwarder, mixed_config
from bench.peers.gateway import COMPILED, CompiledGateway
from bench.processes import REPOSITORY, BenchError
from bench.table import load, mixed_rules

ROUNDS = 8
DOORS = ("CPyPy_*___data_received", "CPyPy_outbox___Outbox___send_all")
"""Where what is counted begins: what the event loop calls for a request."""
SLOWEST_SECONDS = 300


def main() -> int:
    """Print the figure; return 0, or 2 if it cannot be had."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, metavar="FILE", help="keep the profile, for callgrind_annotate")
    options = parser.parse_args()
    try:
        print(f"{count(options.output):.0f} instructions a request")
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def count(output: Path | None = None) -> float:
    """Instructions a request.

    Args:
        output: Where the profile is kept.

    Raises: BenchError if valgrind or the compiled gateway is missing, or nothing was counted.
    """
    if shutil.which("valgrind") is None:
        raise BenchError("valgrind is not installed: sh bench/install.sh")
    if reason := CompiledGateway().missing():
        raise BenchError(reason)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        profile = output or Path(folder) / "profile"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}"]
        command += [f"--toggle-collect={door}" for door in DOORS]
        command += [sys.executable, "-P", "-c", "from bench.instructions import forward_some; forward_some()"]
        environment = {**os.environ, "PYTHONPATH": f"{COMPILED}{os.pathsep}{REPOSITORY}", "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=SLOWEST_SECONDS
        )
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or collected is None or not int(collected[1]):
        raise BenchError(f"valgrind counted nothing: {done.stderr[-500:]}")
    return int(collected[1]) / (ROUNDS * len(_requests()))


def forward_some() -> None:
    """What is counted."""
    forward = forwarder(mixed_config(100))
    requests = _requests()
    for _ in range(ROUNDS):
        forward(requests)


def _requests() -> list[bytes]:
    return [request.head.encode() for request in load(mixed_rules(100))] * CLIENTS


if __name__ == "__main__":
    sys.exit(main())
