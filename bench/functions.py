"""What a warm function call costs through the gateway, beside the same call of its host.

Starts `strangler functions` with one function and a gateway before it, and calls the function with the same event in
turn: the host's Invoke API directly, and through the gateway. One call at a time, each over one kept connection.
`--host` takes another Invoke API instead, such as that of an AWS base image, and `--through` another gateway.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.peers.gateway import serve_command
from bench.processes import BenchError, exit_on_sigterm, free_ports, running, tail
from proxy.functions.embedded_aws import aws_environment

LIMIT_MS = 1.5
"""What a call through the gateway may cost beyond calling the host, at the median."""
START_SECONDS = 30.0
WARM_UP = 100
FUNCTION = "echo"
EVENT = json.dumps({"version": "2.0", "rawPath": "/orders/7", "headers": {}, "requestContext": {}}).encode()
"""For a function that is not ours."""
HANDLER = """\
import json

def handler(event, context):
    headers = {"content-type": "application/json"}
    return {"statusCode": 200, "headers": headers, "body": json.dumps(event), "isBase64Encoded": False}
"""
FUNCTIONS = f"version: 1\nfunctions:\n  {FUNCTION}: {{handler: app.handler, code: .}}\n"
TABLE = """\
version: 1
listeners: [{{port: {port}, default: {{forward: function}}}}]
target_groups:
  function: {{target_type: lambda, targets: [{name}], local: {{endpoint: "{host}", payload: "2.0"}}}}
"""


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
    """Sends one request again and again over one connection."""

    def __init__(self, method: str, url: str, body: bytes = b"") -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise BenchError(f"{url} is not an http address")
        self.url = url
        self._request = method, parts.path or "/", body or None, {"Content-Type": "application/json"} if body else {}
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=30)
        self.answer = b""

    def call(self) -> float:
        """Seconds from the first byte sent to the last received; raise BenchError for anything but a 200."""
        began = time.perf_counter()
        try:
            self._connection.request(*self._request)
            response = self._connection.getresponse()
            self.answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise BenchError(f"{self.url}: {error!r}") from None
        seconds = time.perf_counter() - began
        if response.status != 200 or response.getheader("X-Amz-Function-Error"):
            raise BenchError(f"{self.url} answered {response.status}: {self.answer[:200]!r}")
        return seconds

    def close(self) -> None:
        self._connection.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if the gateway adds no more than the limit, 1 if it adds more, 2 without a result."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.through and not options.host:
        parser.error("--through needs --host, which has the same function")
    if options.calls < 2:
        parser.error("two calls at least")
    exit_on_sigterm()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            direct, through = measure(options.calls, options.host, options.function, options.through, Path(folder))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"the host itself      {direct}")
    print(f"through the gateway  {through}")
    verdict, holds = verdict_of(direct, through, options.limit_ms)
    print(verdict)
    return 0 if holds else 1


def verdict_of(direct: Latency, through: Latency, limit_ms: float) -> tuple[str, bool]:
    """Return what the run says, and whether it is as promised."""
    more = through.p50 - direct.p50
    holds = more <= limit_ms
    text = f"{more:.2f} ms more at the median, {through.p50 / direct.p50:.2f} times; at most {limit_ms} ms are allowed"
    return f"{'PASS' if holds else 'FAIL'}: {text}", holds


def measure(calls: int, host: str | None, function: str, through: str | None, folder: Path) -> tuple[Latency, Latency]:
    """Return the latency of the host and that through the gateway, called in turn."""
    with ExitStack() as stack:
        host_log, gateway_log = folder / "host.log", folder / "gateway.log"
        if host is None:
            host_port, function = free_ports(1)[0], FUNCTION
            host = f"http://127.0.0.1:{host_port}"
            stack.enter_context(running(_host_command(host_port, folder), log=host_log))
        invocations = f"{host.rstrip('/')}/2015-03-31/functions/{function}/invocations"
        first = stack.enter_context(closing(Caller("POST", invocations, b"{}")))
        _wait_for(first, host_log)
        if through is None:
            port, admin_port = free_ports(2)
            file = folder / "routes.yaml"
            file.write_text(TABLE.format(port=port, name=function, host=host))
            # With keys, that are none, so that the gateway signs as it does before AWS.
            environment = aws_environment(host)
            stack.enter_context(running(serve_command(file, admin_port), log=gateway_log, environment=environment))
            through = f"http://127.0.0.1:{port}/orders/7?a=b"
        gateway = stack.enter_context(closing(Caller("GET", through)))
        _wait_for(gateway, gateway_log)
        # Our function answers with its event, so the host is asked directly for what the gateway asks it.
        event = gateway.answer if function == FUNCTION and b'"rawPath"' in gateway.answer else EVENT
        direct = stack.enter_context(closing(Caller("POST", invocations, event)))
        return _in_turn(direct, gateway, calls)


def _in_turn(direct: Caller, through: Caller, calls: int) -> tuple[Latency, Latency]:
    samples: tuple[list[float], list[float]] = ([], [])
    for number in range(WARM_UP + calls):
        for caller, taken in zip((direct, through), samples, strict=True):
            seconds = caller.call()
            if number >= WARM_UP:
                taken.append(seconds)
    return Latency.of(samples[0]), Latency.of(samples[1])


def _host_command(port: int, folder: Path) -> list[str]:
    (folder / "app.py").write_text(HANDLER)
    (folder / "functions.yaml").write_text(FUNCTIONS)
    command = [sys.executable, "-m", "proxy", "functions", "--functions", str(folder / "functions.yaml")]
    command += ["--functions-port", str(port), "--functions-folder", str(folder / "state")]
    return [*command, "--functions-log", str(folder / "functions.log")]


def _wait_for(caller: Caller, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            caller.call()
        except BenchError as error:
            if time.monotonic() > deadline:
                raise BenchError(f"no answer: {error}; {tail(log)}") from None
            time.sleep(0.05)
        else:
            return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.functions", description=__doc__)
    parser.add_argument("--calls", type=int, default=2000, metavar="N", help="of each that count (2000)")
    parser.add_argument("--host", metavar="URL", help="an Invoke API, instead of a function host of its own")
    parser.add_argument("--function", default="function", metavar="NAME", help="which one of it (function)")
    parser.add_argument("--through", metavar="URL", help="where another gateway has the function of --host")
    parser.add_argument("--limit-ms", type=float, default=LIMIT_MS, metavar="MS", help=f"at the median ({LIMIT_MS})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
