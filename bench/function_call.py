"""How long a warm function call takes: `python -m bench.function_call --help`.

Starts `strangler functions` with one function that returns its event, and calls it again and again over one kept
connection, one call at a time. With `--through URL` a second address is called in turn with the first, such as a path
of a gateway whose target is the same function, and the difference of the medians is judged.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.processes import BenchError, exit_on_sigterm, free_ports, running

MOST_MORE_MS = 1.5
"""What a call through a gateway may cost beyond calling the host."""
START_SECONDS = 30.0
WARM_UP = 50
EVENT = b'{"order": 7, "name": "a function call"}'
HANDLER = "def handler(event, context):\n    return event\n"
FUNCTIONS = "version: 1\nfunctions:\n  echo: {handler: app.handler, code: .}\n"


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> Latency:
        """The quantiles of at least two samples."""
        cuts = statistics.quantiles(seconds, n=100, method="inclusive")
        return cls(cuts[49] * 1000, cuts[94] * 1000, cuts[98] * 1000)

    def __str__(self) -> str:
        return f"p50 {self.p50:.2f} ms, p95 {self.p95:.2f} ms, p99 {self.p99:.2f} ms"


class Caller:
    """Posts the event to one address over one connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise BenchError(f"{url} is not an http address")
        self.url = url
        self._path = parts.path or "/"
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=30)

    def call(self) -> float:
        """Seconds from the first byte sent to the last received; raise BenchError for anything but a 200."""
        began = time.perf_counter()
        try:
            self._connection.request("POST", self._path, EVENT, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise BenchError(f"{self.url}: {error!r}") from None
        seconds = time.perf_counter() - began
        if response.status != 200:
            raise BenchError(f"{self.url} answered {response.status}: {body[:200]!r}")
        return seconds

    def close(self) -> None:
        self._connection.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 with figures, 1 if the way through costs too much, 2 without a result."""
    options = _parser().parse_args(arguments)
    exit_on_sigterm()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            direct, through = measure(options.calls, options.port, options.through, Path(folder))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"the host itself    {direct}")
    if through is None:
        return 0
    more = through.p50 - direct.p50
    print(f"through            {through}")
    verdict = "PASS" if more <= MOST_MORE_MS else "FAIL"
    print(f"{verdict}: {more:.2f} ms more at the median, at most {MOST_MORE_MS} are allowed")
    return 0 if verdict == "PASS" else 1


def measure(calls: int, port: int | None, through: str | None, folder: Path) -> tuple[Latency, Latency | None]:
    """Return the latency of the host and, if there is one, of the second address, called in turn."""
    (folder / "app.py").write_text(HANDLER)
    (folder / "functions.yaml").write_text(FUNCTIONS)
    port = port or free_ports(1)[0]
    command = [sys.executable, "-m", "proxy", "functions", "--functions", str(folder / "functions.yaml")]
    command += ["--functions-port", str(port), "--functions-folder", str(folder / "state")]
    command += ["--functions-log", str(folder / "functions.log")]
    with ExitStack() as stack:
        log = folder / "host.log"
        stack.enter_context(running(command, log=log))
        urls = [f"http://127.0.0.1:{port}/2015-03-31/functions/echo/invocations", *([through] if through else [])]
        callers = [Caller(url) for url in urls]
        for caller in callers:
            stack.callback(caller.close)
        _wait_for(callers[0], log)
        samples: list[list[float]] = [[] for _ in callers]
        for number in range(WARM_UP + calls):
            for caller, taken in zip(callers, samples, strict=True):
                seconds = caller.call()
                if number >= WARM_UP:
                    taken.append(seconds)
    first, *rest = map(Latency.of, samples)
    return first, rest[0] if rest else None


def _wait_for(caller: Caller, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            caller.call()
        except BenchError as error:
            if time.monotonic() > deadline:
                raise BenchError(f"the host does not answer: {error}\n{log.read_text()[-2000:]}") from None
            caller.close()
            time.sleep(0.05)
        else:
            return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.function_call", description="How long a warm function call takes."
    )
    parser.add_argument("--calls", type=int, default=2000, metavar="N", help="calls that count (2000)")
    parser.add_argument(
        "--port", type=int, metavar="PORT", help="of the host, so that a gateway can be told it (a free one)"
    )
    parser.add_argument("--through", metavar="URL", help="a second address of the same function, such as a gateway's")
    return parser


if __name__ == "__main__":
    sys.exit(main())
