"""What a condition demands of its part of a request, and what a part can be that meets some demands and not others.

A request has parts: its host, path, method, client address, query, and the lines of each header. Conditions on
different parts have nothing to do with each other, so each part is chosen alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from itertools import chain, count
from typing import cast

from proxy.config.model import ConditionConfig
from proxy.rules.conditions import CONDITIONS, SourceIp
from proxy.rules.coverage.globs import (
    ANY_PATH,
    HEADER_VALUES,
    HOSTS,
    PATHS,
    QUERY_PAIRS,
    Glob,
    Universe,
    difference,
    glob_of,
    pair_glob_of,
)
from proxy.rules.coverage.regex_sample import needs_upper_case, prefix_of, sample_of
from proxy.rules.coverage.work import UndecidedError, Work
from proxy.rules.patterns import Match, compile_regexes

Part = tuple[str, str]
"""The field of a condition, and the header's name in lower case where it has one."""

Choice = tuple[bytes, ...]
"""What stands in a part: one value; for a query its pairs and for a header its lines; nothing where it is absent."""

ABSENT: Choice = ()

HOST: Part = ("host-header", "")
PATH: Part = ("path-pattern", "")
METHOD: Part = ("http-request-method", "")
QUERY: Part = ("query-string", "")
SOURCE: Part = ("source-ip", "")

_UNIVERSES = {"host-header": HOSTS, "path-pattern": PATHS, "http-header": HEADER_VALUES, "query-string": QUERY_PAIRS}
_FILLERS = {"host-header": (b"a", b"x-1"), "query-string": (b"x", b"1"), "http-header": (b"x", b"1")}
_PATH_FILLERS = (b"x", b"", b"x/1")
_USUAL_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
_ANSWERED_BEFORE_RULES = ("TRACE", "CONNECT")
_USUAL_PEERS = ("127.0.0.1", "192.0.2.1", "2001:db8::1")

Block = tuple[int, int, int]
"""IP version, first and last address."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One condition: one of these must be found in the part.

    Attributes:
        globs, regexes, methods, blocks: By kind; all but one are empty. A value that nothing can satisfy is left out.
        text: The condition in a normal form: two that demand the same in the same words are equal in it.
    """

    part: Part
    text: tuple[str, ...]
    globs: tuple[Glob, ...] = ()
    regexes: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()

    @property
    def key(self) -> tuple[Part, tuple[str, ...]]:
        return (self.part, self.text)

    def takes(self, value: bytes) -> bool:
        """Whether this value of its part (not a method or an address) is enough."""
        if self.regexes:
            return _search(self.regexes)(value) is not None
        subject = value if self.part == PATH else value.lower()
        return any(glob.matches(subject) for glob in self.globs)


@lru_cache(maxsize=1024)
def _search(regexes: tuple[str, ...]) -> Match:
    return compile_regexes(regexes)


def part_of(condition: ConditionConfig) -> Part:
    return (condition.field, (condition.header_name or "").lower())


def demand_of(condition: ConditionConfig) -> Demand:
    """Take a condition apart."""
    part = part_of(condition)
    if condition.field == "query-string":
        pairs = sorted({((pair.key or "").lower(), pair.key is None, pair.value.lower()) for pair in condition.pairs})
        globs = [pair_glob_of(pair.key, pair.value) for pair in condition.pairs]
        return Demand(part, tuple(map(repr, pairs)), globs=tuple(glob for glob in globs if glob is not None))
    if condition.field == "http-request-method":
        methods = tuple(value for value in condition.values if value not in _ANSWERED_BEFORE_RULES)
        return Demand(part, tuple(sorted(set(condition.values))), methods=methods)
    if condition.field == "source-ip":
        networks = cast(SourceIp, CONDITIONS["source-ip"].compile(condition)).networks
        blocks = tuple(
            (network.version, int(network.network_address), int(network.broadcast_address)) for network in networks
        )
        return Demand(part, tuple(sorted({str(network) for network in networks})), blocks=blocks)
    if condition.regex_values:
        regexes = tuple(sorted(set(condition.regex_values)))
        possible = regexes
        if part == HOST:
            # A host is in lower case before it is compared (alb.md 14.4).
            possible = tuple(regex for regex in regexes if not needs_upper_case(regex))
        return Demand(part, ("regex", *regexes), regexes=possible)
    fold = condition.field != "path-pattern"
    values = sorted({value.lower() if fold else value for value in condition.values})
    return Demand(part, ("", *values), globs=tuple(glob_of(value, fold=fold) for value in condition.values))


def choose(part: Part, wanted: Sequence[Demand], avoided: Sequence[Demand], work: Work) -> Choice | None:
    """Return what the part can be so that it meets each of `wanted` and none of `avoided`; None if it cannot.

    Raises:
        UndecidedError: A regular expression leaves it open.
    """
    field = part[0]
    if field in ("http-header", "query-string"):
        # Any number of lines and pairs may be there, so each demand has one of its own (alb.md 2.5, 2.7).
        chosen = [_text(demand, avoided, work) for demand in wanted]
        return tuple(dict.fromkeys(text for text in chosen if text is not None)) if None not in chosen else None
    if len(wanted) > 1:
        raise UndecidedError(f"it has two {field} conditions")
    demand = wanted[0] if wanted else None
    if field == "http-request-method":
        return _method(demand, avoided)
    if field == "source-ip":
        return _peer(demand, avoided)
    if demand is not None:
        text = _text(demand, avoided, work)
        return None if text is None else (text,)
    return _any_host(avoided) if part == HOST else _any_path(avoided, work)


def _any_host(avoided: Sequence[Demand]) -> Choice:
    return ABSENT if any(demand.takes(b"localhost") for demand in avoided) else (b"localhost",)


def _any_path(avoided: Sequence[Demand], work: Work) -> Choice | None:
    path = _of_glob(ANY_PATH, avoided, PATHS, (b"",), work)
    return None if path is None else (path,)


def _text(demand: Demand, avoided: Sequence[Demand], work: Work) -> bytes | None:
    field = demand.part[0]
    universe = _UNIVERSES[field]
    if demand.regexes:
        return _of_regexes(demand, avoided, universe, work)
    undecided = None
    for glob in demand.globs:
        try:
            text = _of_glob(glob, avoided, universe, _FILLERS.get(field, _PATH_FILLERS), work)
        except UndecidedError as error:
            undecided = error
        else:
            if text is not None:
                return text
    if undecided is not None:
        raise undecided
    return None


def _of_glob(
    glob: Glob, avoided: Sequence[Demand], universe: Universe, fillers: Sequence[bytes], work: Work
) -> bytes | None:
    """A text of this pattern that `avoided` does not take: one that looks natural, or else the shortest."""
    for filler in fillers:
        text = glob.filled(filler)
        if universe.holds(text) and not any(demand.takes(text) for demand in avoided):
            return text
    if glob.is_literal:
        return None
    others = [other for demand in avoided for other in demand.globs]
    shortest = difference(glob, others, universe, work)
    if shortest is None or not any(demand.takes(shortest) for demand in avoided if demand.regexes):
        return shortest
    raise UndecidedError("a regular expression of an earlier rule may take everything")


def _of_regexes(demand: Demand, avoided: Sequence[Demand], universe: Universe, work: Work) -> bytes | None:
    """As `_of_glob`; of a regular expression only a sample, its beginning and its equals are known."""
    same = {regex for other in avoided for regex in other.regexes}
    remaining = [regex for regex in demand.regexes if regex not in same]
    for regex in remaining:
        sample = sample_of(regex)
        for text in () if sample is None else (sample, b"/" + sample):
            if universe.holds(text) and demand.takes(text) and not any(other.takes(text) for other in avoided):
                return text
    if not remaining:
        return None
    if universe is PATHS:
        globs = [glob for other in avoided for glob in other.globs]
        around = [glob_of(f"{prefix_of(regex)}*", fold=False) for regex in remaining]
        if globs and all(difference(glob, globs, PATHS, work) is None for glob in around):
            return None
    raise UndecidedError("what its regular expression takes is not known")


def _method(demand: Demand | None, avoided: Sequence[Demand]) -> Choice | None:
    taken = {method for other in avoided for method in other.methods}
    if demand is not None:
        return next(((method.encode(),) for method in demand.methods if method not in taken), None)
    methods = chain(_USUAL_METHODS, ("X" * length for length in count(1)))
    return (next(method for method in methods if method not in taken).encode(),)


def _peer(demand: Demand | None, avoided: Sequence[Demand]) -> Choice | None:
    wanted = demand.blocks if demand is not None else ((4, 0, 2**32 - 1), (6, 0, 2**128 - 1))
    taken = [block for other in avoided for block in other.blocks]
    free = [block for mine in wanted for block in without(mine, taken)]
    usual = map(_number, _USUAL_PEERS)
    for version, number in usual:
        if any(block[0] == version and block[1] <= number <= block[2] for block in free):
            return (_address(version, number),)
    for version, first, last in free:
        # The first address of a block is the network's own; the next looks more like a client.
        return (_address(version, min(first + 1, last)),)
    return None


def without(block: Block, taken: Sequence[Block]) -> list[Block]:
    """What is left of a block of addresses when others are taken out."""
    version, first, last = block
    left = []
    for _, start, end in sorted(other for other in taken if other[0] == version):
        if start > last or end < first:
            continue
        if start > first:
            left.append((version, first, start - 1))
        first = end + 1
        if first > last:
            return left
    return [*left, (version, first, last)]


def _number(address: str) -> tuple[int, int]:
    parsed = IPv6Address(address) if ":" in address else IPv4Address(address)
    return parsed.version, int(parsed)


def _address(version: int, number: int) -> bytes:
    return str(IPv4Address(number) if version == 4 else IPv6Address(number)).encode()
