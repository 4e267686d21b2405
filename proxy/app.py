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
        await control.start()
        async with contextlib.AsyncExitStack() as stack:
            if watch:
                await stack.enter_async_context(_reloading(control))
            yield {"gateway": control.gateway}
        await control.stop()

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan)
    app.mount("/", AsgiDoor(lambda: control.gateway))
    return app


@contextlib.asynccontextmanager
async def _reloading(control: Control) -> AsyncIterator[None]:
    """Load the table again when its file changes, and on SIGHUP (which also reopens the logs)."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[Any]] = set()

    def hang_up() -> None:
        control.reopen_logs()
        task = loop.create_task(control.reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    # Only the main thread may; without a handler SIGHUP would end the process.
    handles_signals = hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread()
    if handles_signals:
        loop.add_signal_handler(signal.SIGHUP, hang_up)
    try:
        async with Watcher(control.path, control.reload):
            yield
    finally:
        if handles_signals:
            loop.remove_signal_handler(signal.SIGHUP)
        await asyncio.gather(*tasks, return_exceptions=True)
