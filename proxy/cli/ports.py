"""Listener ports: opened before the server runs, and opened or closed by a reload while it does."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import uvicorn

from proxy.config.model import Config, ListenerConfig
from proxy.config.problem import Problem
from proxy.control import NoFollowers
from proxy.listen.accept import FailedConnection, TlsServer
from proxy.listen.tls import TlsError, tls_context

Serving = asyncio.Server | TlsServer

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
    """The listener ports of a running uvicorn server, from its start and over all reloads (`control.Followers`).

    uvicorn would have one TLS context for all of its sockets, so each port is a server of its own beside the others.

    Args:
        server: Whose `servers` are extended and shortened; it closes them all when it stops.
        host: The address to bind to.
        shared: Whether other workers bind to the same ports.
        tls_failed: Called with the listener's name for each handshake in which a client does something wrong.
        connection_failed: Told of each connection that ends with its handshake.
    """

    def __init__(
        self,
        server: uvicorn.Server,
        host: str,
        *,
        shared: bool = False,
        tls_failed: Callable[[str], None] = lambda listener: None,
        connection_failed: Callable[[FailedConnection], None] = lambda connection: None,
    ) -> None:
        self._server = server
        self._host = host
        self._shared = shared
        self._tls_failed = tls_failed
        self._connection_failed = connection_failed
        self._is_open = asyncio.Event()
        self._opened: list[int] = []
        self._leaving: list[int] = []
        self._replacing: list[tuple[Serving, Serving]] = []

    @property
    def _servers(self) -> list[Serving]:
        return cast(list[Serving], self._server.servers)

    async def open(self, listeners: Sequence[ListenerConfig], sockets: Sequence[socket.socket]) -> None:
        """Begin to accept on the sockets that were bound for these listeners; raise TlsError or OSError."""
        for listener, sock in zip(listeners, sockets, strict=True):
            self._servers.append(await self._serve(listener, sock))
        self._is_open.set()

    async def stage(self, before: Config, after: Config, content: bytes) -> list[Problem]:
        """Begin to accept on the ports that are new, and make ready for new certificates on the others.

        The file may change before the first ports are open: then it waits for these.
        """
        await self._is_open.wait()
        held = {listener.port: listener for listener in before.listeners}
        self._leaving = sorted(held.keys() - {listener.port for listener in after.listeners})
        problems: list[Problem] = []
        for listener in after.listeners:
            try:
                if listener.port not in held:
                    sock = bind(self._host, listener.port, shared=self._shared)
                    self._servers.append(await self._serve(listener, sock))
                    self._opened.append(listener.port)
                elif _tls_of(listener) != _tls_of(held[listener.port]):
                    serving = self._serving(listener.port)
                    shared_queue = socket.socket(fileno=os.dup(serving.sockets[0].fileno()))
                    self._replacing.append((serving, await self._serve(listener, shared_queue, accept=False)))
            except TlsError as error:
                problems.append(_tls_problem(listener, error))
            except OSError as error:
                message = f"cannot listen on port {listener.port}: {error.strerror or error}"
                problems.append(Problem("error", "port-unavailable", listener.place, message))
        return problems

    async def commit(self) -> None:
        """Accept with the new certificates, and no more on the ports that are gone; all connections live on."""
        for before, after in self._replacing:
            await after.start_serving()
            self._servers.append(after)
            before.close()
            self._servers.remove(before)
        self._close(self._leaving)
        self._opened, self._leaving, self._replacing = [], [], []

    async def abandon(self) -> None:
        """Close the new ports again."""
        for _, after in self._replacing:
            after.close()
        self._close(self._opened)
        self._opened, self._leaving, self._replacing = [], [], []

    async def _serve(self, listener: ListenerConfig, sock: socket.socket, *, accept: bool = True) -> Serving:
        server = self._server
        config = server.config

        def create_protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=server.server_state, app_state=server.lifespan.state
            )

        try:
            if listener.protocol == "HTTPS":
                context = tls_context(listener, partial(self._tls_failed, listener.name))
                secure = TlsServer(sock, context, create_protocol, self._connection_failed)
                if accept:
                    await secure.start_serving()
                return secure
            return await asyncio.get_running_loop().create_server(
                create_protocol, sock=sock, backlog=BACKLOG, start_serving=accept
            )
        except BaseException:
            sock.close()
            raise

    def _serving(self, port: int) -> Serving:
        return next(each for each in self._servers if any(_port(sock) == port for sock in each.sockets))

    def _close(self, ports: list[int]) -> None:
        for open_server in list(self._servers):
            if any(_port(sock) in ports for sock in open_server.sockets):
                open_server.close()
                self._servers.remove(open_server)


def tls_problems(config: Config) -> list[Problem]:
    """What OpenSSL has against the certificates and policies of a table whose files have been read."""
    problems: list[Problem] = []
    for listener in config.listeners:
        if listener.protocol == "HTTPS":
            try:
                tls_context(listener)
            except TlsError as error:
                problems.append(_tls_problem(listener, error))
    return problems


def _tls_problem(listener: ListenerConfig, error: TlsError) -> Problem:
    return Problem("error", "tls-unavailable", listener.place, str(error))


def _tls_of(listener: ListenerConfig) -> tuple[object, ...]:
    """What new contexts are made for; the name is in their count of failures."""
    return (
        listener.protocol,
        listener.protocol == "HTTPS" and listener.name,
        listener.certificates,
        listener.ssl_policy,
        listener.mutual_authentication,
        listener.http2,
    )


def _port(sock: Any) -> int | None:
    name = sock.getsockname()
    return name[1] if isinstance(name, tuple) else None
