"""The proxies that are compared: one module each, all made from the same table."""

from __future__ import annotations

from bench.peers.baseline import Baseline
from bench.peers.caddy import Caddy
from bench.peers.envoy import Envoy
from bench.peers.floor import FloorAnswer, FloorCopy, FloorParse
from bench.peers.gateway import CompiledGateway, Gateway
from bench.peers.haproxy import HAProxy
from bench.peers.nginx import Nginx, StreamingNginx
from bench.peers.peer import Peer, Site

_ALL: tuple[Peer, ...] = (
    Nginx(),
    StreamingNginx(),
    HAProxy(),
    Caddy(),
    Envoy(),
    Baseline(),
    FloorCopy(),
    FloorParse(),
    FloorAnswer(),
    Gateway(),
    CompiledGateway(),
)
PEERS: dict[str, Peer] = {peer.name: peer for peer in _ALL}
OURS = ("gateway-compiled", "gateway")
"""What goals are for."""

__all__ = ["OURS", "PEERS", "Peer", "Site"]
