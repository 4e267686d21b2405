"""A gateway by one door in front of one target; each `Exchange` brings its own table and what the target does."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from athena import access_log_row
from http2_peers import Http2Client, Http2Target, TargetPeer
from http2_peers import Message as Http2Message
from live_gateway import LiveGateway, wait_until
from scripted_target import ScriptedTarget, refused_port
from scripted_time import ScriptedTime
from wire import Closed, Message, Wire, connect

from proxy.config.load import load_with_warnings
from proxy.config.model import Config, FixedResponseConfig, ListenerConfig
from proxy.forward.pool import TargetPool
from proxy.listen.asgi import AsgiDoor
from proxy.observe.alb_lines import AlbLines
from proxy.runtime import Runtime, build
from tests.conformance.rows import Door, Exchange, Expected

TABLE = """\
version: 1
attributes: {attributes}
listeners: [{{name: web, port: {port}, {entry} default: {default}, attributes: {listener}, rules: {rules}}}]
target_groups:
  targets: {group}
{more}
"""
NOBODY = '  nobody: {targets: ["http://no-such-name.invalid:1"], health_check: {enabled: false}}\n'
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
TOO_LATE = ("accepts no connection", "says nothing in its TLS handshake")
TLS = ("answers over TLS", "says nothing in its TLS handshake", "knows no TLS")


class Clocks(NamedTuple):
    """What the gateway measures the silence of connections with, and what targets and cookies go by."""

    of_connections: ScriptedTime
    of_targets: ScriptedTime


class Bench:
    """Attributes:
    row: What is tested.
    live: The gateway.
    target: Its target, for a target group of protocol version HTTP1.
    http2_target: The same for the others.
    """

    def __init__(self, door: Door, clocks: Clocks, tls: ssl.SSLContext) -> None:
        self.door = door
        self.clocks = clocks
        self._tls = tls
        self._accepted = 0
        self.row = Exchange("", "")
        self.target = ScriptedTarget(self._do)
        self.http2_target = Http2Target(lambda peer, stream_id, _: self._reply(peer, stream_id))
        self.live = LiveGateway(self.target.port, door=door)
        self._full = FullListener()

    def close(self) -> None:
        self.live.close()
        self.target.close()
        self.http2_target.close()
        self._full.close()
        assert self.target.failures == []
        assert self.http2_target.failures == []

    # The target

    def _do(self, wire: Wire) -> None:
        match self.row.target:
            case "closes as it accepts":
                return
            case "knows no TLS":
                wire.send(self.row.response)
                return
            case "says nothing in its TLS handshake":
                wire.rest()
                return
            case "answers over TLS":
                wire.socket = self._tls.wrap_socket(wire.socket, server_side=True)
        self.target.take(wire)
        match self.row.target:
            case "resets after the request":
                wire.reset()
            case "says nothing":
                wire.rest()
            case "answers, then says nothing":
                wire.send(self.row.response)
                wire.rest()
            case "echoes over a WebSocket":
                wire.send(SWITCH)
                while True:
                    wire.send(wire.exactly(4))
            case "answers" | "answers over TLS":
                wire.send(self.row.response)
                while True:
                    self.target.take(wire)
                    wire.send(self.row.response)

    def _reply(self, peer: TargetPeer, stream_id: int) -> None:
        if self.row.protocol_version == "GRPC":
            headers, trailers = [("content-type", "application/grpc")], [("grpc-status", "0")]
            peer.reply(stream_id, headers=headers, body=b"\0\0\0\0\0", trailers=trailers)
        else:
            peer.reply(stream_id, body=b"ok")

    def requests(self) -> list[Message]:
        """What the target got."""
        if self.row.protocol_version == "HTTP1":
            return self.target.requests
        return [as_wire(request) for request in self.http2_target.requests]

    # The table

    def use(self, row: Exchange) -> None:
        """Put the row's table in force, and forget what was."""
        wait_until(lambda: not self.live.in_flight, "a request is still in flight")
        self.row = row
        port = row.port or self.live.port
        scheme = "https" if row.target in TLS else "http"
        group = f'{{targets: ["{scheme}://127.0.0.1:{self._target_port(row)}"], health_check: {{enabled: false}}, '
        group += f"attributes: {row.group}}}"
        text = TABLE.format(
            attributes=row.attributes, listener=row.listener, rules=row.rules, default=row.default, port=port,
            entry="", group=group, more=NOBODY * ("nobody" in row.default),
        )  # fmt: skip
        config, _ = load_with_warnings(text, {})
        groups = dict(config.target_groups)
        groups["targets"] = replace(groups["targets"], protocol_version=row.protocol_version)
        config = replace(config, target_groups=groups)
        enforce(self.live, lambda: build(config, self.live.gateway.metrics), port)
        if row.peer:
            self.live._door = _FromElsewhere(self.live._door, row.peer)  # type: ignore[assignment]
        self.target.requests.clear()
        self.http2_target.requests.clear()
        self.live.records.all.clear()
        self._accepted = self.target.accepted

    @property
    def connections(self) -> int:
        """How many connections the target has accepted for this row."""
        return self.target.accepted - self._accepted

    def _target_port(self, row: Exchange) -> int:
        if row.target == "refuses connections":
            return refused_port()
        if row.protocol_version != "HTTP1":
            return self.http2_target.port
        return self._full.port if row.target == "accepts no connection" else self.target.port

    # The client

    def ask(self) -> Message | None:
        """Send the row's request; return the response, None where the client leaves before it."""
        with pytest.MonkeyPatch.context() as patch:
            if self.row.target in TOO_LATE:
                patch.setattr("proxy.forward.pool.CONNECT_TIMEOUT_SECONDS", 0.2)
            return self._ask()

    def _ask(self) -> Message | None:
        return self._ask_http2() if self.door == "http2" else self._ask_http1()

    @property
    def port(self) -> bytes:
        return b"%d" % (self.row.port or self.live.port)

    def _ask_http1(self) -> Message | None:
        row = self.row
        with connect(self.live.port) as client:
            client.send(row.send.replace(b"PORT", self.port))
            if row.leaves:
                wait_until(lambda: self.connections > 0, "the target got no request")
                return None
            with self._time_passes(row.target == "says nothing" or row.status == 408):
                response = client.head()
            while response.status == 100:
                response = client.head()
            assert response.status == row.status, response
            if row.target == "answers, then says nothing":
                with self._time_passes(True), contextlib.suppress(Closed):
                    client.rest()
                return response
            client.body(response, to=row.send.split(b" ")[0].decode("latin-1"))
            if row.status == 101:
                client.send(b"ping")
                assert client.exactly(4) == b"ping"
            elif row.closes is False:
                client.send(b"GET /again HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.response().status
            for request, status in row.then:
                client.send(request)
                assert client.response(to=request.split(b" ")[0].decode("latin-1")).status == status
            if row.closes:
                with self._time_passes(row.status == 200):
                    assert client.is_at_end()
            return response

    def _ask_http2(self) -> Message | None:
        row = self.row
        fields, body = as_fields(row.send.replace(b"PORT", self.port))
        with Http2Client(self.live.port) as client:
            stream_id = client.begin(end=not body, pseudo=fields)
            if body:
                client.send_body(stream_id, body)
            if row.leaves:
                wait_until(lambda: bool(self.requests()), "the target got no request")
                return None
            with self._time_passes(row.target == "says nothing"):
                message = client.response(stream_id)
            assert message.status == row.status, message
            if row.closes is False:
                assert client.ask().status
            return as_wire(message)

    @contextlib.contextmanager
    def _time_passes(self, now: bool) -> Iterator[None]:
        if not (now and self.row.later):
            yield
            return
        if self.row.target != "answers":
            wait_until(lambda: bool(self.target.requests), "the target got no request")
        with self.clocks.of_connections.passing(self.row.later):
            yield

    # What is to be seen

    def metric(self, family: str) -> float:
        """The sum of a metric's samples."""
        samples = self.live.call(lambda: self.live.metric(family))
        return float(sum(sample["value"] for sample in samples))

    def log_line(self, index: int = 0) -> dict[str, str]:
        """The line of the row's first request, or of another one."""
        # A client has its response before the gateway is done with it.
        self.live.call(lambda: None)
        wait_until(lambda: bool(self.live.records.all) and not self.live.in_flight, "nothing was recorded")
        row = access_log_row(AlbLines().line(self.live.records.all[index]))
        return {**row, "error_reason": row["lambda_error_reason"]}


def enforce(live: LiveGateway, runtime: Callable[[], Runtime], port: int) -> None:
    """Put a table in force as a start does: nothing of the one before is carried over."""
    nothing = Config((ListenerConfig("web", port, FixedResponseConfig(200)),), {})

    def swap() -> None:
        gateway = live.gateway
        for group in gateway.runtime.groups.values():
            for target in group.targets:
                if isinstance(target.pool, TargetPool):
                    target.pool.retire()
        gateway.replace(build(nothing, gateway.metrics))
        gateway.replace(runtime())

    live.call(swap)
    live._door = AsgiDoor(lambda: live.gateway, port=port)


def as_fields(request: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The fields and body that say in HTTP/2 what these bytes say in HTTP/1.1."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, path, _ = first.split(b" ")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    host = [value for name, value in headers if name == b"host"]
    fields = [(b":method", method), (b":scheme", b"https"), (b":authority", b"".join(host[:1])), (b":path", path)]
    return fields + [pair for pair in headers if pair[0] != b"host"], body


def as_wire(message: Http2Message) -> Message:
    """A message of HTTP/2 in the form of one of HTTP/1.1, trailers beside the headers."""
    pseudo = {name: value for name, value in message.headers if name.startswith(b":")}
    headers = [pair for pair in (*message.headers, *message.trailers) if not pair[0].startswith(b":")]
    if b":status" in pseudo:
        return Message(b"HTTP/2 " + pseudo[b":status"], headers, message.body)
    first = b"%s %s HTTP/2" % (pseudo[b":method"], pseudo[b":path"])
    return Message(first, [(b"host", pseudo.get(b":authority", b"")), *headers], message.body)


def expect_headers(message: Message, expected: Expected, port: bytes = b"") -> None:
    """Each of these headers has these values, `re:` before a regular expression, PORT for the listener's."""
    for name, values in expected:
        found = message.values(name)
        assert len(found) == len(values), (name, found)
        for one, value in zip(found, values, strict=True):
            if value.startswith(b"re:"):
                assert re.fullmatch(value[3:], one), (name, one)
            else:
                assert one == value.replace(b"PORT", port), name


def expect_fields(found: dict[str, str], expected: tuple[tuple[str, str], ...]) -> None:
    """Each of these fields of a log line fits its regular expression."""
    for name, pattern in expected:
        assert re.fullmatch(pattern, found[name]), (name, found[name])


class _FromElsewhere:
    """An ASGI application whose clients all have this address."""

    def __init__(self, app: Any, address: str) -> None:
        self._app = app
        self._address = address

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app({**scope, "client": (self._address, 40_000)}, receive, send)


class FullListener:
    """A port whose backlog is full: connections to it are neither accepted nor refused."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(0)
        self.port: int = self._socket.getsockname()[1]
        self._fillers = [socket.socket() for _ in range(4)]
        for filler in self._fillers:
            filler.setblocking(False)
            filler.connect_ex(self._socket.getsockname())

    def close(self) -> None:
        for one in (*self._fillers, self._socket):
            one.close()
