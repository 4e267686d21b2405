"""One health check over HTTP/2, of groups with protocol version HTTP2 or, by gRPC codes, GRPC (alb.md 5.7)."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

from proxy.config.model import HealthCheckConfig
from proxy.http2.session import Session
from proxy.targets.health import ProbeResult
from proxy.targets.probe_http import DEFAULT_PORTS, USER_AGENT, failure_of, unverified_tls
from proxy.targets.target import HealthReason, Target

NO_MESSAGE: Final = b"\0\0\0\0\0"
"""A gRPC message of no bytes."""
MAX_BYTES: Final = 256 * 1024
"""Most bytes that are read for one check."""


async def probe_http2(target: Target, config: HealthCheckConfig) -> ProbeResult:
    """Ask for `path` on a new connection and return the status, or for GRPC the gRPC code, or why there was none.

    HTTP2 is `GET path`; GRPC is `POST path` with an empty message. The caller bounds the time.
    """
    scheme = config.protocol.lower() if config.protocol else target.scheme
    port = config.port or target.port
    tls = unverified_tls("h2") if scheme == "https" else None
    try:
        reader, writer = await asyncio.open_connection(target.address, port, ssl=tls)
    except OSError as error:
        return failure_of(error, is_connecting=True)
    try:
        if tls is not None and writer.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            return _no("the target does not speak HTTP/2 over TLS")
        return await _ask(reader, writer, config, _head(target, config, scheme, port))
    except OSError as error:
        return failure_of(error, is_connecting=False)
    except ProtocolError as error:
        return _no(f"no valid HTTP/2 response: {error}")
    finally:
        writer.transport.abort()


def _head(target: Target, config: HealthCheckConfig, scheme: str, port: int) -> list[tuple[bytes, bytes]]:
    address = f"[{target.address}]" if ":" in target.address else target.address
    authority = address if port == DEFAULT_PORTS[scheme] else f"{address}:{port}"
    is_grpc = config.protocol_version == "GRPC"
    head = [
        (b":method", b"POST" if is_grpc else b"GET"),
        (b":scheme", scheme.encode()),
        (b":authority", authority.encode()),
        (b":path", config.path.encode()),
        (b"user-agent", USER_AGENT.encode()),
    ]
    if is_grpc:
        head += [(b"content-type", b"application/grpc"), (b"te", b"trailers")]
    return head


async def _ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    config: HealthCheckConfig,
    head: list[tuple[bytes, bytes]],
) -> ProbeResult:
    is_grpc = config.protocol_version == "GRPC"
    session = Session(client_side=True, window=65_535, max_streams=0)
    session.send_headers(1, head, end_stream=not is_grpc)
    if is_grpc:
        session.send_data(1, NO_MESSAGE, end_stream=True)
    writer.write(session.data_to_send())
    fields: dict[bytes, bytes] = {}
    size = 0
    while size < MAX_BYTES:
        data = await reader.read(65_536)
        if not data:
            return _no("the connection was closed before the response")
        size += len(data)
        for event in session.receive_data(data):
            result = _judge(event, fields, is_grpc=is_grpc)
            if result is not None:
                return result
        writer.write(session.data_to_send())
    return _no(f"no end of the response within {MAX_BYTES} bytes")


def _judge(event: Any, fields: dict[bytes, bytes], *, is_grpc: bool) -> ProbeResult | None:
    """What this event decides, None if more is to come; `fields` collects header and trailer fields."""
    if isinstance(event, ResponseReceived | TrailersReceived):
        fields.update(event.headers)
        if not is_grpc:
            return ProbeResult(status=int(fields[b":status"]))
    elif isinstance(event, StreamEnded):
        code = fields.get(b"grpc-status", b"")
        if code.isdigit() and len(code) < 4:
            return ProbeResult(status=int(code))
        status = fields.get(b":status", b"").decode("latin-1")
        detail = f"got HTTP status {status} without a grpc-status"
        return ProbeResult(failure=HealthReason.RESPONSE_CODE_MISMATCH, detail=detail)
    elif isinstance(event, StreamReset):
        return _no("the target reset the stream")
    elif isinstance(event, ConnectionTerminated) and not event.last_stream_id:
        return _no("the target closed the connection with GOAWAY")
    elif isinstance(event, DataReceived) and not is_grpc:
        return _no("no valid HTTP/2 response")
    return None


def _no(detail: str) -> ProbeResult:
    return ProbeResult(failure=HealthReason.FAILED_HEALTH_CHECKS, detail=detail)
