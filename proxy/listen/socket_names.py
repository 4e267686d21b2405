"""Addresses as sockets name them."""

from __future__ import annotations

from typing import Any


def address_of(name: Any) -> tuple[str, int]:
    """Host and port of a socket name; an IPv4 client of an IPv6 socket is shown as IPv4."""
    if not isinstance(name, tuple):
        return "127.0.0.1", 0
    host: str = name[0]
    if host.startswith("::ffff:") and "." in host:
        host = host[7:]
    return host.partition("%")[0], name[1]


def local_host_of(host: str) -> bytes:
    """The host in the form of a Host header."""
    return (f"[{host}]" if ":" in host else host).encode()
