"""A gateway behind uvicorn in a thread with a loop of its own, by either door."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

import uvicorn
import uvloop

from proxy.config.model import (
    Config,
    ForwardConfig,
    HealthCheckConfig,
    ListenerAttributes,
    ListenerConfig,
    LoadBalancerAttributes,
    ProtocolVersion,
    RuleConfig,
    TargetConfig,
    TargetGroupConfig,
)
from proxy.gateway import Gateway
from proxy.listen.asgi import AsgiDoor
from proxy.listen.http2 import ClientHttp2Connection
from proxy.listen.protocol import ListenerProtocol
from proxy.observe.live import ReloadState
from proxy.observe.metrics import Metrics
from proxy.observe.record import RequestRecord
from proxy.runtime import build
from proxy.targets.target import Target

Door = Literal["listener", "http2", "asgi", "asgi-h11"]
"""`http2` is HTTP/2 without TLS, by prior knowledge: for tests only."""
PATIENCE = 10.0
DEFAULT_ATTRIBUTES = LoadBalancerAttributes()
SHORT_IDLE = LoadBalancerAttributes(idle_timeout_seconds=1)


def _http2(config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> ClientHttp2Connection:
    return ClientHttp2Connection(app_state["gateway"], server_state.connections)


_PROTOCOLS: dict[Door, Any] = {
    "listener": ListenerProtocol,
    "http2": _http2,
    "asgi": "httptools",
    "asgi-h11": "h11",
}


class Records:
    """Stands where the access log stands."""

    dropped = 0

    def __init__(self) -> None:
        self.all: list[RequestRecord] = []

    def record(self, record: RequestRecord) -> None:
        self.all.append(record)


class LiveGateway:
    """One listener with one target group `targets` by default, and `rules` before it.

    Attributes:
        records: Every record made so far.
    """

    def __init__(
        self,
        *ports: int,
        rules: tuple[RuleConfig, ...] = (),
        attributes: LoadBalancerAttributes = DEFAULT_ATTRIBUTES,
        listener_attributes: ListenerAttributes = ListenerAttributes(),  # noqa: B008 - frozen
        door: Door = "listener",
        loop: Literal["uvloop", "asyncio"] = "uvloop",
        draw: Callable[[], float] = lambda: 0.0,
        send_buffer: int | None = None,
        protocol_version: ProtocolVersion = "HTTP1",
        scheme: Literal["http", "https"] = "http",
    ) -> None:
        self._socket = socket.socket()
        if send_buffer:
            # Connections inherit it: what the client does not take stays with the gateway, not with the kernel.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(128)
        self.port: int = self._socket.getsockname()[1]
        self.records = Records()
        default = ForwardConfig((("targets", 1),))
        group = TargetGroupConfig(
            "targets",
            tuple(TargetConfig(scheme, "127.0.0.1", port) for port in ports),
            HealthCheckConfig(enabled=False),
            protocol_version=protocol_version,
        )
        config = Config(
            (ListenerConfig("web", self.port, default, rules, attributes=listener_attributes),),
            {"targets": group},
            attributes,
        )
        metrics = Metrics()
        self.gateway = Gateway(
            build(config, metrics),
            metrics,
            access_log=self.records,  # type: ignore[arg-type]
            draw=draw,
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                http=_PROTOCOLS[door],
                ws="none",
                interface="asgi3",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._door = AsgiDoor(lambda: self.gateway, port=self.port)
        self._loop_factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, "uvicorn did not start")

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            self._loop = runner.get_loop()
            runner.run(self._server.serve([self._socket]))

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._door(scope, receive, send)
            return
        await receive()
        self.gateway.start()
        scope["state"]["gateway"] = self.gateway
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.gateway.stop()
        await send({"type": "lifespan.shutdown.complete"})

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.gateway.runtime.groups["targets"].targets

    def record(self, count: int = 1) -> RequestRecord:
        """Wait for `count` records and no request in flight; return the last record."""
        wait_until(lambda: len(self.records.all) >= count and not self.in_flight, self._state)
        assert len(self.records.all) == count, self._state()
        return self.records.all[-1]

    def metric(self, family: str) -> list[Any]:
        """The samples of a counter or gauge."""
        return self.gateway.metrics_snapshot(ReloadState(True, 0.0, {}))["values"].get(family, [])

    @property
    def in_flight(self) -> int:
        return sum(target.in_flight for target in self.targets)

    @property
    def open_target_connections(self) -> int:
        return sum(getattr(target.pool, "count", 0) for target in self.targets)

    def _state(self) -> str:
        records = [(record.method, record.status, record.reason) for record in self.records.all]
        return f"{self.in_flight} in flight, records {records}"

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function on the gateway's loop and return what it returns."""
        assert self._loop is not None

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(PATIENCE)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the gateway does not stop"
        self._socket.close()


def wait_until(condition: Callable[[], bool], message: str | Callable[[], str], patience: float = PATIENCE) -> None:
    """Poll until `condition` holds; fail with `message` after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(message if isinstance(message, str) else message())
        time.sleep(0.002)
