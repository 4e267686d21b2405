"""A pool's connections, where no real target would behave badly enough."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from proxy.errors import OutOfFilesError, TargetConnectError
from proxy.forward.connection import TargetConnection
from proxy.forward.pool import MAX_OPENING, Pool
from proxy.targets.target import HealthState, Target


def test_a_deregistered_target_that_does_not_even_refuse_is_given_up() -> None:
    """A container that was scaled away took the requests waiting to connect to it with it: 504 after 10 s.

    Given up, the request was not sent, so another target can take it.
    """

    async def main() -> TargetConnectError:
        async def never(*_: Any, **__: Any) -> Any:
            await asyncio.Event().wait()

        asyncio.get_running_loop().create_connection = never  # type: ignore[method-assign]
        target = Target("http", "192.0.2.1", 80)
        pool = Pool(target)
        connecting = asyncio.create_task(pool.connect())
        await asyncio.sleep(0)
        target.state = HealthState.DRAINING
        pool.give_up_connecting()
        with pytest.raises(TargetConnectError) as caught:
            await asyncio.wait_for(connecting, 5)
        return caught.value

    error = asyncio.run(main())

    assert not error.sent
    assert "deregistered" in str(error)


class Opening:
    """Stands for the event loop's `create_connection`: nothing opens before the test says so."""

    def __init__(self) -> None:
        self._gates: list[tuple[asyncio.Future[None], TargetConnection]] = []

    async def create_connection(self, make: Any, *_: Any, **__: Any) -> Any:
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection = make()
        self._gates.append((gate, connection))
        await gate
        return None, connection

    @property
    def count(self) -> int:
        """How many are being opened."""
        return sum(not gate.done() for gate, _ in self._gates)

    def succeed(self) -> None:
        """The first that is being opened is open."""
        next(gate for gate, _ in self._gates if not gate.done()).set_result(None)

    def fail(self, error: OSError) -> None:
        next(gate for gate, _ in self._gates if not gate.done()).set_exception(error)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def storm(count: int) -> tuple[Pool, Opening, list[asyncio.Task[TargetConnection]]]:
    """So many requests at once, all of which want a connection."""
    opening = Opening()
    asyncio.get_running_loop().create_connection = opening.create_connection  # type: ignore[method-assign]
    pool = Pool(Target("http", "192.0.2.1", 80))
    tasks = [asyncio.create_task(pool.connect()) for _ in range(count)]
    await settled()
    return pool, opening, tasks


def test_so_many_connections_are_opened_at_a_time() -> None:
    async def main() -> None:
        _, opening, tasks = await storm(MAX_OPENING + 5)
        assert opening.count == MAX_OPENING

        opening.succeed()
        await settled()

        assert opening.count == MAX_OPENING
        assert sum(task.done() for task in tasks) == 1

        for _ in range(MAX_OPENING + 4):
            opening.succeed()
            await settled()

        assert all(task.done() for task in tasks)

    asyncio.run(main())


def test_one_that_is_given_back_is_taken_by_who_has_waited_longest() -> None:
    async def main() -> None:
        pool, opening, tasks = await storm(MAX_OPENING + 2)
        opening.succeed()
        await settled()
        first = tasks[0].result()

        pool.release(first, 1.0)
        await settled()

        # One waits no more since a connection could be opened, the other since one was given back.
        assert tasks[MAX_OPENING + 1].result() is first
        assert pool.idle_count == 0
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def test_what_one_who_left_was_to_have_is_not_lost() -> None:
    async def main() -> None:
        pool, opening, tasks = await storm(MAX_OPENING + 2)
        opening.succeed()
        await settled()
        first = tasks[0].result()

        pool.release(first, 1.0)
        tasks[MAX_OPENING + 1].cancel()
        await settled()

        assert pool.idle_count == 1
        assert pool.take_idle() is first
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def test_who_waits_tries_when_others_were_refused() -> None:
    async def main() -> None:
        _, opening, tasks = await storm(MAX_OPENING + 1)
        opening.fail(ConnectionRefusedError())
        await settled()

        assert isinstance(tasks[0].exception(), TargetConnectError)
        assert opening.count == MAX_OPENING
        for task in tasks[1:]:
            task.cancel()
        await asyncio.gather(*tasks[1:], return_exceptions=True)

    asyncio.run(main())


def test_a_lack_of_files_is_no_fault_of_the_target() -> None:
    async def main() -> None:
        _, opening, tasks = await storm(1)
        opening.fail(OSError(errno.EMFILE, "Too many open files"))
        await settled()

        error = tasks[0].exception()
        assert isinstance(error, OutOfFilesError)
        assert (error.status, error.reason, error.sent) == (503, "Gateway.TooManyOpenFiles", False)

    asyncio.run(main())
