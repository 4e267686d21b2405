"""The asynchronous queue with a store of its own, for what a running host rarely meets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from function_host import SteppedClock

from proxy.functions.asynchronous import AsyncQueue
from proxy.functions.model import FunctionConfig, Invocation, Outcome
from proxy.functions.retry import QueuedEvent
from proxy.functions.store import Store


def test_an_event_that_becomes_due_during_a_look_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, store, ran = SteppedClock(), Store(tmp_path / "f.sqlite3"), asyncio.Event()
    look = store.ready

    def slow_look(now: float) -> dict[str, int]:
        found = look(now)
        if clock.now() == now:
            clock.advance(60)
        return found

    monkeypatch.setattr(store, "ready", slow_look)

    async def invoke(function: str, invocation: Invocation) -> Outcome:
        ran.set()
        return Outcome(b"null")

    async def deliver(event: QueuedEvent, function: FunctionConfig) -> None:
        raise AssertionError

    async def run() -> None:
        event = QueuedEvent("r", "f", b"{}", "", clock.now(), clock.now() + 60)
        await store.write(store.put, event)
        functions = {"f": FunctionConfig("f", "app.handler", tmp_path)}
        queue = AsyncQueue(functions, store, invoke, deliver, lambda name: 1, clock)
        running = asyncio.create_task(queue.run())
        try:
            async with asyncio.timeout(20):
                await ran.wait()
        finally:
            running.cancel()
            await queue.drain(5)

    try:
        asyncio.run(run())
    finally:
        store.close()
