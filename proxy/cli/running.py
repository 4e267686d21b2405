"""What every process of the gateway does the same way: log, event loop, listener door, garbage collector."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import Coroutine, Iterator
from typing import Any, Final, cast

import uvicorn

from proxy.app import create_app
from proxy.cli.ports import ServerPorts
from proxy.control import Control
from proxy.listen.protocol import ListenerProtocol
from proxy.listen.tls import ignore_bad_server_names

DRAIN_SECONDS: Final = 30
"""How long requests in flight may take to end after SIGTERM."""


def set_up_log(level: str) -> None:
    """Log to standard error from this level on, and nothing there that clients could fill it with."""
    ignore_bad_server_names()
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # What servers and clients of the admin port and of health checks say is not the gateway's own log.
    for name in ("uvicorn", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def raise_open_files() -> None:
    """Let this process and its children open as many files as they may: each connection is one."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def listener_config(control: Control, *, watch: bool = True) -> uvicorn.Config:
    """How uvicorn runs the listener door; it adds no header of its own and takes none for the client's address."""
    return uvicorn.Config(
        create_app(control, watch=watch),
        http=cast("type[asyncio.Protocol]", ListenerProtocol),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


class DrainingServer(uvicorn.Server):
    """Drains on SIGTERM and SIGINT, and has then ended well: uvicorn's own raises the signal once more."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


class ListenerServer(DrainingServer):
    """Serves the listeners of a gateway, each port by `ports`.

    Args:
        host: The address that further ports are bound to.
        shared: Whether other workers bind to the same ports.
    """

    def __init__(self, config: uvicorn.Config, control: Control, host: str, *, shared: bool = False) -> None:
        super().__init__(config)
        self.ports = ServerPorts(
            self,
            host,
            shared=shared,
            tls_failed=control.metrics.tls_negotiation_failed,
            connection_failed=control.gateway.connection_ended,
        )
        control.followers = self.ports
        control.is_listening = False
        self._control = control
        self._listeners = control.runtime.config.listeners

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin with one socket for each listener of the first table."""
        await super().startup(sockets=[])
        await self.ports.open(self._listeners, sockets or [])
        self._control.is_listening = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain; not ready from now on."""
        self._control.is_listening = False
        await super().shutdown(sockets)


class QuietServer(uvicorn.Server):
    """A second server in a process: the signals are the first one's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def tune_garbage_collector() -> None:
    """Keep what was made at the start out of every later collection, and collect less often.

    A forwarded request leaves no reference cycle behind, so frequent collections find nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end, on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)
