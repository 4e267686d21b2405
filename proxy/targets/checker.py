"""The health check loop: one task a target, each on its own interval (alb.md 5.7)."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable

from proxy.config.model import HealthCheckConfig
from proxy.targets.group import TargetGroup
from proxy.targets.health import ProbeResult
from proxy.targets.target import HealthReason, Target

logger = logging.getLogger(__name__)

Probe = Callable[[Target, HealthCheckConfig], Awaitable[ProbeResult]]
"""One health check of one target. It need not mind the timeout: `run_probe` does."""


async def run_probe(probe: Probe, target: Target, config: HealthCheckConfig) -> ProbeResult:
    """Probe once, within the health check's timeout; every fault becomes a result, no exception."""
    try:
        async with asyncio.timeout(config.timeout_seconds):
            return await probe(target, config)
    except TimeoutError:
        late = f"no response within {config.timeout_seconds} s"
        return ProbeResult(failure=HealthReason.TIMEOUT, detail=late)
    except Exception as error:
        logger.warning("the health check of %s failed by itself", target.id, exc_info=error)
        fault = f"the check itself failed: {type(error).__name__}"
        return ProbeResult(failure=HealthReason.INTERNAL_ERROR, detail=fault)


class HealthChecker:
    """Probes every target of a set of groups until it is stopped.

    A target is probed at once when it appears and then every `interval_seconds`; a slow one delays no other.
    The first wait is up to a tenth shorter, by chance, so that several workers do not probe in step for ever.

    Args:
        probe: What one check does.
        clock, sleep, draw: Time and chance; arguments for tests only.
    """

    def __init__(
        self,
        probe: Probe,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._probe = probe
        self._clock = clock
        self._sleep = sleep
        self._draw = draw
        self._groups: tuple[TargetGroup, ...] = ()
        self._watches: dict[Target, _Watch] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def watched(self) -> frozenset[Target]:
        """The targets that are being checked."""
        return frozenset(self._watches)

    def replace(self, groups: Iterable[TargetGroup]) -> None:
        """Check the targets of these groups from now on, and no others.

        The watch over a target that was carried over goes on without a gap and reports to its new group; it
        starts anew, with a probe at once, where the health check settings differ.
        """
        self._groups = tuple(groups)
        self.reconcile()

    def reconcile(self) -> None:
        """Start and stop watches until they fit the targets; to be called when targets come or go."""
        wanted = {target: group for group in self._groups for target in group.checked_targets}
        for target, watch in list(self._watches.items()):
            group = wanted.get(target)
            if group is not None and group.config.health_check == watch.config:
                watch.group = group
            else:
                del self._watches[target]
                watch.task.cancel()
        for target, group in wanted.items():
            if target not in self._watches:
                self._watches[target] = self._start(group, target)

    async def stop(self) -> None:
        """End every check; returns when none runs any more."""
        self._groups = ()
        self.reconcile()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, group: TargetGroup, target: Target) -> _Watch:
        watch = _Watch(group, target)
        watch.task = asyncio.create_task(self._run(watch), name=f"health check {group.name} {target.id}")
        self._tasks.add(watch.task)
        watch.task.add_done_callback(self._tasks.discard)
        return watch

    async def _run(self, watch: _Watch) -> None:
        interval = watch.config.interval_seconds
        next_check = self._clock() - 0.1 * interval * self._draw()
        while True:
            watch.group.check_begins(watch.target)
            result = await run_probe(self._probe, watch.target, watch.config)
            watch.group.observe(watch.target, result)
            next_check += interval
            now = self._clock()
            if next_check < now:
                next_check = now
            await self._sleep(next_check - now)


class _Watch:
    """The checks of one target; `group` changes when a reload hands the target on."""

    __slots__ = ("config", "group", "target", "task")

    task: asyncio.Task[None]

    def __init__(self, group: TargetGroup, target: Target) -> None:
        self.group = group
        self.target = target
        self.config = group.config.health_check
