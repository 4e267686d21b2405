"""The admin app of a gateway behind a real server, in a thread, with some paths answered by the test."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from simulated_shop import answers, serve, shop

from proxy.admin.app import create_admin
from proxy.control import Control
from proxy.observe.history import SAMPLE_SECONDS

PATIENCE = 20.0


class AdminPage:
    """A served admin app.

    Attributes:
        control: What it shows.
        answers: Path to the document that it answers instead of the app; None for a 404.
        asked: The paths that were asked for, in order.
    """

    def __init__(self, control: Control, documents: dict[str, Any], *, is_live: bool = True) -> None:
        self.control = control
        self.answers: dict[str, Any] = documents
        self.asked: list[str] = []
        self._is_live = is_live
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._app = create_admin(control)
        self._start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def _start(self) -> None:
        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            log_level="critical",
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + PATIENCE
        while not self._server.started:
            assert time.monotonic() < deadline, "the admin page does not start"
            time.sleep(0.01)

    def _run(self) -> None:
        async def run() -> None:
            serving = asyncio.create_task(self._server.serve([self._socket]))
            traffic = asyncio.create_task(self._traffic()) if self._is_live else None
            await serving
            if traffic is not None:
                traffic.cancel()
                await asyncio.gather(traffic, return_exceptions=True)

        asyncio.run(run())

    async def _traffic(self) -> None:
        draw = random.Random(1)
        served_until = self.control.history.points[-1].at
        while True:
            for _ in range(4):
                await asyncio.sleep(SAMPLE_SECONDS / 4)
                now = time.time()
                serve(self.control, now, now - served_until, draw)
                served_until = now
            snapshot = self.control.gateway.metrics_snapshot(self.control.reload_state)
            self.control.history.observe(snapshot, time.time())

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        self.asked.append(path)
        if path not in self.answers:
            await self._app(scope, receive, send)
            return
        document = self.answers[path]
        body = json.dumps({"error": "Not Found"} if document is None else document).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 404 if document is None else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def stop(self) -> None:
        """Answer no more; `start_again` on the same port."""
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the admin page does not stop"

    def start_again(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", self.port))
        self._start()


@contextmanager
def admin_page(
    *, transactions: int = 16, is_live: bool = True, change: Callable[[dict[str, Any]], None] = lambda documents: None
) -> Iterator[AdminPage]:
    """The simulated shop's page; `change` may edit the radar's documents."""
    documents = answers(time.time(), transactions)
    change(documents)
    page = AdminPage(shop(), documents, is_live=is_live)
    try:
        yield page
    finally:
        if page._thread.is_alive():
            page.stop()
