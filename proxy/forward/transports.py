"""How targets are spoken to: by the protocol version of their group, or as a function (alb.md 5.1)."""

from __future__ import annotations

from typing import Final

from proxy.config.model import ProtocolVersion, TargetGroupConfig
from proxy.forward.http2 import Http2Pool
from proxy.forward.integration import IntegrationPool
from proxy.forward.pool import Pool
from proxy.targets.target import Target

TRANSPORTS: Final[dict[ProtocolVersion, type[Pool] | type[Http2Pool]]] = {
    "HTTP1": Pool,
    "HTTP2": Http2Pool,
    "GRPC": Http2Pool,
}
AnyPool = Pool | Http2Pool | IntegrationPool


def pool_of(target: Target, config: TargetGroupConfig) -> AnyPool:
    """The pool of this target of this group, made at first use. It lives and is carried over with the target."""
    pool = target.pool
    if not isinstance(pool, AnyPool):
        if config.function is not None or config.event is not None:
            pool = IntegrationPool(target, config)
        else:
            pool = TRANSPORTS[config.protocol_version](target)
        target.pool = pool
    return pool
