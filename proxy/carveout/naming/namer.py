"""Gives each request its name: what was given first, then what was learned, then `{unmatched}`."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from proxy.carveout.naming.learner import Learner
from proxy.carveout.naming.segments import segments
from proxy.carveout.naming.templates import UNMATCHED, GivenPatterns, Template, TemplateTree, in_order

DEFAULT_LIMIT: Final = 2000
MAX_CACHED: Final = 8192
METHODS: Final = {
    method: method.decode()
    for method in (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"CONNECT", b"TRACE")
}
"""RFC 9110 9 and RFC 5789; any other is `OTHER`."""


@dataclass(frozen=True, slots=True)
class Rename:
    """A name that is given no more, and the one that its requests have now.

    Attributes:
        at: Seconds since the epoch.
    """

    at: float
    old: str
    new: str


class Namer:
    """Names and learns, in bounded memory and with a bounded number of names.

    `learn` costs some microseconds a request and `settle` milliseconds: neither is for the request path.

    Args:
        given: Patterns that come before all that is learned.
        limit: How many names there may be besides the given ones.
        distinct_clients: How many must have used a word before it may be part of a name.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        given: Sequence[Template] = (),
        *,
        limit: int = DEFAULT_LIMIT,
        distinct_clients: int = 3,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._given = tuple(given)
        self._patterns = GivenPatterns(self._given)
        self._limit = limit
        self._learner = Learner(distinct_clients)
        self._learned: dict[tuple[str, tuple[str, ...]], Template] = {}
        self._tree = TemplateTree((), limit)
        self._cache: dict[tuple[bytes, bytes], str | None] = {}
        self._now = now
        self.renames: deque[Rename] = deque(maxlen=500)
        self.version = 0

    def name(self, method: bytes, path: bytes) -> str:
        """The name of a request; `{unmatched}` when it has none, or none yet.

        Args:
            path: As sent, without the query.
        """
        return self.find(method, path) or UNMATCHED

    def find(self, method: bytes, path: bytes) -> str | None:
        """As `name`, but None when there is none."""
        key = (method, path)
        if key in self._cache:
            return self._cache[key]
        verb = METHODS.get(method, "OTHER")
        name = self._patterns.find(verb, path) or self._tree.find(verb, segments(path))
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[key] = name
        return name

    def learn(self, method: bytes, path: bytes, status: int, client: int) -> None:
        """Note a request that ended; only one that was answered well teaches something (scanners get 404).

        Args:
            client: A hash of who asked.
        """
        if status < 400:
            self._learner.observe(METHODS.get(method, "OTHER"), segments(path), client)

    def settle(self, *, at_leisure: bool = False) -> bool:
        """Bring the names up to what was learned; return whether any is new or gone.

        Args:
            at_leisure: Judge by what there is, since no more is to come (the end of a log).
        """
        self._learner.judge(at_leisure=at_leisure)
        return self._publish(self._learner.templates())

    def adopt(self, templates: Sequence[Template]) -> bool:
        """Take over what another one learned (`learned`); return whether any name is new or gone."""
        return self._publish(templates)

    def restore(self, templates: Sequence[Template]) -> None:
        """Begin with what was learned in an earlier life."""
        self._learner.seed(templates)
        self._publish(templates)

    def give(self, given: Sequence[Template]) -> None:
        """Put other given patterns in force."""
        if tuple(given) != self._given:
            self._given = tuple(given)
            self._patterns = GivenPatterns(self._given)
            self._cache.clear()
            self.version += 1

    @property
    def learned(self) -> list[Template]:
        """The learned templates, the oldest names first."""
        return list(self._learned.values())

    @property
    def overflow(self) -> int:
        """How many templates have no name of their own, since there are too many."""
        return self._tree.overflow

    @property
    def counts(self) -> dict[str, int]:
        """How many names there are by where they come from."""
        given = Counter(template.source for template in self._given)
        return {"learned": len(self._tree.names), "pinned": given["pinned"], "openapi": given["openapi"]}

    @property
    def current_names(self) -> dict[str, str]:
        """Names that are given no more, as far as is remembered, to what their requests are called now."""
        now: dict[str, str] = {}
        for rename in reversed(self.renames):
            now.setdefault(rename.old, now.get(rename.new, rename.new))
        current = {template.name for template in self._learned.values()}
        return {old: new for old, new in now.items() if old not in current and new != UNMATCHED}

    def templates(self) -> list[Template]:
        """All of them in the order in which they are tried; the first whose regular expression matches is the name."""
        return [*in_order(self._given), *in_order(list(self._learned.values())[: self._limit])]

    def _publish(self, templates: Sequence[Template]) -> bool:
        found = {(template.method, template.keys): template for template in templates}
        # Who has a name keeps it when there are too many.
        learned = {key: found[key] for key in self._learned if key in found} | found
        changed = learned.keys() != self._learned.keys()
        before = {template.name: template for template in self._learned.values()}
        self._learned = learned
        if changed:
            self._tree = TemplateTree(list(learned.values()), self._limit)
            self._cache.clear()
            self.version += 1
            for name in before.keys() - {template.name for template in learned.values()}:
                new = self.name(before[name].method.encode(), before[name].example)
                self.renames.append(Rename(self._now(), name, new))
        return changed
