"""Clocks that a test moves; what waits for a moment need not be waited for."""

from __future__ import annotations

import time as real
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest


class ScriptedTime:
    """Stands where a module has `time`: the same clocks, `ahead` seconds later.

    Args:
        stands: Time of day and monotonic time stand still but for `ahead`, at whole seconds; durations do not.
    """

    def __init__(self, *, stands: bool = False) -> None:
        self.ahead = 0.0
        self._began = float(int(real.time())) if stands else None

    def time(self) -> float:
        return (real.time() if self._began is None else self._began) + self.ahead

    def monotonic(self) -> float:
        return (real.monotonic() if self._began is None else self._began) + self.ahead

    def perf_counter(self) -> float:
        return real.perf_counter() + (self.ahead if self._began is None else 0.0)

    @contextmanager
    def passing(self, seconds: float) -> Iterator[None]:
        """Let so many seconds have passed, and be back afterwards."""
        self.ahead += seconds
        try:
            yield
        finally:
            self.ahead -= seconds


@contextmanager
def in_place_of_time(clocks: Mapping[str, ScriptedTime]) -> Iterator[None]:
    """Give these modules, named as `proxy.gateway`, clocks of the test's."""
    with pytest.MonkeyPatch.context() as patch:
        for module, clock in clocks.items():
            patch.setattr(f"{module}.time", clock)
        yield
