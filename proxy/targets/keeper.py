"""Keeps target groups true to the world: resolves their names, ends their draining, checks their health."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self

from proxy.targets.checker import HealthChecker
from proxy.targets.group import TargetGroup
from proxy.targets.resolve import ResolveError, Resolver

logger = logging.getLogger(__name__)


class TargetKeeper:
    """Works in the background on the groups of the table that is in force.

        async with TargetKeeper(HealthChecker(probe_http), Resolver()) as keeper:
            await keeper.prepare(groups)    # before the swap: names get their addresses
            keeper.replace(groups)          # with the swap: from now on these groups are kept

    Args:
        checker, resolver: Owned from now on; stopped with the keeper.
        interval_seconds: How often a name is resolved again.
    """

    def __init__(self, checker: HealthChecker, resolver: Resolver, *, interval_seconds: float = 3.0) -> None:
        self._checker = checker
        self._resolver = resolver
        self._interval = interval_seconds
        self._groups: tuple[TargetGroup, ...] = ()
        self._retired: list[TargetGroup] = []
        self._lookups: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def start(self) -> None:
        """Begin to work; needs a running event loop."""
        if self._loop is None:
            self._loop = asyncio.create_task(self._run(), name="keep target groups")

    async def stop(self) -> None:
        """End all work; returns when no task is left."""
        tasks = list(self._lookups.values())
        if self._loop is not None:
            tasks.append(self._loop)
            self._loop = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._checker.stop()
        await self._resolver.close()

    async def prepare(self, groups: Iterable[TargetGroup]) -> None:
        """Resolve the names of groups that are not in force yet, so that they begin with targets.

        Takes no longer than the resolver's timeout. A name without an answer is noted in its group.
        """
        groups = tuple(groups)
        names = dict.fromkeys(name for group in groups for name in group.names)
        await asyncio.gather(*(self._resolve(name, groups) for name in names))

    def replace(self, groups: Iterable[TargetGroup]) -> None:
        """Keep these groups from now on.

        A group whose name is gone is deregistered as a whole and kept until its last target has drained. One
        whose name stays must have been handed on by `carry_over`; it is let go.
        """
        groups = tuple(groups)
        names = {group.name for group in groups}
        for group in self._groups:
            if group.name not in names:
                group.deregister_all()
                self._retired.append(group)
        self._groups = groups
        self._checker.replace(groups)
        self._wake.set()

    def tick(self) -> None:
        """Do what is due: remove drained targets, look up each name that is not being looked up."""
        for group in (*self._groups, *self._retired):
            group.remove_drained()
        self._retired = [group for group in self._retired if group.targets]
        for name in dict.fromkeys(name for group in self._groups for name in group.names):
            if name not in self._lookups:
                task = asyncio.create_task(self._resolve(name, None), name=f"look up {name}")
                self._lookups[name] = task
                task.add_done_callback(partial(self._looked_up, name))

    def _looked_up(self, name: str, _task: asyncio.Task[None]) -> None:
        del self._lookups[name]

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                self.tick()
            except Exception:
                logger.exception("keeping the target groups failed; the next try is in a few seconds")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds_to_next_tick()):
                    await self._wake.wait()

    def _seconds_to_next_tick(self) -> float:
        waits = (group.seconds_to_next_removal() for group in (*self._groups, *self._retired))
        return min((self._interval, *(wait for wait in waits if wait is not None)))

    async def _resolve(self, name: str, groups: tuple[TargetGroup, ...] | None) -> None:
        """Resolve `name` and tell `groups`, or those in force when the answer comes if None."""
        try:
            addresses = await self._resolver.resolve(name)
        except ResolveError as error:
            for group in self._groups if groups is None else groups:
                if name in group.names:
                    group.set_resolve_error(name, str(error))
        else:
            for group in self._groups if groups is None else groups:
                group.set_addresses(name, addresses)
        self._checker.reconcile()
