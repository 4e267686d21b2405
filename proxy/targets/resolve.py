"""From a host name to the addresses of its targets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address

Lookup = Callable[[str], Awaitable[Iterable[str]]]
"""Every address of a name, both families, in any order; raises OSError or UnicodeError if there is none."""


class ResolveError(Exception):
    """A name has no addresses at present; the message says which name and why."""


async def system_lookup(name: str) -> list[str]:
    """Ask the system's resolver, in a thread of the event loop's own."""
    answers = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in answers]


def of_one_family(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the IPv4 addresses, or the IPv6 ones if there is no IPv4; sorted, each once.

    A target group of the load balancer has one address type. `localhost` shows why: it resolves to 127.0.0.1
    and ::1, most servers listen on one of them, and the other would be an unhealthy target that nobody meant.
    Who means an IPv6 address of a name that has both writes the address.
    """
    parsed = {ip_address(address) for address in addresses}
    version = min((address.version for address in parsed), default=4)
    chosen = (address for address in parsed if address.version == version)
    return tuple(str(address) for address in sorted(chosen, key=int))


class Resolver:
    """Resolves names, each within `timeout_seconds` and never twice at once.

    A lookup in a thread cannot be stopped. One that is late goes on by itself; as long as it does, later
    calls for that name wait for it and start none beside it, so a silent name server holds one thread a name
    at most.
    """

    def __init__(self, lookup: Lookup = system_lookup, *, timeout_seconds: float = 5.0) -> None:
        self._lookup = lookup
        self._timeout = timeout_seconds
        self._running: dict[str, asyncio.Task[Iterable[str]]] = {}

    async def resolve(self, name: str) -> tuple[str, ...]:
        """Return at least one address of `name`, all of one family; raise ResolveError otherwise."""
        task = self._running.get(name)
        if task is None:
            task = asyncio.create_task(self._answer(name), name=f"resolve {name}")
            self._running[name] = task
            task.add_done_callback(lambda _: self._running.pop(name, None))
        await asyncio.wait({task}, timeout=self._timeout)
        if not task.done():
            raise ResolveError(f"{name} does not resolve: no answer within {self._timeout:g} s")
        if task.cancelled():
            raise ResolveError(f"{name} does not resolve: the resolver is closed")
        try:
            addresses = of_one_family(task.result())
        except (OSError, UnicodeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ResolveError(f"{name} does not resolve: {reason}") from error
        if not addresses:
            raise ResolveError(f"{name} does not resolve: the answer has no address")
        return addresses

    async def close(self) -> None:
        """Give up every lookup that still runs."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, name: str) -> Iterable[str]:
        return await self._lookup(name)
