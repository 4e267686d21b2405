"""One health check over HTTP/1.1, as the load balancer makes it (alb.md 5.7)."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Iterator
from functools import lru_cache

import httpx

from proxy.config.model import HealthCheckConfig
from proxy.targets.health import ProbeResult
from proxy.targets.target import HealthReason, Target

USER_AGENT = "ELB-HealthChecker/2.0"
DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_DETAIL = 160

_OWN_FAULTS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


@lru_cache(maxsize=2)
def unverified_tls(alpn: str = "") -> ssl.SSLContext:
    """The load balancer does not verify the certificates of targets (alb.md 5.1)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([alpn])
    return context


async def probe_http(target: Target, config: HealthCheckConfig) -> ProbeResult:
    """Send `GET path` on a new connection and return the status of the response, or why there was none.

    The connection is closed once the response's headers are there: the body is not read. No redirect is
    followed, no proxy of the environment used. The path goes out as it is written. The caller bounds the
    time.
    """
    scheme = config.protocol.lower() if config.protocol else target.scheme
    port = config.port or target.port
    address = f"[{target.address}]" if ":" in target.address else target.address
    request = httpx.Request(
        "GET",
        f"{scheme}://{address}:{port}/",
        headers={
            "Host": address if port == DEFAULT_PORTS[scheme] else f"{address}:{port}",
            "Connection": "close",
            "User-Agent": USER_AGENT,
        },
        extensions={"target": config.path.encode()},
    )
    # A transport of its own keeps checks apart, and has no headers, cookies or proxies of a client's.
    try:
        async with httpx.AsyncHTTPTransport(verify=unverified_tls(), trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            await response.aclose()
            return ProbeResult(status=response.status_code)
    except httpx.TransportError as error:
        return failure_of(error, is_connecting=isinstance(error, httpx.ConnectError))


def failure_of(error: httpx.TransportError | OSError, *, is_connecting: bool) -> ProbeResult:
    """The result of a check that ended in this error."""
    cause = _system_error(error)
    own = cause is not None and cause.errno in _OWN_FAULTS
    reason = HealthReason.INTERNAL_ERROR if own else HealthReason.FAILED_HEALTH_CHECKS
    if isinstance(cause, ssl.SSLError):
        text = f"TLS handshake failed: {(cause.reason or str(cause)).replace('_', ' ').lower()}"
    elif cause is not None and cause.errno is not None:
        doing = "connecting" if is_connecting else "waiting for the response"
        text = f"{os.strerror(cause.errno).lower()} while {doing}"
    elif isinstance(error, httpx.ProtocolError):
        text = f"no valid response: {error}"
    else:
        text = str(error) or "the connection was closed before the response"
    return ProbeResult(failure=reason, detail=text[:MAX_DETAIL])


def _system_error(error: BaseException) -> OSError | None:
    """The innermost OSError with a number: libraries wrap it in sentences that say less."""
    found = None
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno is not None:
            found = cause
    return found


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
