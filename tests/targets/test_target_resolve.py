"""Names to addresses, with scripted answers in place of a name server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from proxy.targets.resolve import Lookup, ResolveError, Resolver, of_one_family, system_lookup


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param(["10.0.0.2", "10.0.0.1"], ("10.0.0.1", "10.0.0.2"), id="sorted, so that order is stable"),
        pytest.param(["10.0.0.10", "10.0.0.9"], ("10.0.0.9", "10.0.0.10"), id="sorted as numbers"),
        pytest.param(["10.0.0.1", "10.0.0.1"], ("10.0.0.1",), id="each once"),
        pytest.param(["::1", "127.0.0.1"], ("127.0.0.1",), id="localhost is its IPv4 address"),
        pytest.param(["fd00::2", "fd00::0:1"], ("fd00::1", "fd00::2"), id="IPv6 where there is no IPv4"),
        pytest.param([], (), id="nothing stays nothing"),
    ],
)
def test_addresses_of_one_family(answers: list[str], expected: tuple[str, ...]) -> None:
    assert of_one_family(answers) == expected


def failing(error: Exception) -> Lookup:
    async def lookup(name: str) -> list[str]:
        raise error

    return lookup


def answering(*addresses: str) -> Lookup:
    async def lookup(name: str) -> list[str]:
        return list(addresses)

    return lookup


@pytest.mark.parametrize(
    ("lookup", "message"),
    [
        pytest.param(
            failing(socket.gaierror(socket.EAI_NONAME, "Name or service not known")),
            "users does not resolve: Name or service not known",
            id="unknown name",
        ),
        pytest.param(failing(OSError("no name server")), "users does not resolve: no name server", id="other"),
        pytest.param(
            failing(UnicodeError("label too long")),
            "users does not resolve: label too long",
            id="no name at all",
        ),
        pytest.param(answering(), "users does not resolve: the answer has no address", id="empty answer"),
    ],
)
def test_a_name_without_addresses_is_an_error_that_says_why(lookup: Lookup, message: str) -> None:
    with pytest.raises(ResolveError) as caught:
        asyncio.run(Resolver(lookup).resolve("users"))

    assert str(caught.value) == message


class SlowServer:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.was_asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def lookup(self, name: str) -> list[str]:
        self.asked.append(name)
        self.was_asked.set()
        await self.answer.wait()
        return ["10.0.0.1"]


def with_slow_server(test: Callable[[SlowServer], object]) -> None:
    async def run() -> None:
        await test(SlowServer())  # type: ignore[misc]

    asyncio.run(run())


def test_two_callers_share_one_lookup() -> None:
    async def scenario(server: SlowServer) -> None:
        resolver = Resolver(server.lookup)
        callers = [asyncio.create_task(resolver.resolve("users")) for _ in range(3)]
        await server.was_asked.wait()
        server.answer.set()

        assert await asyncio.gather(*callers) == [("10.0.0.1",)] * 3
        assert server.asked == ["users"]

    with_slow_server(scenario)


def test_a_late_lookup_is_an_error_and_goes_on_alone_until_it_ends() -> None:
    async def scenario(server: SlowServer) -> None:
        resolver = Resolver(server.lookup, timeout_seconds=0.01)
        for _ in range(3):
            with pytest.raises(ResolveError, match=r"no answer within 0\.01 s"):
                await resolver.resolve("users")
        assert server.asked == ["users"]

        server.answer.set()
        assert await resolver.resolve("users") == ("10.0.0.1",)
        assert await resolver.resolve("users") == ("10.0.0.1",)
        assert server.asked == ["users", "users"]

    with_slow_server(scenario)


def test_closing_ends_a_lookup_under_way() -> None:
    async def scenario(server: SlowServer) -> None:
        resolver = Resolver(server.lookup)
        caller = asyncio.create_task(resolver.resolve("users"))
        await server.was_asked.wait()
        await resolver.close()

        with pytest.raises(ResolveError, match="closed"):
            await caller
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with_slow_server(scenario)


def test_the_system_resolver_knows_localhost() -> None:
    assert set(of_one_family(asyncio.run(system_lookup("localhost")))) <= {"127.0.0.1", "::1"}
    assert asyncio.run(system_lookup("localhost"))
