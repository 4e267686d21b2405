"""The channel between supervisor and worker: an answer is that to the message sent, whatever happens to the caller."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from proxy.workers.channel import Channel, ChannelClosedError

LOOPS = [
    pytest.param(asyncio.new_event_loop, id="asyncio"),
    pytest.param(uvloop.new_event_loop, id="uvloop"),
]


@asynccontextmanager
async def ends() -> AsyncIterator[tuple[Channel, Channel]]:
    """The supervisor's and the worker's."""
    ours, theirs = socket.socketpair()
    supervisor, worker = await Channel.over(ours), await Channel.over(theirs)
    try:
        yield supervisor, worker
    finally:
        supervisor.close()
        worker.close()


def test_a_call_whose_caller_is_gone_leaves_no_answer_for_the_next() -> None:
    async def run() -> None:
        async with ends() as (supervisor, worker):
            leaving = asyncio.create_task(supervisor.call({"word": "tail"}, timeout_seconds=30))
            asked = await worker.receive()
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            await worker.send({"answer to": asked["word"]})

            asking = asyncio.create_task(supervisor.call({"word": "report"}, timeout_seconds=30))
            asked = await worker.receive()
            await worker.send({"answer to": asked["word"]})

            assert await asking == {"answer to": "report"}

    asyncio.run(run())


@pytest.mark.parametrize("new_loop", LOOPS)
def test_every_call_over_a_closed_channel_says_so(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def run() -> None:
        async with ends() as (supervisor, worker):
            worker.close()
            for _ in range(3):
                with pytest.raises(ChannelClosedError):
                    await supervisor.call({"word": "report"}, timeout_seconds=30)
            supervisor.close()
            await asyncio.sleep(0)
            with pytest.raises(ChannelClosedError):
                await supervisor.call({"word": "report"}, timeout_seconds=30)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


def test_no_answer_in_time_closes_the_channel() -> None:
    async def run() -> None:
        async with ends() as (supervisor, worker):
            with pytest.raises(ChannelClosedError, match="no answer in time"):
                await supervisor.call({"word": "report"}, timeout_seconds=0.05)
            await worker.receive()
            with pytest.raises(ChannelClosedError):
                await worker.receive()

    asyncio.run(run())


@pytest.mark.parametrize("new_loop", LOOPS)
def test_an_answer_that_came_while_the_caller_was_paused_is_not_late(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """As when the supervisor is stopped, or its machine: all workers have answered, and none may be called hung."""

    async def run() -> None:
        ours, theirs = socket.socketpair()
        supervisor = await Channel.over(ours)
        has_answered = threading.Event()

        def answer() -> None:
            theirs.recv(1000)
            theirs.sendall(b"\x00\x00\x00\x02{}")
            has_answered.set()

        thread = threading.Thread(target=answer)
        call = asyncio.create_task(supervisor.call({"word": "report"}, timeout_seconds=1))
        try:
            for _ in range(10):
                await asyncio.sleep(0)
            resumes_at = time.monotonic() + 1.5
            thread.start()
            # From here on this process does nothing until the time is over.
            assert has_answered.wait(30)
            time.sleep(max(resumes_at - time.monotonic(), 0))  # noqa: ASYNC251 - the pause is what is tested
            assert await call == {}
        finally:
            supervisor.close()
            thread.join()
            theirs.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())
