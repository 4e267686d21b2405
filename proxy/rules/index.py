"""Lookups that tell, for one field of a request, which rules that field still allows.

An answer is an integer with one bit a rule (`table.py` says which). An index may allow too much, and a
condition then has the last word, but it never allows too little. What a look-up costs depends on the request
and on how long patterns may be (128 characters), not on how many rules there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from proxy.rules.conditions import (
    Condition,
    HostHeader,
    HttpHeader,
    HttpRequestMethod,
    PathPattern,
    QueryString,
    SourceIp,
    parse_peer,
)
from proxy.rules.patterns import Values
from proxy.rules.request import RequestView

MAX_AFFIX = 128
"""Longest prefix or suffix that is looked up, in bytes; a value may have 128 characters (alb.md 2.1)."""

Allowed = Callable[[RequestView], int]


class AffixTree:
    """The prefixes of patterns, each below the longest other one that it begins with.

    A walk goes from the root to the longest prefix of a subject. At most one child of a node can fit, so the
    lengths it tries only grow, and with the values' limit there are at most `MAX_AFFIX` of them.
    """

    __slots__ = ("allowed", "children")

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.children: dict[int, dict[bytes, AffixTree]] = {}

    @classmethod
    def of(cls, allowed: dict[bytes, int], always: int) -> AffixTree:
        """Build the tree of these affixes; a node allows what its ancestors allow too, the root `always`."""
        root = cls(always)
        for affix in sorted(allowed, key=len):
            parent = root.longest(affix)
            node = cls(parent.allowed | allowed[affix])
            parent.children.setdefault(len(affix), {})[affix] = node
        return root

    def longest(self, subject: bytes) -> AffixTree:
        """The node of the longest affix that `subject` begins with."""
        node = self
        while node.children:
            for length, siblings in node.children.items():
                child = siblings.get(subject[:length])
                if child is not None:
                    node = child
                    break
            else:
                break
        return node


class ValueIndex:
    """Which of many conditions a subject may satisfy.

    Values without wildcards are found by equality, others by what stands before their first or after their
    last wildcard, whichever fewer values share; the rest (regular expressions, `*part*`) is always allowed.
    """

    __slots__ = ("_prefixes", "_suffixes", "exact")

    def __init__(self, entries: Iterable[tuple[int, Values]], always: int) -> None:
        exact: dict[bytes, int] = {}
        prefixes: dict[bytes, int] = {}
        suffixes: dict[bytes, int] = {}
        entries = list(entries)
        open_ended = [value for _, values in entries for value in values.wildcards if value.literal is None]
        shared_prefix = Counter(value.prefix for value in open_ended)
        shared_suffix = Counter(value.suffix for value in open_ended)
        for bit, values in entries:
            if not values.wildcards:
                always |= bit
            for value in values.wildcards:
                by_prefix = shared_prefix[value.prefix] if value.prefix else len(open_ended) + 1
                by_suffix = shared_suffix[value.suffix] if value.suffix else len(open_ended) + 1
                if value.literal is not None:
                    exact[value.literal] = exact.get(value.literal, 0) | bit
                elif value.prefix and by_prefix <= by_suffix:
                    prefix = value.prefix[:MAX_AFFIX]
                    prefixes[prefix] = prefixes.get(prefix, 0) | bit
                elif value.suffix:
                    suffix = value.suffix[::-1][:MAX_AFFIX]
                    suffixes[suffix] = suffixes.get(suffix, 0) | bit
                else:
                    always |= bit
        self._prefixes = AffixTree.of(prefixes, always)
        self._suffixes = AffixTree.of(suffixes, 0)
        self.exact = {literal: bits | self.by_affix(literal) for literal, bits in exact.items()}

    def allowed(self, subject: bytes) -> int:
        found = self.exact.get(subject)
        return found if found is not None else self.by_affix(subject)

    def by_affix(self, subject: bytes) -> int:
        """What a subject that no literal equals is allowed."""
        allowed = self._prefixes.longest(subject).allowed if self._prefixes.children else self._prefixes.allowed
        if self._suffixes.children:
            allowed |= self._suffixes.longest(subject[: -MAX_AFFIX - 1 : -1]).allowed
        return allowed


def _index_hosts(guards: Sequence[tuple[int, HostHeader]], others: int) -> Allowed:
    index = ValueIndex([(bit, condition.values) for bit, condition in guards], others)
    exact, by_affix = index.exact.get, index.by_affix

    def allowed(view: RequestView) -> int:
        found = exact(view.host)
        return found if found is not None else by_affix(view.host)

    return allowed


def _index_paths(guards: Sequence[tuple[int, PathPattern]], others: int) -> Allowed:
    index = ValueIndex([(bit, condition.values) for bit, condition in guards], others)
    exact, by_affix = index.exact.get, index.by_affix

    def allowed(view: RequestView) -> int:
        found = exact(view.path)
        return found if found is not None else by_affix(view.path)

    return allowed


def _index_methods(guards: Sequence[tuple[int, HttpRequestMethod]], others: int) -> Allowed:
    allowed: dict[bytes, int] = {}
    for bit, condition in guards:
        for method in condition.methods:
            allowed[method] = allowed.get(method, others) | bit
    get = allowed.get
    return lambda view: get(view.method, others)


def _index_headers(guards: Sequence[tuple[int, HttpHeader]], others: int) -> Allowed:
    entries: dict[bytes, list[tuple[int, Values]]] = {}
    for bit, condition in guards:
        entries.setdefault(condition.name, []).append((bit, condition.values))
    by_name = {name: ValueIndex(of_name, 0) for name, of_name in entries.items()}

    def allowed(view: RequestView) -> int:
        bits = others
        for name in by_name.keys() & view.fields.keys():
            for value in view.header_values(name):
                bits |= by_name[name].allowed(value.lower())
        return bits

    return allowed


def _index_queries(guards: Sequence[tuple[int, QueryString]], others: int) -> Allowed:
    of_any_key: list[tuple[int, Values]] = []
    of_key: dict[bytes, list[tuple[int, Values]]] = {}
    for bit, condition in guards:
        for pair in condition.pairs:
            key = None if pair.key is None else pair.key.wildcards[0].literal
            (of_any_key if key is None else of_key.setdefault(key, [])).append((bit, pair.value))
    by_any_key = ValueIndex(of_any_key, 0) if of_any_key else None
    by_key = {key: ValueIndex(of_one, 0) for key, of_one in of_key.items()}

    def allowed(view: RequestView) -> int:
        bits = others
        for key, value in view.query_pairs:
            index = by_key.get(key)
            if index is not None:
                bits |= index.allowed(value)
            if by_any_key is not None:
                bits |= by_any_key.allowed(value)
        return bits

    return allowed


def _index_peers(guards: Sequence[tuple[int, SourceIp]], others: int) -> Allowed:
    by_prefix: dict[tuple[int, int], dict[int, int]] = {}
    for bit, condition in guards:
        for network in condition.networks:
            shift = network.max_prefixlen - network.prefixlen
            networks = by_prefix.setdefault((network.version, shift), {})
            number = int(network.network_address) >> shift
            networks[number] = networks.get(number, 0) | bit
    tables = tuple((version, shift, networks) for (version, shift), networks in by_prefix.items())

    def allowed(view: RequestView) -> int:
        peer_version, number = parse_peer(view.peer)
        bits = others
        for version, shift, networks in tables:
            if version == peer_version:
                bits |= networks.get(number >> shift, 0)
        return bits

    return allowed


Build = Callable[[Sequence[tuple[int, Any]], int], Allowed]
"""From (bit of a rule, its condition on the field) and the bits of the rules without one to the look-up."""

QUICK: dict[str, Build] = {
    PathPattern.field: _index_paths,
    HostHeader.field: _index_hosts,
    HttpRequestMethod.field: _index_methods,
}
"""Fields that every request has once: looked up first, and usually all that is needed."""

THOROUGH: dict[str, Build] = {
    HttpHeader.field: _index_headers,
    QueryString.field: _index_queries,
    SourceIp.field: _index_peers,
}
"""Fields that cost more to look up than a few conditions cost to ask."""


def guard(conditions: Sequence[Condition], field: str) -> Condition | None:
    """The condition that stands for a rule in the index of `field`: of several, a telling one."""
    of_field = [condition for condition in conditions if condition.field == field]
    return max(of_field, key=_is_selective, default=None)


def _is_selective(condition: Condition) -> bool:
    match condition:
        case HttpHeader(values=values):
            return values.are_literals
        case QueryString(pairs=pairs):
            return all(pair.key is not None or pair.value.are_literals for pair in pairs)
        case _:
            return True
