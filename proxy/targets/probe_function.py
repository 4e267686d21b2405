"""One health check of a function: an invocation with the load balancer's health check event (alb.md 7)."""

from __future__ import annotations

import os
import time

import httpx

from proxy.config.endpoint import BadEndpointError
from proxy.config.model import FunctionConfig, HealthCheckConfig
from proxy.errors import IntegrationError
from proxy.integrations import alb
from proxy.integrations.function import FUNCTIONS, invoke_headers, invoke_path, result_of
from proxy.integrations.message import Reply
from proxy.targets.health import ProbeResult
from proxy.targets.probe_http import MAX_DETAIL, failure_of
from proxy.targets.target import HealthReason


async def probe_function(config: HealthCheckConfig, function: FunctionConfig) -> ProbeResult:
    """Invoke the function once and return the status of its answer, or why there was none.

    The event has the format that the function expects; it is always waited for, also where clients do not wait.
    The caller bounds the time.
    """
    try:
        integration = FUNCTIONS[function.payload](function, os.environ)
    except BadEndpointError as error:
        return ProbeResult(failure=HealthReason.INTERNAL_ERROR, detail=str(error)[:MAX_DETAIL])
    service = integration.service
    event = integration.encoded(alb.health_check_request(config.path, time.time()))
    path, headers = service.signed(invoke_path(function.name), invoke_headers(is_async=False), event)
    request = httpx.Request(
        "POST", service.endpoint.url, headers=headers, content=event, extensions={"target": path.encode()}
    )
    try:
        async with httpx.AsyncHTTPTransport(trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            payload = await _read(response, integration.max_reply_bytes)
    except httpx.TransportError as error:
        return failure_of(error, is_connecting=isinstance(error, httpx.ConnectError))
    fields = {name.lower(): value for name, value in response.headers.raw}
    try:
        return ProbeResult(status=integration.result(result_of(Reply(response.status_code, fields, payload))).status)
    except IntegrationError as error:
        return ProbeResult(failure=HealthReason.FAILED_HEALTH_CHECKS, detail=f"{error.reason}: {error}"[:MAX_DETAIL])


async def _read(response: httpx.Response, limit: int) -> bytes:
    payload = b""
    async for part in response.aiter_raw():
        payload += part
        if len(payload) >= limit:
            break
    await response.aclose()
    return payload
