"""A function host in a thread of the test, with boto3 as its client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from aws_endpoint import client

from proxy.functions.config import load_functions
from proxy.functions.embedded_aws import REGION
from proxy.functions.host import Host
from proxy.functions.http import HttpServer
from proxy.functions.lambda_api import LambdaApi
from proxy.functions.model import MAX_SYNC_BYTES
from proxy.tracing.export import SpanExport

HANDLERS = Path(__file__).resolve().parents[1] / "functions" / "handlers"
PATIENCE = 60.0


class SteppedClock:
    """A clock that stands still until it is told how much time passes. It may be told from another thread."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
            for loop, moved in self._waiting:
                loop.call_soon_threadsafe(moved.set)

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        moved = asyncio.Event()
        entry = (asyncio.get_running_loop(), moved)
        with self._lock:
            self._waiting.append(entry)
        try:
            while not event.is_set() and (until is None or self._now < until):
                moved.clear()
                tasks = [asyncio.create_task(event.wait()), asyncio.create_task(moved.wait())]
                try:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            with self._lock:
                self._waiting.remove(entry)


class RunningHost:
    """A host at work.

    Attributes:
        endpoint: Where Lambda's API is.
        client: boto3's, each call sent once.
        records: What functions have written so far, as log records.
    """

    def __init__(self, host: Host, endpoint: str, records: list[dict[str, Any]]) -> None:
        self.host = host
        self.endpoint = endpoint
        self.records = records
        self.client = client("lambda", endpoint, read_timeout=60, max_pool_connections=32)

    def call(self, function: str, event: Any = None, **more: Any) -> dict[str, Any]:
        """Invoke and return boto3's answer, with the payload read as JSON under `value`."""
        payload = {} if event is None else {"Payload": json.dumps(event).encode()}
        answer: dict[str, Any] = self.client.invoke(FunctionName=function, **payload, **more)
        body = answer["Payload"].read()
        answer["value"] = json.loads(body) if body else None
        return answer

    def messages(self, function: str) -> list[Any]:
        """What a function has written, line by line."""
        return [one.get("message", one.get("record")) for one in self.records if one["function"] == function]


def function(handler: str, **more: Any) -> dict[str, Any]:
    """A function of the tests' own handlers, as functions.yaml has it."""
    return {"handler": handler, "code": str(HANDLERS), "timeout": 30, **more}


@contextlib.contextmanager
def running_host(
    folder: Path,
    functions: dict[str, dict[str, Any]],
    *,
    concurrency: int = 20,
    clock: Any = None,
    idle_seconds: float = 300.0,
    spans: SpanExport | None = None,
) -> Iterator[RunningHost]:
    """Run a host while the block lasts; `folder` is what a restart finds again."""
    text = yaml.safe_dump({"version": 1, "concurrency": concurrency, "functions": functions})
    config, _ = load_functions(text.encode(), {}, str(folder / "functions.yaml"))
    records: list[dict[str, Any]] = []
    started: dict[str, Any] = {}
    ready, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        host = Host(
            config, folder / "state", REGION, lambda line: records.append(json.loads(line)), clock, idle_seconds, spans
        )
        api = LambdaApi(host)
        server = HttpServer(api.handle, max_body=MAX_SYNC_BYTES, too_large=api.too_large)
        await host.start()
        try:
            started.update(host=host, port=await server.start(), loop=asyncio.get_running_loop())
            ready.set()
            await stop.wait()
        finally:
            await asyncio.gather(server.stop(5), host.drain(5))
            await host.stop()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - the test raises it
            started["error"] = error
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    running: RunningHost | None = None
    try:
        if "error" in started:
            raise started["error"]
        running = RunningHost(started["host"], f"http://127.0.0.1:{started['port']}", records)
        yield running
    finally:
        if running is not None:
            running.client.close()
        if "loop" in started and not started["loop"].is_closed():
            started["loop"].call_soon_threadsafe(stop.set)
        thread.join()
    if "error" in started:
        raise started["error"]


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """Wait until it holds and return what it gave."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return value


def notes(file: Path) -> list[Any]:
    """What handlers have noted so far."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
