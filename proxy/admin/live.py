"""`/api/live/requests`: what comes through, while somebody looks on, as server-sent events.

One task asks the gateway on behalf of everybody who looks on; without anybody there is none, and no request pays.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse

from proxy.admin import models
from proxy.admin.control import GatewayControl
from proxy.observe.tail import TailBatch
from proxy.repeating import repeat

INTERVAL_SECONDS: Final = 0.5
MAX_WATCHERS: Final = 16
"""Streams open at the same time; each holds a connection."""
MAX_WAITING: Final = 8
"""Batches that a slow watcher may be behind; it misses those that come then."""

_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Watchers:
    """Everybody who looks on, and the task that serves them.

    Args:
        take: Returns the requests since the call before.
    """

    def __init__(self, take: Callable[[], Awaitable[TailBatch]]) -> None:
        self._take = take
        self._queues: set[asyncio.Queue[TailBatch | None]] = set()
        self._asking: asyncio.Task[None] | None = None

    @property
    def are_full(self) -> bool:
        """Whether nobody more is let in."""
        return len(self._queues) >= MAX_WATCHERS

    @contextlib.asynccontextmanager
    async def watch(self) -> AsyncIterator[asyncio.Queue[TailBatch | None]]:
        """A queue that gets every batch until the block ends, and None when there will be no more."""
        queue: asyncio.Queue[TailBatch | None] = asyncio.Queue(MAX_WAITING)
        self._queues.add(queue)
        if self._asking is None:
            asking = repeat(self._ask, INTERVAL_SECONDS, "asking for the last requests")
            self._asking = asyncio.create_task(asking, name="ask for the last requests")
        try:
            yield queue
        finally:
            self._queues.discard(queue)
            if not self._queues and self._asking is not None:
                self._asking.cancel()
                self._asking = None

    def end(self) -> None:
        """Let every stream end."""
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    async def _ask(self) -> None:
        batch = await self._take()
        for queue in self._queues:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(batch)


async def events(watchers: Watchers) -> AsyncIterator[str]:
    """The stream of one watcher; an empty batch too, so that a silence is known to be one."""
    async with watchers.watch() as queue:
        yield "retry: 2000\n\n"
        while (batch := await queue.get()) is not None:
            yield f"event: requests\ndata: {json.dumps(batch, separators=(',', ':'))}\n\n"


def add_live(app: FastAPI, gateway: GatewayControl, responses: dict[int | str, dict[str, Any]]) -> None:
    """Add the endpoint."""
    watchers = app.state.watchers = Watchers(gateway.take_tail)

    @app.get(
        "/api/live/requests",
        tags=["state"],
        response_class=StreamingResponse,
        responses={
            **responses,
            200: {"content": {"text/event-stream": {}}},
            503: {"model": models.ApiError, "description": f"{MAX_WATCHERS} look on already."},
        },
    )
    async def live_requests() -> StreamingResponse:
        """Requests as they end, as server-sent events: a bounded sample without queries, headers and addresses."""
        if watchers.are_full:
            raise HTTPException(503, f"{MAX_WATCHERS} look on already: close one of the pages")
        return StreamingResponse(events(watchers), media_type="text/event-stream", headers=_HEADERS)


def end_streams(app: FastAPI) -> None:
    """Let the streams of an admin app end, since its server waits for them when it stops."""
    app.state.watchers.end()
