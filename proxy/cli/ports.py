"""Listener ports: opened before the server runs, and opened or closed by a reload while it does."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn

BACKLOG = 2048
"""Connections that may wait to be accepted."""


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to this address; raise OSError naming both if that cannot be.

    An empty host means every address, IPv4 and IPv6.
    """
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


class ServerPorts:
    """The listener ports of a running uvicorn server: what it was given, and what reloads add.

    Args:
        server: Whose `servers` are extended and shortened; it closes them all when it stops.
        host: The address to bind to.
    """

    def __init__(self, server: uvicorn.Server, host: str) -> None:
        self._server = server
        self._host = host

    async def open(self, port: int) -> None:
        """Begin to accept on a port; raise OSError if that cannot be."""
        server = self._server
        config = server.config

        def create_protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=server.server_state, app_state=server.lifespan.state
            )

        opened = await asyncio.get_running_loop().create_server(
            create_protocol, sock=bind(self._host, port), backlog=BACKLOG
        )
        server.servers.append(opened)

    def close(self, port: int) -> None:
        """Accept no more on a port; its connections live on."""
        for open_server in list(self._server.servers):
            if any(_port(sock) == port for sock in open_server.sockets):
                open_server.close()
                self._server.servers.remove(open_server)


def _port(sock: Any) -> int | None:
    name = sock.getsockname()
    return name[1] if isinstance(name, tuple) else None
