"""The gateway as a FastAPI app: life in its lifespan, the ASGI door as its only route.

No path is reserved: the app has no docs and no OpenAPI of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI

from proxy.config.watch import Watcher
from proxy.control import Control
from proxy.listen.asgi import AsgiDoor


def create_app(control: Control, *, watch: bool = True) -> FastAPI:
    """Return the app of this gateway.

    A server that has the listener door finds the gateway in the lifespan state, as `gateway`; every other ASGI server
    enters by the ASGI door.

    Args:
        watch: Whether the table is loaded again when its file changes and on SIGHUP.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with running(control, watch=watch):
            yield {"gateway": control.gateway}

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan)
    app.mount("/", AsgiDoor(lambda: control.gateway))
    return app


@contextlib.asynccontextmanager
async def running(control: Control, *, watch: bool) -> AsyncIterator[None]:
    """Let a gateway live while the block runs; its table is loaded again as `watch` says."""
    await control.start()
    try:
        if watch:
            async with _reloading(control):
                yield
        else:
            yield
    finally:
        await control.stop()


@contextlib.asynccontextmanager
async def _reloading(control: Control) -> AsyncIterator[None]:
    """Load the table again when its file changes, and on SIGHUP (which also reopens the logs)."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[Any]] = set()

    async def start_over() -> None:
        await control.reopen_logs()
        await control.reload()

    def hang_up() -> None:
        task = loop.create_task(start_over())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    # Only the main thread may; without a handler SIGHUP would end the process.
    handles_signals = hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread()
    if handles_signals:
        loop.add_signal_handler(signal.SIGHUP, hang_up)
    try:
        async with Watcher(control.path, control.reload, known=control.content, companions=lambda: control.companions):
            yield
    finally:
        if handles_signals:
            loop.remove_signal_handler(signal.SIGHUP)
        await asyncio.gather(*tasks, return_exceptions=True)
