"""Gateways and targets over real sockets; whatever went wrong unseen fails the test."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator

import pytest
from live_gateway import LiveGateway, wait_until
from scripted_target import Script, ScriptedTarget

import proxy.gateway


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("uvicorn"):
            self.found.append(f"{record.name}: {record.getMessage()} {record.exc_info}")


@pytest.fixture(autouse=True)
def no_error_is_logged() -> Iterator[None]:
    """Fail on any ERROR of asyncio or of the gateway, such as an exception that was never retrieved."""
    errors = _Errors()
    logging.getLogger().addHandler(errors)
    yield
    gc.collect()
    logging.getLogger().removeHandler(errors)
    assert errors.found == []


@pytest.fixture
def target() -> Iterator[Callable[..., ScriptedTarget]]:
    """Makes scripted targets; what a script raised fails the test."""
    made: list[ScriptedTarget] = []

    def make(script: Script | None = None, *, receive_buffer: int | None = None) -> ScriptedTarget:
        made.append(ScriptedTarget(script, receive_buffer=receive_buffer))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert [failure for one in made for failure in one.failures] == []


@pytest.fixture
def gateway(target: object) -> Iterator[Callable[..., LiveGateway]]:
    """Makes gateways; a request that is left in flight fails the test."""
    made: list[LiveGateway] = []

    def make(*ports: int, **options: object) -> LiveGateway:
        made.append(LiveGateway(*ports, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        try:
            wait_until(lambda one=one: not one.in_flight, lambda one=one: one._state())  # type: ignore[misc]
        finally:
            one.close()


@pytest.fixture
def quick_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gateway look at its timeouts twenty times a second."""
    monkeypatch.setattr(proxy.gateway, "SWEEP_SECONDS", 0.05)
