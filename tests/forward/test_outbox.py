"""Requests leave together at the end of a turn, in order, and what did not leave is not called sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proxy.errors import TargetError
from proxy.forward.connection import TargetConnection
from proxy.forward.outbox import MAX_GATHERED
from proxy.forward.pool import Pool
from proxy.http1.head import ResponseHead
from proxy.targets.target import Target

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Written:
    """A transport that keeps what it is given."""

    def __init__(self, everywhere: list[bytes]) -> None:
        self._everywhere = everywhere
        self.aborted = False

    def write(self, data: bytes) -> None:
        self._everywhere.append(data)

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, name: str) -> Written:
        return self

    def fileno(self) -> int:
        raise OSError("it has no socket")


class Asking:
    """Notes what becomes of its request."""

    def __init__(self) -> None:
        self.sent_at = 0.0
        self.error: TargetError | None = None

    def request_sent(self, now: float) -> None:
        self.sent_at = now

    def response_informational(self, head: ResponseHead) -> None: ...
    def response_started(self, head: ResponseHead, length: int, body: bytes, complete: bool, now: float) -> None: ...
    def response_continued(self, body: bytes, complete: bool, now: float) -> None: ...
    def tunnel_opened(self, head: ResponseHead, data: bytes, now: float) -> None: ...
    def tunnel_received(self, data: bytes) -> None: ...
    def tunnel_closed(self) -> None: ...
    def target_paused(self) -> None: ...
    def target_resumed(self) -> None: ...

    def response_failed(self, error: TargetError) -> None:
        self.error = error


class Turn:
    """Connections to two targets, within one turn of the event loop."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self._pools = [Pool(Target("http", "127.0.0.1", port)) for port in (1, 2)]

    def connection(self, pool: int = 0) -> TargetConnection:
        connection = TargetConnection(self._pools[pool])
        connection.connection_made(Written(self.written))  # type: ignore[arg-type]
        return connection

    def ask(self, connection: TargetConnection, data: bytes = REQUEST) -> Asking:
        asking = Asking()
        connection.send(data, asking, to_head=False)
        return asking

    async def ends(self) -> None:
        await asyncio.sleep(0)


def in_a_turn(test: Callable[[Turn], Awaitable[None]]) -> Callable[[], None]:
    """Run a test where an event loop runs."""

    async def run() -> None:
        await test(Turn())

    def wrapped() -> None:
        asyncio.run(run())

    wrapped.__doc__ = test.__doc__
    return wrapped


@in_a_turn
async def test_nothing_leaves_before_the_turn_ends_and_all_does_then(turn: Turn) -> None:
    asking = [turn.ask(turn.connection(number % 2), b"%d" % number) for number in range(4)]

    assert turn.written == []
    assert [each.sent_at for each in asking] == [0.0] * 4

    await turn.ends()

    assert turn.written == [b"0", b"1", b"2", b"3"]
    assert 0.0 < asking[0].sent_at <= asking[3].sent_at


@in_a_turn
async def test_so_many_do_not_wait_for_more(turn: Turn) -> None:
    for number in range(MAX_GATHERED + 1):
        turn.ask(turn.connection(), b"%d" % number)

    assert turn.written == [b"%d" % number for number in range(MAX_GATHERED)]

    await turn.ends()

    assert turn.written[MAX_GATHERED:] == [b"%d" % MAX_GATHERED]


@in_a_turn
async def test_the_rest_of_a_body_follows_its_beginning(turn: Turn) -> None:
    connection = turn.connection()
    turn.ask(connection, b"head")

    connection.send_more(b"body")
    await turn.ends()

    assert turn.written == [b"head", b"body"]


@in_a_turn
async def test_what_is_given_up_does_not_leave(turn: Turn) -> None:
    connection = turn.connection()
    turn.ask(connection)

    connection.close()
    await turn.ends()

    assert turn.written == []


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda connection: connection.connection_lost(None), id="the target closes"),
        pytest.param(lambda connection: connection.connection_lost(ConnectionResetError()), id="the target resets"),
        pytest.param(
            lambda connection: connection.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n"),
            id="the target says why it closes",
        ),
    ],
)
def test_what_did_not_leave_is_not_called_sent(end: Callable[[TargetConnection], None]) -> None:
    """So that it may be repeated, whatever its method is."""

    async def run(turn: Turn) -> None:
        connection = turn.connection()
        asking = turn.ask(connection, b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")

        end(connection)
        await turn.ends()

        assert turn.written == []
        assert asking.error is not None
        assert not asking.error.sent

    in_a_turn(run)()


@in_a_turn
async def test_what_left_is_called_sent(turn: Turn) -> None:
    connection = turn.connection()
    asking = turn.ask(connection)
    await turn.ends()

    connection.connection_lost(None)

    assert asking.error is not None
    assert asking.error.sent
