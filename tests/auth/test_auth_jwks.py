"""How key sets are kept: fetched once for all who wait, again in time, and used a while longer when that fails."""

from __future__ import annotations

import asyncio
import json

import pytest
from oidc_provider import jwk

from proxy.auth.jwks import FAILURE_SECONDS, FRESH_SECONDS, PAUSE_SECONDS, STALE_SECONDS, KeySets
from proxy.auth.provider import Fetcher, RequestFailed
from proxy.errors import KeysUnavailableError

ENDPOINT = "https://a.com/keys"


class Scripted(Fetcher):
    """Gives what `answer` says; counts how often it was asked, and how often at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: list[object] | None = [jwk()]
        self.asked = 0

    async def fetch(self, method: str, url: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.answer is None:
            raise RequestFailed("down")
        return 200, json.dumps({"keys": self.answer}).encode()


class Kept:
    def __init__(self) -> None:
        self.now = 1000.0
        self.fetcher = Scripted()
        self.sets = KeySets(self.fetcher, lambda: self.now)

    def get(self, kid: str | None = "first") -> bool:
        """Whether the key is known, asking for keys where a request would."""

        async def run() -> bool:
            keys = self.sets.at_hand(ENDPOINT, kid) or await self.sets.fetch(ENDPOINT)
            return keys.find(kid) is not None

        return asyncio.run(run())


def test_many_who_wait_ask_once() -> None:
    kept = Kept()

    async def run() -> None:
        await asyncio.gather(*(kept.sets.fetch(ENDPOINT) for _ in range(20)))

    asyncio.run(run())
    assert kept.fetcher.asked == 1


def test_one_who_leaves_does_not_end_it_for_the_others() -> None:
    kept = Kept()

    async def run() -> None:
        first = asyncio.create_task(kept.sets.fetch(ENDPOINT))
        second = asyncio.create_task(kept.sets.fetch(ENDPOINT))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).find("first") is not None

    asyncio.run(run())
    assert kept.fetcher.asked == 1


def test_keys_are_asked_for_again_when_they_are_old_or_one_is_new() -> None:
    kept = Kept()
    assert [kept.get(), kept.get()] == [True, True]
    kept.fetcher.answer = [jwk("second")]
    kept.now += PAUSE_SECONDS - 1
    assert not kept.get("second")
    assert kept.fetcher.asked == 1
    kept.now += 1
    assert kept.get("second")
    kept.now += FRESH_SECONDS - 1
    assert kept.get("second")
    assert kept.fetcher.asked == 2
    kept.now += 1
    assert kept.get("second")
    assert kept.fetcher.asked == 3


def test_old_keys_are_used_a_while_when_the_provider_is_down() -> None:
    kept = Kept()
    assert kept.get()
    kept.fetcher.answer = None
    kept.now += FRESH_SECONDS
    assert [kept.get(), kept.get()] == [True, True]
    assert kept.fetcher.asked == 2, "a failure is not repeated at once"
    kept.now += STALE_SECONDS - FRESH_SECONDS
    with pytest.raises(KeysUnavailableError):
        kept.get()
    kept.fetcher.answer = [jwk()]
    kept.now += FAILURE_SECONDS
    assert kept.get()


def test_keys_of_a_table_that_is_gone_are_forgotten() -> None:
    kept = Kept()
    assert kept.get()
    kept.sets.retain(set())
    assert kept.sets.at_hand(ENDPOINT, "first") is None
