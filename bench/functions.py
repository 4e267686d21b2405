"""What a call of a function costs through the gateway, beside the same call of its host.

python -m bench.functions [--host URL] [--function NAME] [--calls N] [--limit-ms MS]

Without `--host` a stand-in for the function's host is started that answers at once, so that only the gateway's part is
measured. Both are asked in turn over kept connections, one request at a time. Ends with 1 if the median through the
gateway is more than the limit over the median without it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from bench.processes import free_ports

LIMIT_MS = 1.5
RESULT = json.dumps(
    {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": '{"ok": true}'}
).encode()
TABLE = """\
version: 1
listeners: [{{port: {port}, default: {{forward: function}}}}]
target_groups:
  function: {{target_type: lambda, targets: [{name}], local: {{endpoint: "{host}", payload: "{payload}"}}}}
"""
EVENT = json.dumps({"version": "2.0", "rawPath": "/", "headers": {}, "requestContext": {}}).encode()


class StandIn(asyncio.Protocol):
    """Every POST gets the same result."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            self._received = b""
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(RESULT), RESULT))


class Caller:
    """Asks the same over one kept connection."""

    def __init__(self, url: str, request: bytes) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        self._request = request
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self) -> float:
        """Milliseconds from the request until the last byte of its answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        began = time.perf_counter()
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        took = (time.perf_counter() - began) * 1000
        if not head.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"an answer was not 200: {head[:80]!r}")
        return took

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


@contextlib.asynccontextmanager
async def _gateway(table: str, port: int) -> AsyncIterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "routes.yaml"
        path.write_text(table)
        command = [sys.executable, "-m", "proxy", "serve", "--config", str(path), "--admin-port", str(free_ports(1)[0])]
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
        try:
            await _accepting(port)
            yield
        finally:
            process.terminate()
            await process.wait()


async def _accepting(port: int) -> None:
    for _ in range(400):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise SystemExit("the gateway did not start")


async def measure(host: str, name: str, calls: int) -> dict[str, list[float]]:
    """Milliseconds of each call: of the host, and through the gateway with each payload that needs no more."""
    direct = (
        f"POST /2015-03-31/functions/{name}/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(EVENT)}\r\n\r\n"
    ).encode() + EVENT
    port = free_ports(1)[0]
    async with _gateway(TABLE.format(port=port, name=name, host=host, payload="2.0"), port):
        callers = {
            "host": Caller(host, direct),
            "gateway": Caller(
                f"http://127.0.0.1:{port}", b"GET /?a=b HTTP/1.1\r\nHost: x\r\nUser-Agent: bench\r\n\r\n"
            ),
        }
        for caller in callers.values():
            for _ in range(min(200, calls)):
                await caller.call()
        took: dict[str, list[float]] = {name: [] for name in callers}
        for _ in range(calls):
            for each, caller in callers.items():
                took[each].append(await caller.call())
        for caller in callers.values():
            caller.close()
    return took


async def run(host: str, name: str, calls: int, limit: float) -> int:
    """Measure, print, and judge."""
    server = None
    if not host:
        server = await asyncio.get_running_loop().create_server(StandIn, "127.0.0.1", 0)
        host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    took = await measure(host, name, calls)
    for each, times in took.items():
        p99 = sorted(times)[int(len(times) * 0.99)]
        print(f"{each:8} median {statistics.median(times):6.3f} ms, p99 {p99:6.3f} ms, {len(times)} calls")
    added = statistics.median(took["gateway"]) - statistics.median(took["host"])
    holds = added <= limit
    print(f"the gateway adds {added:.3f} ms to a warm call, {limit} ms may be: {'holds' if holds else 'does NOT hold'}")
    if server is not None:
        server.close()
    return 0 if holds else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="", help="http://host:port of an Invoke API")
    parser.add_argument("--function", default="bench")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--limit-ms", type=float, default=LIMIT_MS)
    args = parser.parse_args()
    return asyncio.run(run(args.host, args.function, args.calls, args.limit_ms))


if __name__ == "__main__":
    raise SystemExit(main())
