"""The health check that goes with a target group's targets and their protocol version."""

from __future__ import annotations

from proxy.config.model import HealthCheckConfig
from proxy.targets.health import ProbeResult
from proxy.targets.probe_function import probe_function
from proxy.targets.probe_http import probe_http
from proxy.targets.probe_http2 import probe_http2
from proxy.targets.target import Target


async def probe(target: Target, config: HealthCheckConfig) -> ProbeResult:
    """Check one target once."""
    if config.function is not None:
        return await probe_function(config, config.function)
    if config.protocol_version == "HTTP1":
        return await probe_http(target, config)
    return await probe_http2(target, config)
