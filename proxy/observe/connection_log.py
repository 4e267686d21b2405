"""The connection log: one line a client connection, written when it closes (alb.md 9.2)."""

from __future__ import annotations

import time
from typing import Protocol

from proxy.observe.log_writer import LogWriter
from proxy.tls import ClientCertificate, TlsSession


class Connection(Protocol):
    """What a line tells of a connection.

    Attributes:
        peer, client_port: The client's address and port.
        port: The listener's.
        opened_at: `time.perf_counter()` when it was accepted.
        conn_trace_id: What its requests have as field 30 of the access log.
        tls: Its TLS; None without.
    """

    peer: str
    client_port: int
    tls: TlsSession | None

    @property
    def port(self) -> int: ...

    @property
    def opened_at(self) -> float: ...

    @property
    def conn_trace_id(self) -> str: ...


class ConnectionLog:
    """Writes lines in the load balancer's field order; the time is when the connection was accepted."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    @classmethod
    def open(cls, path: str) -> ConnectionLog:
        """Open the log for appending; `-` is standard output. Raises OSError if the file cannot be opened."""
        return cls(LogWriter(path))

    def record(self, connection: Connection) -> None:
        """Log one connection that has ended. Never blocks."""
        self._writer.write(line(connection, time.time() - (time.perf_counter() - connection.opened_at)))

    def reopen(self) -> None:
        """Open the file by its name again, as after a rotation."""
        self._writer.reopen()

    def close(self) -> None:
        """Write what is left and close the file."""
        self._writer.close()

    @property
    def dropped(self) -> int:
        """Lines lost so far because they could not be written in time."""
        return self._writer.dropped


def line(connection: Connection, opened: float) -> str:
    """One connection as 12 fields; those about TLS and the client's certificate are `-` where there is none.

    Args:
        opened: When it was accepted, in seconds since the epoch.
    """
    second = int(opened)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return (
        f"{moment}.{int((opened - second) * 1e6):06d}Z {connection.peer} {connection.client_port} {connection.port}"
        f" {_tls(connection.tls)} {connection.conn_trace_id}"
    )


def _tls(tls: TlsSession | None) -> str:
    """Fields 5 to 11."""
    if tls is None:
        return '- - - "-" - - -'
    latency, status = (f"{tls.handshake_seconds:.3f}", "Success") if not tls.failure else ("-", f"Failed:{tls.failure}")
    return f"{tls.version or '-'} {tls.cipher or '-'} {latency} {_leaf(tls.client_certificate)} {status}"


def _leaf(certificate: ClientCertificate | None) -> str:
    """Fields 8 to 10; without values for what cannot be read, as a certificate that nobody verified."""
    if certificate is None:
        return '"-" - -'
    try:
        subject = certificate.subject.translate(_ESCAPES)
        return f'"{subject}" {certificate.validity} {certificate.serial_number}'
    except ValueError:
        return '"-" - -'


_ESCAPES = {code: f"\\x{code:02X}" for code in (*range(0x20), 0x22, 0x7F)}
"""A name in a certificate may hold anything; it must not add a field or a line."""
