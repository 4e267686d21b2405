"""The function host: every function with its environments, the asynchronous queue, and the pollers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from proxy.functions.asynchronous import AsyncQueue
from proxy.functions.aws import Aws
from proxy.functions.clock import Clock, SystemClock
from proxy.functions.concurrency import Concurrency
from proxy.functions.destinations import Destinations
from proxy.functions.environment import Environment
from proxy.functions.kinesis_poller import KinesisPoller
from proxy.functions.logs import Write
from proxy.functions.mappings import mapping_id
from proxy.functions.measures import Measures
from proxy.functions.model import HostConfig, Invocation, MappingConfig, Outcome, ThrottledError
from proxy.functions.package import Package, prepare
from proxy.functions.pool import Pool
from proxy.functions.spans import InvocationSpans
from proxy.functions.sqs_poller import SqsPoller
from proxy.functions.store import Store
from proxy.tracing.export import SpanExport

IDLE_SECONDS = 300.0
"""How long an environment is kept that has nothing to do."""
DRAIN_SECONDS = 30.0
_SWEEP_SECONDS = 5.0

logger = logging.getLogger(__name__)


class FunctionNotFoundError(Exception):
    """The host has no function of this name."""


class Host:
    """Runs the functions of one file.

    Args:
        config: What to run.
        folder: For unpacked code and what is kept over a restart; made if it is not there.
        region: Of ARNs and of AWS.
        write: Takes the functions' log records, a line each.
        clock: For retries and ages.
        idle_seconds: How long an environment is kept that has nothing to do.
        spans: Where a span of each invocation goes, if anywhere.
    """

    def __init__(
        self,
        config: HostConfig,
        folder: Path,
        region: str,
        write: Write,
        clock: Clock | None = None,
        idle_seconds: float = IDLE_SECONDS,
        spans: SpanExport | None = None,
    ) -> None:
        self.config = config
        self.region = region
        self.measures = Measures()
        self._folder = folder
        self._write = write
        self._clock = clock or SystemClock()
        self._idle_seconds = idle_seconds
        self._spans = InvocationSpans(spans)
        self._concurrency = Concurrency(config)
        self._pools: dict[str, Pool] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._mappings: dict[str, tuple[MappingConfig, float]] = {}
        self._pollers: dict[str, tuple[SqsPoller | KinesisPoller, asyncio.Task[None]]] = {}

    async def start(self) -> None:
        """Unpack the code and begin with what is waiting.

        Raises:
            PackageError: Code or a layer cannot be used.
            StoreError: The folder is in use by another host.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._store = Store(self._folder / "functions.sqlite3")
        try:
            for function in self.config.functions.values():
                package = await asyncio.to_thread(prepare, function, self._folder / "code" / function.name)
                create = partial(self._create, function.name, package)
                self._pools[function.name] = Pool(function, create, self._concurrency, self._wake)
            self._aws = Aws(self.region)
            self._destinations = Destinations(self._aws, self._accept_if_known, self._clock)
            self._queue = AsyncQueue(
                self.config.functions,
                self._store,
                self.invoke,
                self._destinations.deliver,
                self._concurrency.free,
                self._clock,
            )
            stored = await self._store.run(self._store.mappings)
        except BaseException:
            self._store.close()
            raise
        self._begin(self._queue.run())
        self._begin(self._sweep())
        for function in self.config.functions.values():
            for mapping in function.mappings:
                self._add(mapping, self._clock.now())
        for uuid_, (mapping, modified) in stored.items():
            if uuid_ not in self._mappings and mapping.function in self._pools:
                self._add(mapping, modified)

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Poll no more and begin no asynchronous event; what of these is in progress has so many seconds to end."""
        for task in self._tasks:
            task.cancel()
        for poller, _ in self._pollers.values():
            poller.stop()
        polling = [task for _, task in self._pollers.values()]
        await asyncio.gather(self._queue.drain(seconds), _end(polling, seconds), _end(self._tasks, seconds))

    async def stop(self) -> None:
        """Stop every environment, also those at work. To be called after `drain`."""
        await asyncio.gather(*(pool.stop() for pool in self._pools.values()))
        await asyncio.to_thread(self._aws.close)
        self._store.close()

    async def invoke(self, function: str, invocation: Invocation) -> Outcome:
        """Run one invocation now.

        Raises:
            FunctionNotFoundError: There is no such function.
            ThrottledError: As many run as may.
            OSError: No process can be started.
        """
        began = self._clock.now()
        invocation = self._in_a_trace(invocation)
        span = self._spans.begin(function, invocation)
        try:
            outcome = await self._pool(function).invoke(span.invocation if span else invocation)
        except ThrottledError:
            self.measures.throttled(function)
            raise
        self.measures.invoked(function, self._clock.now() - began, failed=outcome.failed)
        if span:
            span.end(outcome)
        return outcome

    def new_trace_id(self) -> str:
        """The X-Amzn-Trace-Id of an invocation that came without one."""
        return self._spans.new_trace_id()

    @property
    def spans_dropped(self) -> int:
        """Spans that did not reach the collector."""
        return self._spans.dropped

    async def accept(self, function: str, invocation: Invocation) -> None:
        """Keep an invocation to be run soon; it is on disk when this returns.

        Raises:
            FunctionNotFoundError: There is no such function.
        """
        self._pool(function)
        await self._queue.accept(function, self._in_a_trace(invocation))

    def mappings(self) -> dict[str, tuple[MappingConfig, float]]:
        """Every event source mapping by UUID, with when it was last changed."""
        return dict(self._mappings)

    async def put_mapping(self, mapping: MappingConfig) -> str:
        """Keep a mapping, in place of that of the same function and source, and poll; return its UUID."""
        self._pool(mapping.function)
        uuid_ = mapping_id(mapping)
        now = self._clock.now()
        await self._stop_polling(uuid_)
        await self._store.write(self._store.put_mapping, uuid_, mapping, now)
        self._add(mapping, now)
        return uuid_

    async def remove_mapping(self, uuid_: str) -> None:
        """Stop polling and forget how far it was."""
        await self._stop_polling(uuid_)
        await self._store.write(self._store.remove_mapping, uuid_)

    async def queue_depths(self) -> dict[str, int]:
        """How many asynchronous events each function has waiting."""
        return await self._store.run(self._store.depth)

    def environments(self) -> dict[str, int]:
        """How many environments each function has."""
        return {name: pool.environments for name, pool in self._pools.items()}

    def cold_starts(self) -> dict[str, int]:
        """How many environments each function has had started."""
        return {name: pool.cold_starts for name, pool in self._pools.items()}

    def _pool(self, function: str) -> Pool:
        try:
            return self._pools[function]
        except KeyError:
            raise FunctionNotFoundError(function) from None

    def _create(self, function: str, package: Package) -> Environment:
        on_line = partial(self.measures.line, function)
        return Environment(self.config.functions[function], package, self.region, self._write, on_line)

    def _wake(self) -> None:
        self._queue.wake()

    async def _accept_if_known(self, function: str, invocation: Invocation) -> bool:
        if function not in self._pools:
            return False
        await self._queue.accept(function, self._in_a_trace(invocation))
        return True

    def _in_a_trace(self, invocation: Invocation) -> Invocation:
        return invocation if invocation.trace_id else replace(invocation, trace_id=self.new_trace_id())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    def _add(self, mapping: MappingConfig, modified: float) -> None:
        uuid_ = mapping_id(mapping)
        self._mappings[uuid_] = (mapping, modified)
        if not mapping.enabled:
            return
        poller: SqsPoller | KinesisPoller
        if mapping.service == "sqs":
            poller = SqsPoller(mapping, self._aws, self._destinations.queue_url, self.invoke)
        else:
            checkpoints = _Checkpoints(self._store, uuid_)
            send = self._destinations.send_record
            poller = KinesisPoller(mapping, self._aws, self.invoke, send, checkpoints, self._clock)
        self._pollers[uuid_] = (poller, asyncio.create_task(poller.run()))

    async def _stop_polling(self, uuid_: str) -> None:
        self._mappings.pop(uuid_, None)
        if polling := self._pollers.pop(uuid_, None):
            poller, task = polling
            poller.stop()
            with contextlib.suppress(Exception):
                await task

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(_SWEEP_SECONDS, self._idle_seconds / 2))
            for pool in self._pools.values():
                await pool.stop_idle(self._idle_seconds)


async def _end(tasks: list[asyncio.Task[None]], seconds: float) -> None:
    """Wait for these; cancel those that have not ended by then."""
    if tasks:
        _, unfinished = await asyncio.wait(tasks, timeout=seconds)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Checkpoints:
    """The checkpoints of one mapping."""

    def __init__(self, store: Store, mapping: str) -> None:
        self._store = store
        self._mapping = mapping

    async def all(self) -> dict[str, str]:
        return await self._store.run(self._store.checkpoints, self._mapping)

    async def put(self, shard: str, position: str) -> None:
        await self._store.write(self._store.put_checkpoint, self._mapping, shard, position)


def new_request_id() -> str:
    """A request id as Lambda gives one."""
    return str(uuid.uuid4())
