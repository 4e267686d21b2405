"""Asynchronous invocation: kept on disk, invoked when there is room, retried, its end told (Lambda guide)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from proxy.functions.aws import DeliveryError
from proxy.functions.clock import Clock
from proxy.functions.model import FunctionConfig, Invocation, Outcome, ThrottledError
from proxy.functions.retry import (
    QueuedEvent,
    accepted,
    after_attempt,
    after_delivery_failed,
    after_throttle,
    before_attempt,
)
from proxy.functions.store import Store

MAX_DELIVERIES_AT_ONCE = 16
PAUSE_SECONDS = 10.0
"""How long an event rests when what came of it cannot be kept: on a full disk it would be run again at once."""

logger = logging.getLogger(__name__)


class AsyncQueue:
    """The queue of all functions.

    Args:
        functions: By name.
        store: Where events are kept.
        invoke: Runs one invocation of a function; may raise ThrottledError or OSError.
        deliver: Tells the destinations of an event that is over; it raises DeliveryError if it cannot.
        free: How many more invocations of a function may begin.
        clock: For every wait.
    """

    def __init__(
        self,
        functions: Mapping[str, FunctionConfig],
        store: Store,
        invoke: Callable[[str, Invocation], Awaitable[Outcome]],
        deliver: Callable[[QueuedEvent, FunctionConfig], Awaitable[None]],
        free: Callable[[str], int],
        clock: Clock,
    ) -> None:
        self._functions = functions
        self._store = store
        self._invoke = invoke
        self._deliver = deliver
        self._free = free
        self._clock = clock
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._claimed: dict[str, dict[str, asyncio.Task[None]]] = {name: {} for name in functions}
        self._delivering = 0
        self._blocked = False

    async def accept(self, function: str, invocation: Invocation) -> None:
        """Keep an invocation; when this returns it is on disk and will be run, also after a restart."""
        now = self._clock.now()
        event = QueuedEvent(invocation.request_id, function, invocation.payload, invocation.trace_id, now, now)
        await self._store.write(self._store.put, accepted(event, self._functions[function].reserved_concurrency))
        self._wake.set()

    def wake(self) -> None:
        """An environment has become free: look again, if an event waits for one."""
        if self._blocked:
            self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; what is in progress then goes on until `drain`."""
        while True:
            self._wake.clear()
            # Before the look: what becomes due during it is not behind what is waited for.
            now = self._clock.now()
            try:
                await self._begin_due()
                until = await self._store.run(self._store.next_due, now)
            except Exception:
                logger.exception("cannot read the asynchronous queue")
                until = self._clock.now() + 1
            await self._clock.wait(self._wake, until)

    async def drain(self, seconds: float) -> None:
        """Wait for what is in progress; what is not done by then is run again after the next start."""
        self._stopping.set()
        tasks = [task for claimed in self._claimed.values() for task in claimed.values()]
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=seconds)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin_due(self) -> None:
        ready = await self._store.run(self._store.ready, self._clock.now())
        for name, function in self._functions.items():
            if ready.get(name, 0) <= len(self._claimed[name]):
                continue
            for event in await self._due(name, MAX_DELIVERIES_AT_ONCE - self._delivering, over=True):
                self._begin(event, self._finish(event, function))
            for event in await self._due(name, self._free(name), over=False):
                judged = before_attempt(event, function.asynchronous, self._clock.now())
                if judged.condition:
                    self._begin(event, self._finish(judged, function))
                elif self._free(name) > 0:
                    self._begin(event, self._attempt(event, function))
                    await asyncio.sleep(0)  # it takes its environment before the next one is counted
        self._blocked = any(count > len(self._claimed.get(name, ())) for name, count in ready.items())

    async def _due(self, function: str, room: int, *, over: bool) -> list[QueuedEvent]:
        """The events whose time has come and that nobody works on, at most `room`."""
        if room <= 0:
            return []
        claimed = self._claimed[function]
        limit = room + len(claimed)
        events = await self._store.run(self._store.due, function, self._clock.now(), limit, over=over)
        return [event for event in events if event.request_id not in claimed][:room]

    def _begin(self, event: QueuedEvent, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(event, work))
        self._claimed[event.function][event.request_id] = task
        task.add_done_callback(partial(self._done, event))

    async def _guarded(self, event: QueuedEvent, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            logger.exception("asynchronous event %s; looked at again in %g s", event.request_id, PAUSE_SECONDS)
            await self._clock.wait(self._stopping, self._clock.now() + PAUSE_SECONDS)

    def _done(self, event: QueuedEvent, task: asyncio.Task[None]) -> None:
        del self._claimed[event.function][event.request_id]
        self._wake.set()

    async def _attempt(self, event: QueuedEvent, function: FunctionConfig) -> None:
        config = function.asynchronous
        try:
            outcome = await self._invoke(event.function, Invocation(event.request_id, event.payload, event.trace_id))
        except (ThrottledError, OSError) as error:
            if isinstance(error, OSError):
                logger.error("cannot start an environment of %s: %s", function.name, error)
            event = after_throttle(event, config, self._clock.now())
        else:
            event = after_attempt(event, config, outcome, self._clock.now())
        if event.condition and not _is_told(event, function):
            await self._store.write(self._store.remove, event.request_id)
        else:
            await self._store.write(self._store.put, event)

    async def _tell(self, event: QueuedEvent, function: FunctionConfig) -> None:
        """Deliver; whatever prevents that is a DeliveryError, so that an event is not tried without end."""
        try:
            await self._deliver(event, function)
        except DeliveryError:
            raise
        except Exception as error:
            logger.exception("the end of event %s", event.request_id)
            raise DeliveryError(repr(error)) from error

    async def _finish(self, event: QueuedEvent, function: FunctionConfig) -> None:
        self._delivering += 1
        try:
            await self._tell(event, function)
        except DeliveryError as error:
            again = after_delivery_failed(event, self._clock.now())
            if again is not None:
                logger.warning("the end of event %s cannot be told: %s; tried again", event.request_id, error)
                await self._store.write(self._store.put, again)
                return
            logger.error("the end of event %s cannot be told: %s; given up", event.request_id, error)
        finally:
            self._delivering -= 1
        await self._store.write(self._store.remove, event.request_id)


def _is_told(event: QueuedEvent, function: FunctionConfig) -> bool:
    """Whether anybody wants to know that this event is over."""
    config = function.asynchronous
    return bool(config.on_success if event.condition == "Success" else config.on_failure or config.dead_letter)
