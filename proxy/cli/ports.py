"""Listener ports: opened before the server runs, and opened or closed by a reload while it does."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn

from proxy.config.model import Config
from proxy.config.problem import Problem
from proxy.control import NoFollowers

BACKLOG = 2048
"""Connections that may wait to be accepted."""


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that listens on this address; raise OSError naming both if that cannot be.

    Args:
        host: Empty means every address, IPv4 and IPv6.
        shared: Whether further sockets may be bound to the same address, each getting its share of connections.
    """
    dual = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual or ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=dual, reuse_port=shared)


class ServerPorts(NoFollowers):
    """The listener ports of a running uvicorn server: what it was given, and what reloads add (`control.Followers`).

    Args:
        server: Whose `servers` are extended and shortened; it closes them all when it stops.
        host: The address to bind to.
        shared: Whether other workers bind to the same ports.
    """

    def __init__(self, server: uvicorn.Server, host: str, *, shared: bool = False) -> None:
        self._server = server
        self._host = host
        self._shared = shared
        self._opened: list[int] = []
        self._leaving: list[int] = []

    async def stage(self, before: Config, after: Config, content: bytes) -> list[Problem]:
        """Begin to accept on the ports that are new."""
        held = {listener.port for listener in before.listeners}
        self._leaving = sorted(held - {listener.port for listener in after.listeners})
        for listener in after.listeners:
            if listener.port not in held:
                try:
                    await self._open(listener.port)
                except OSError as error:
                    message = f"cannot listen on port {listener.port}: {error.strerror or error}"
                    return [Problem("error", "port-unavailable", listener.place, message)]
                self._opened.append(listener.port)
        return []

    async def commit(self) -> None:
        """Accept no more on the ports that are gone; their connections live on."""
        self._close(self._leaving)
        self._opened, self._leaving = [], []

    async def abandon(self) -> None:
        """Close the new ports again."""
        self._close(self._opened)
        self._opened, self._leaving = [], []

    async def _open(self, port: int) -> None:
        server = self._server
        config = server.config

        def create_protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=server.server_state, app_state=server.lifespan.state
            )

        sock = bind(self._host, port, shared=self._shared)
        opened = await asyncio.get_running_loop().create_server(create_protocol, sock=sock, backlog=BACKLOG)
        server.servers.append(opened)

    def _close(self, ports: list[int]) -> None:
        for open_server in list(self._server.servers):
            if any(_port(sock) in ports for sock in open_server.sockets):
                open_server.close()
                self._server.servers.remove(open_server)


def _port(sock: Any) -> int | None:
    name = sock.getsockname()
    return name[1] if isinstance(name, tuple) else None
