"""The load generator wrk: its script, its run and its report."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import BenchError
from bench.table import Request
from bench.verify import Door

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of wrk reports; latencies in seconds."""

    requests: int
    seconds: float
    p50_seconds: float
    p99_seconds: float
    failures: str | None

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds


def script(requests: Sequence[Request]) -> str:
    """Return a Lua script that sends the requests in turn, the same in every run."""
    lines = ["local requests = {"]
    for request in requests:
        body = f' .. string.rep("x", {request.body_bytes})' if request.body_bytes else ""
        lines.append(f"  {_lua_string(request.head)}{body},")
    return "\n".join([*lines, "}", _NEXT])


_NEXT = """\
local last = 0
function request()
  last = last % #requests + 1
  return requests[last]
end
"""


def run(path: Path, door: Door, *, seconds: float, connections: int, core: int | None) -> Result:
    """Run wrk with one thread for whole seconds; raise BenchError if it does not run."""
    # wrk's own limit of 2 s for an answer is short for the first ones of thousands of connections opened at once.
    length = [f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    command = ["wrk", "-t1", f"-c{connections}", *length, "--latency", "-s", str(path)]
    pin = [] if core is None else ["taskset", "-c", str(core)]
    whole = [*pin, *command, f"{door.scheme}://127.0.0.1:{door.port}"]
    done = subprocess.run(whole, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"wrk ended with code {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return parse(done.stdout)


def parse(output: str) -> Result:
    """Read wrk's report; raise BenchError if it is not one."""
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", output)
    p50, p99 = (re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)\s*$", output, re.M) for percent in (50, 99))
    if not (total and p50 and p99):
        raise BenchError(f"not a report of wrk: {output[:200]!r}")
    troubles = re.findall(r"Socket errors: .*|Non-2xx or 3xx responses: \d+", output)
    count = int(total[1])
    if count == 0:
        troubles.append("no request was answered")
    return Result(
        requests=count,
        seconds=_seconds(total[2], total[3]),
        p50_seconds=_seconds(p50[1], p50[2]),
        p99_seconds=_seconds(p99[1], p99[2]),
        failures="; ".join(troubles) or None,
    )


def _seconds(number: str, unit: str) -> float:
    return float(number) * _SECONDS[unit]


def _lua_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r").replace("\n", "\\n")
    return f'"{escaped}"'
