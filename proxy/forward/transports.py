"""How targets are spoken to, by the protocol version of their group (alb.md 5.1)."""

from __future__ import annotations

from typing import Final

from proxy.config.model import ProtocolVersion
from proxy.forward.http2 import Http2Pool
from proxy.forward.pool import Pool
from proxy.targets.target import Target

TRANSPORTS: Final[dict[ProtocolVersion, type[Pool] | type[Http2Pool]]] = {
    "HTTP1": Pool,
    "HTTP2": Http2Pool,
    "GRPC": Http2Pool,
}


def pool_of(target: Target, version: ProtocolVersion) -> Pool | Http2Pool:
    """The pool of this target, made at first use. It lives and is carried over with the target."""
    pool = target.pool
    if not isinstance(pool, Pool | Http2Pool):
        target.pool = pool = TRANSPORTS[version](target)
    return pool
