"""How many invocations may run at the same time; pure."""

from __future__ import annotations

from proxy.functions.model import HostConfig, ThrottledError

RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"
UNRESERVED = "ConcurrentInvocationLimitExceeded"


class Concurrency:
    """Counts the invocations of each function against its reserved concurrency, of the others against what is left."""

    def __init__(self, config: HostConfig) -> None:
        self._reserved = {
            name: function.reserved_concurrency
            for name, function in config.functions.items()
            if function.reserved_concurrency is not None
        }
        self._unreserved = config.concurrency - sum(self._reserved.values())
        self._running: dict[str, int] = dict.fromkeys(config.functions, 0)

    def running(self, function: str) -> int:
        return self._running[function]

    def free(self, function: str) -> int:
        """How many more invocations of this function may begin."""
        if function in self._reserved:
            return self._reserved[function] - self._running[function]
        return self._unreserved - sum(n for name, n in self._running.items() if name not in self._reserved)

    def take(self, function: str) -> None:
        """Begin one; raise ThrottledError when there may be no more."""
        if self.free(function) <= 0:
            raise ThrottledError(RESERVED if function in self._reserved else UNRESERVED)
        self._running[function] += 1

    def give_back(self, function: str) -> None:
        """One has ended."""
        self._running[function] -= 1
