"""What a door and the gateway know of each other."""

from __future__ import annotations

from typing import Literal, Protocol

from proxy.config.model import LoadBalancerAttributes
from proxy.errors import ClientError
from proxy.http1.mitigation import Mitigated
from proxy.rules.request import RequestView
from proxy.tls import TlsSession


class Client(Protocol):
    """One client connection (or ASGI request), as the gateway sees it. Each call returns at once.

    Attributes:
        peer, client_port: The client's address and port.
        local_host: The address it connected to, for requests without Host.
        active_at: `time.perf_counter()` of the last byte in either direction; the gateway sets it, too.
        takes_chunks: Whether a chunked response body is passed on as it came; otherwise its payload alone.
        tls: What is known of its TLS connection; None without TLS.
        memo: For the gateway to keep what is the same for all requests of this client.
    """

    active_at: float
    takes_chunks: bool
    memo: object

    @property
    def peer(self) -> str: ...

    @property
    def client_port(self) -> int: ...

    @property
    def local_host(self) -> bytes: ...

    @property
    def tls(self) -> TlsSession | None: ...

    @property
    def conn_trace_id(self) -> str:
        """What the logs call this connection: `TID_` and 32 hex digits; empty where a door sees no connections."""

    def start(self, status: int, reason: bytes, block: bytes, length: int, body: bytes, complete: bool) -> int:
        """Send the head of the response with the first of its body; return the bytes written.

        Args:
            block: Header lines, each with its CRLF, none of them hop-by-hop.
            length: Bytes of body, `CHUNKED` (`body` is framed if `takes_chunks`) or `UNTIL_CLOSE`.
        """

    def inform(self, status: int, reason: bytes, block: bytes) -> None:
        """Send a 1xx response."""

    def more(self, body: bytes, complete: bool) -> int:
        """Send more of the body; return the bytes written."""

    def cut(self) -> None:
        """Close the connection so that the client sees the response is not whole."""

    def pause(self) -> None:
        """Read no more of the request for now: the target is slow."""

    def resume(self) -> None:
        """Read on."""

    def tunnel(self, reason: bytes, block: bytes, data: bytes) -> int:
        """Send the 101 and turn the connection into a tunnel; return the bytes written."""

    def tunnel_send(self, data: bytes) -> int:
        """Send bytes through the tunnel."""

    def tunnel_end(self) -> None:
        """The target will send no more through the tunnel."""

    def finished(self) -> None:
        """The exchange is over; the next request may be read."""


class ClientConnection(Protocol):
    """A client's connection that a door sees from its beginning to its end.

    Attributes:
        peer, client_port, tls: As in `Client`.
    """

    peer: str
    client_port: int
    tls: TlsSession | None

    @property
    def conn_trace_id(self) -> str:
        """As in `Client`."""

    @property
    def port(self) -> int:
        """The listener's."""

    @property
    def opened_at(self) -> float:
        """`time.perf_counter()` when it was accepted."""


class Exchange(Protocol):
    """One request and its response, as a door sees it."""

    done: bool
    listener: str
    classification: str
    classification_reason: str

    def run(self, body: bytes, complete: bool) -> None:
        """Decide and forward, with as much of the body as has come (framed as on the wire)."""

    def request_continued(self, body: bytes, complete: bool) -> None:
        """More of the request's body came."""

    def fail(self, error: ClientError) -> None:
        """The request turned out to be broken, or its client went silent."""

    def timed_out(self, *, request_complete: bool) -> None:
        """Nothing moved for the idle timeout."""

    def client_lost(self) -> None:
        """The client is gone."""

    def client_paused(self) -> None:
        """The client reads slower than the target sends."""

    def client_resumed(self) -> None:
        """The client reads again."""

    def tunnel_continued(self, data: bytes) -> None:
        """Bytes from the client in a tunnel."""

    def tunnel_ended(self) -> None:
        """The client will send no more through the tunnel."""


class Gate(Protocol):
    """The gateway, as a door sees it."""

    @property
    def attributes(self) -> LoadBalancerAttributes:
        """The load balancer attributes in force."""

    def exchange(
        self,
        client: Client,
        port: int,
        view: RequestView,
        block: bytes,
        length: int,
        *,
        protocol: bytes,
        upgrade: bool,
        ambiguous: bool,
        head_bytes: int,
        received_at: float,
    ) -> Exchange:
        """An exchange for this request, not yet run.

        Args:
            port: The listener's.
            block: The request's header lines as received.
            length: Of the body: a count or `CHUNKED`.
            protocol: The client's HTTP version: `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.
            upgrade: Whether it asks for a WebSocket.
            ambiguous: Whether its framing headers must be made plain.
            head_bytes: Size of the head as received.
            received_at: `time.perf_counter()` when it was read.
        """

    def mitigated(self, exchange: Exchange, mitigated: Mitigated) -> None:
        """Note and count what desync mitigation found in the request of this exchange; before it runs."""

    def invalid_names(self, exchange: Exchange, *, dropped: bool) -> None:
        """Count a request with header names that the load balancer calls invalid (alb.md 6.4); before it runs."""

    def refuse(self, client: Client, port: int, error: ClientError, head: bytes, received_at: float) -> None:
        """Answer and record what is no request. The door closes afterwards."""

    def connected(self, client: Timed) -> None:
        """A connection was opened."""

    def disconnected(self, client: Timed) -> None:
        """A connection was closed."""

    def connection_ended(self, connection: ClientConnection) -> None:
        """Log a connection that is closed and whose last request is recorded; only from doors that see connections."""


class Timed(Protocol):
    """What the gateway's clock looks at, about once a second."""

    def check_time(self, now: float, idle_timeout: float, client_keep_alive: float) -> None:
        """Close or answer what has been waiting too long.

        Args:
            now: `time.perf_counter()`.
            idle_timeout: Seconds without a byte (alb.md 6.6).
            client_keep_alive: Seconds that a client connection may live.
        """


Scheme = Literal["http", "https"]
