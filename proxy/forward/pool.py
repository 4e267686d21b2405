"""Connections to one target: kept alive between requests and shared by all clients (alb.md 6.4)."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar, cast

from mypy_extensions import mypyc_attr

from proxy.errors import OutOfFilesError, TargetConnectError, TargetConnectTimeout, TargetTlsError
from proxy.forward.connection import TargetConnection
from proxy.targets.target import HealthState, Target

if TYPE_CHECKING:
    from proxy.forward.http2 import TargetStream
    from proxy.forward.integration import IntegrationCall

ConnectionT = TypeVar("ConnectionT")

CONNECT_TIMEOUT_SECONDS: Final = 10.0
"""How long a target may take to accept, TLS included (alb.md 6.6)."""
MAX_OPENING: Final = 256
"""Most connections to one target that are being opened at a time. Further requests wait for one of them, or for one
that is given back: ten thousand clients that come at once need not become ten thousand connections."""
MAX_IDLE_CONNECTIONS: Final = 512
"""Most idle connections kept for one target; more are closed as they come back."""


@lru_cache(maxsize=2)
def unverified_tls(alpn: str = "http/1.1") -> ssl.SSLContext:
    """TLS towards targets: encrypted, and not verified, as the load balancer does (alb.md 5.1)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([alpn])
    return context


@mypyc_attr(allow_interpreted_subclasses=True)
class TargetPool:
    """All connections to one target, whatever they speak. It lives and is carried over with the target.

    It is no ABC: compiled, one and its subclasses share what `isinstance` remembers, and would be taken for each other.

    Args:
        tls: What to speak TLS with where the target's scheme is https, given the protocol to agree on.
    """

    __slots__ = ("_connecting", "_retired", "_tls", "target")

    def __init__(self, target: Target, tls: Callable[[str], ssl.SSLContext] = unverified_tls) -> None:
        self.target = target
        self._tls = tls
        self._connecting: set[asyncio.Timeout] = set()
        self._retired = False

    def take_idle(self) -> TargetConnection | TargetStream | IntegrationCall | None:
        """What can take a request at once, or None."""
        raise NotImplementedError

    async def connect(self) -> TargetConnection | TargetStream | IntegrationCall:
        """Something new to take a request.

        Raises:
            TargetConnectTimeout: It took over 10 s, a TLS handshake included.
            TargetTlsError: The TLS handshake failed.
            TargetConnectError: It was refused, reset or unreachable, or the target was deregistered meanwhile.
        """
        raise NotImplementedError

    def close_idle(self, idle_before: float) -> None:
        """Close the connections that have been idle since before this `time.perf_counter()`."""
        raise NotImplementedError

    def retire(self) -> None:
        """Close what is idle now, and everything else as its response ends: the target is gone."""
        raise NotImplementedError

    def close(self) -> None:
        """Close every connection now; responses in flight are cut."""
        raise NotImplementedError

    @property
    def count(self) -> int:
        """All open connections."""
        raise NotImplementedError

    async def _open(
        self,
        make: Callable[[], ConnectionT],
        alpn: str,
        *,
        ready: Callable[[ConnectionT], Awaitable[None]] | None = None,
        given: Callable[[], Awaitable[ConnectionT | None]] | None = None,
    ) -> ConnectionT:
        """Open a connection; see `connect`.

        Args:
            alpn: What to agree on over TLS.
            ready: To be waited for within the same time.
            given: What comes before, within the same time: a connection that makes another one unnecessary, or None.
        """
        target = self.target
        loop = asyncio.get_running_loop()
        limit = asyncio.timeout(CONNECT_TIMEOUT_SECONDS)
        self._connecting.add(limit)
        try:
            async with limit:
                if given is not None and (earlier := await given()) is not None:
                    return earlier
                _, connection = await loop.create_connection(
                    cast("Callable[[], asyncio.Protocol]", make),
                    target.address,
                    target.port,
                    ssl=self._tls(alpn) if target.scheme == "https" else None,
                    server_hostname=target.host if target.scheme == "https" else None,
                )
                opened = cast("ConnectionT", connection)
                if ready is not None:
                    await ready(opened)
        except TimeoutError as error:
            if target.state is HealthState.DRAINING:
                raise TargetConnectError("the target was deregistered", sent=False) from error
            raise TargetConnectTimeout(f"no connection within {CONNECT_TIMEOUT_SECONDS:g} s", sent=False) from error
        except ssl.SSLError as failure:
            raise TargetTlsError(f"cannot connect: {failure}", sent=False) from failure
        except OSError as refusal:
            if refusal.errno in (errno.EMFILE, errno.ENFILE):
                raise OutOfFilesError(str(refusal), sent=False) from refusal
            raise TargetConnectError(f"cannot connect: {refusal}", sent=False) from refusal
        finally:
            self._connecting.discard(limit)
        return opened

    def give_up_connecting(self) -> None:
        """Wait no longer for a deregistered target to accept: a container that is gone does not even refuse."""
        now = asyncio.get_running_loop().time()
        for limit in self._connecting:
            limit.reschedule(now)


class Pool(TargetPool):
    """HTTP/1.1 connections. The last one used is used next, so that the rest can grow idle and be closed."""

    __slots__ = ("_connections", "_idle", "_opening", "_waiting")

    def __init__(self, target: Target, tls: Callable[[str], ssl.SSLContext] = unverified_tls) -> None:
        super().__init__(target, tls)
        self._idle: list[TargetConnection] = []
        self._connections: set[TargetConnection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[TargetConnection | None]] = deque()

    def take_idle(self) -> TargetConnection | None:
        """An idle connection that has not been closed yet, or None."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
        return None

    async def connect(self) -> TargetConnection:
        """A new connection, or one that was given back while this one had to wait; see `TargetPool.connect`."""
        is_opening = False

        async def turn() -> TargetConnection | None:
            nonlocal is_opening
            given = await self._turn()
            is_opening = given is None
            self._opening += is_opening
            return given

        try:
            connection = await self._open(lambda: TargetConnection(self), "http/1.1", given=turn)
        finally:
            if is_opening:
                self._opening -= 1
                self._let_go_on(None)
        if connection.closed:
            raise TargetConnectError("the connection was closed as soon as it was open", sent=False)
        self._connections.add(connection)
        return connection

    async def _turn(self) -> TargetConnection | None:
        """Wait until a connection may be opened, or until one is given back."""
        while self._opening >= MAX_OPENING:
            turn: asyncio.Future[TargetConnection | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                given = await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._pass_on(turn.result())
                raise
            if given is not None and not given.closed:
                return given
        return None

    def _let_go_on(self, given: TargetConnection | None) -> bool:
        """Let the one go on who has waited longest; whether there was one."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(given)
                return True
        return False

    def _pass_on(self, given: TargetConnection | None) -> None:
        """What one who left was to have is the next one's."""
        if given is None:
            self._let_go_on(None)
        else:
            self.release(given, given.idle_since)

    def release(self, connection: TargetConnection, now: float) -> None:
        """Take back a connection whose response is complete, or close it if it cannot be used again.

        Args:
            now: `time.perf_counter()`; from when on the connection counts as idle.
        """
        is_wanted = not self._retired and len(self._idle) < MAX_IDLE_CONNECTIONS
        if connection.keep_alive and is_wanted and not connection.closed:
            connection.idle_since = now
            connection.used = True
            if not self._waiting or not self._let_go_on(connection):
                self._idle.append(connection)
        else:
            connection.close()

    def lost(self, connection: TargetConnection) -> None:
        """A connection was closed, by whichever side."""
        self._connections.discard(connection)
        if connection.used and connection in self._idle:
            self._idle.remove(connection)

    def close_idle(self, idle_before: float) -> None:
        """Close the connections that have been idle since before this `time.perf_counter()`."""
        expired = [connection for connection in self._idle if connection.idle_since < idle_before]
        if expired:
            self._idle = [connection for connection in self._idle if connection.idle_since >= idle_before]
            for connection in expired:
                connection.close()

    def retire(self) -> None:
        """Close what is idle now, and everything else as its response ends: the target is gone."""
        self._retired = True
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close every connection now; responses in flight are cut."""
        self.retire()
        for connection in list(self._connections):
            connection.abort()

    @property
    def idle_count(self) -> int:
        """Connections without a request."""
        return len(self._idle)

    @property
    def count(self) -> int:
        """All open connections."""
        return len(self._connections)
