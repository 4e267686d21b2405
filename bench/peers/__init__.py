"""The proxies that are compared: one module each, all made from the same table."""

from __future__ import annotations

from bench.peers.baseline import Baseline
from bench.peers.caddy import Caddy
from bench.peers.envoy import Envoy
from bench.peers.gateway import CompiledGateway, Gateway
from bench.peers.haproxy import HAProxy
from bench.peers.nginx import Nginx
from bench.peers.peer import Peer, Site

PEERS: dict[str, Peer] = {
    peer.name: peer for peer in (Nginx(), HAProxy(), Caddy(), Envoy(), Baseline(), Gateway(), CompiledGateway())
}

__all__ = ["PEERS", "Peer", "Site"]
