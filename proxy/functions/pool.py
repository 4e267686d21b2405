"""The environments of one function: started when none is free, used again, stopped when long idle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from proxy.functions.concurrency import Concurrency
from proxy.functions.environment import Environment, EnvironmentGoneError
from proxy.functions.model import FunctionConfig, Invocation, Outcome


class Pool:
    """Invokes one function.

    Args:
        function: The function.
        create: Makes a further environment, not yet started.
        concurrency: The limits that it shares with the other functions.
        on_free: Called when an invocation has ended and another may begin.
    """

    def __init__(
        self,
        function: FunctionConfig,
        create: Callable[[], Environment],
        concurrency: Concurrency,
        on_free: Callable[[], None] = lambda: None,
    ) -> None:
        self.function = function
        self.cold_starts = 0
        self._create = create
        self._concurrency = concurrency
        self._on_free = on_free
        self._idle: list[Environment] = []
        self._all: set[Environment] = set()

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Run one invocation in a free environment, or in a new one.

        Raises:
            ThrottledError: As many run as may.
            OSError: No process can be started.
        """
        self._concurrency.take(self.function.name)
        try:
            while True:
                environment = self._idle.pop() if self._idle else await self._start()
                try:
                    return await environment.invoke(invocation)
                except EnvironmentGoneError:
                    continue
                finally:
                    if environment.alive:
                        self._idle.append(environment)
                    elif environment.stopped:
                        self._all.discard(environment)
        finally:
            self._concurrency.give_back(self.function.name)
            self._on_free()

    async def stop_idle(self, seconds: float) -> None:
        """Stop the environments that have had nothing to do for so long."""
        now = time.monotonic()
        expired = [one for one in self._idle if now - one.idle_since >= seconds or not one.alive]
        for environment in expired:
            self._idle.remove(environment)
            self._all.discard(environment)
        await asyncio.gather(*(environment.stop() for environment in expired))

    async def stop(self) -> None:
        """Stop every environment, also those at work."""
        environments = list(self._all)
        self._all.clear()
        self._idle.clear()
        await asyncio.gather(*(environment.stop() for environment in environments))

    @property
    def environments(self) -> int:
        return len(self._all)

    async def _start(self) -> Environment:
        environment = self._create()
        await environment.start()
        self.cold_starts += 1
        self._all.add(environment)
        return environment
