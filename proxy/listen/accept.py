"""Accepts TLS connections: as a server of an event loop does, and a failed handshake is known by its client.

Event loops tell nobody whose handshake failed. Here each connection is accepted and then handed to the event loop, so
that the address is at hand when its handshake fails, and the connection log has a line for that client, too.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from proxy.listen.handshake import ACCEPTED, UNMAPPED, Accepted
from proxy.listen.socket_names import address_of
from proxy.tls import TlsSession

logger = logging.getLogger(__name__)

HANDSHAKE_SECONDS: Final = 10.0
"""How long a client may take for its handshake."""
CLOSE_SECONDS: Final = 5.0
"""How long a client may take to answer a closing connection."""
AT_ONCE: Final = 64
"""Connections that are accepted before others get their turn."""
RETRY_SECONDS: Final = 1.0
"""How long nothing is accepted when the process has no file descriptor left."""
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(slots=True)
class FailedConnection:
    """A connection that ended with its handshake (`proxy.listen.client.ClientConnection`)."""

    peer: str
    client_port: int
    port: int
    opened_at: float
    tls: TlsSession | None
    conn_trace_id: str = field(default_factory=lambda: f"TID_{secrets.token_hex(16)}")


class TlsServer:
    """The connections of one listening socket, which it closes in the end.

    Args:
        context: What the handshakes are made with.
        create_protocol: Makes the protocol of each connection whose handshake succeeds.
        failed: Told of each connection whose handshake does not.
    """

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext,
        create_protocol: Callable[[], asyncio.BaseProtocol],
        failed: Callable[[FailedConnection], None],
    ) -> None:
        listening.setblocking(False)
        self._listening = listening
        self._port = address_of(listening.getsockname())[1]
        self._context = context
        self._create_protocol = create_protocol
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening socket; none once it is closed."""
        return (self._listening,) if self._listening.fileno() >= 0 else ()

    async def start_serving(self) -> None:
        """Begin to accept."""
        self._listen()

    def close(self) -> None:
        """Accept no more; what is accepted lives on."""
        if self._retry is not None:
            self._retry.cancel()
        if self._listening.fileno() >= 0:
            self._loop.remove_reader(self._listening.fileno())
            self._listening.close()

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""

    def _listen(self) -> None:
        self._retry = None
        self._loop.add_reader(self._listening.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                logger.error("cannot accept a connection: %s", error.strerror)
                self._loop.remove_reader(self._listening.fileno())
                self._retry = self._loop.call_later(RETRY_SECONDS, self._listen)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._shake_hands(connection, address))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, connection: socket.socket, address: object) -> None:
        opened_at = time.perf_counter()
        accepted = Accepted()
        ACCEPTED.set(accepted)
        try:
            await self._loop.connect_accepted_socket(
                self._create_protocol,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=CLOSE_SECONDS,
            )
        except OSError:
            # That of `ssl`, a lost connection and the end of the time for it among them.
            handshake = accepted.handshake
            session = handshake.outcome() if handshake is not None else TlsSession("", "", failure=UNMAPPED)
            self._failed(FailedConnection(*address_of(address), self._port, opened_at, session))
