"""The key sets of `jwt-validation`: fetched when needed, kept for a while, never fetched twice at once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from proxy.auth.flight import SingleFlight
from proxy.auth.keys import KeySet, parse_keys
from proxy.auth.provider import AnswerTooLarge, Fetcher, RequestFailed, RequestTimeout
from proxy.errors import KeysUnavailableError

FRESH_SECONDS: Final = 300.0
"""How long keys are used without asking again."""
STALE_SECONDS: Final = 900.0
"""How long keys are used when asking again fails."""
PAUSE_SECONDS: Final = 10.0
"""Between two requests for keys that a token named and the set has not, so that made-up key ids cost nothing."""
FAILURE_SECONDS: Final = 1.0
"""How long a failure is the answer without asking again."""


@dataclass(slots=True)
class _Kept:
    keys: KeySet | None = None
    fetched_at: float = 0.0
    failure: KeysUnavailableError | None = None
    asked_at: float = float("-inf")


class KeySets:
    """Key sets by endpoint.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, fetcher: Fetcher, clock: Callable[[], float]) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._flights = SingleFlight[None]()

    def at_hand(self, endpoint: str, kid: str | None) -> KeySet | None:
        """The keys, if they can be used without asking: fresh, and this key is among them or was just asked for.

        Raises:
            KeysUnavailableError: They could not be had a moment ago.
        """
        kept = self._kept.get(endpoint)
        if kept is None:
            return None
        since = self._clock() - kept.asked_at
        if kept.failure is not None and since < FAILURE_SECONDS:
            return self._stale(kept, kept.failure)
        if kept.keys is None or self._clock() - kept.fetched_at >= FRESH_SECONDS:
            return None
        if kept.keys.find(kid) is None and since >= PAUSE_SECONDS:
            return None
        return kept.keys

    async def fetch(self, endpoint: str) -> KeySet:
        """Ask for the keys, once for all who wait.

        Raises:
            KeysUnavailableError: They cannot be had, and the last ones are too old.
        """
        await self._flights.do(endpoint, lambda: self._refresh(endpoint))
        kept = self._kept[endpoint]
        if kept.failure is not None:
            return self._stale(kept, kept.failure)
        assert kept.keys is not None
        return kept.keys

    def retain(self, endpoints: Collection[str]) -> None:
        """Forget the keys of all others."""
        self._kept = {endpoint: kept for endpoint, kept in self._kept.items() if endpoint in endpoints}

    def _stale(self, kept: _Kept, failure: KeysUnavailableError) -> KeySet:
        if kept.keys is None or self._clock() - kept.fetched_at >= STALE_SECONDS:
            raise KeysUnavailableError(failure.reason, str(failure))
        return kept.keys

    async def _refresh(self, endpoint: str) -> None:
        try:
            keys = await self._ask(endpoint)
        except KeysUnavailableError as error:
            kept = self._kept.setdefault(endpoint, _Kept())
            kept.failure = error.with_traceback(None)
        else:
            kept = self._kept.setdefault(endpoint, _Kept())
            kept.keys, kept.fetched_at, kept.failure = keys, self._clock(), None
        kept.asked_at = self._clock()

    async def _ask(self, endpoint: str) -> KeySet:
        try:
            status, body = await self._fetcher.fetch("GET", endpoint, {})
        except RequestTimeout as error:
            raise KeysUnavailableError("JWKSRequestTimeout", str(error)) from None
        except RequestFailed as error:
            raise KeysUnavailableError("JWKSRequestFailed", str(error)) from None
        except AnswerTooLarge as error:
            raise KeysUnavailableError("JWKSResponseSizeExceeded", str(error)) from None
        if not 200 <= status <= 299:
            raise KeysUnavailableError("JWKSRequestFailed", f"status {status}")
        return parse_keys(body)
