"""The fewest path patterns that take a set of transactions and none of the monolith's others, packed into rules.

    1  each template goes without a method, if no other transaction has the same path, else with its methods
    2  candidates: the tightest pattern of each template, cuts of it that end in `*`, and what two have in common
    3  those that touch another transaction go; among the rest an exact search finds the fewest that cover all,
       and of equally few the most literal
    4  a template that no such pattern covers alone is a regular expression, `^/users/[^/]+$`
    5  what even that takes of others (`/users/me`) stays by a rule in front of it; the most literal first
    6  values are packed into rules of at most 5 values and 6 wildcards (alb.md 1.4)

"Fewest" is meant among the candidates of step 2 that begin with the resource (`/orders`) of what they cover, or, where
that is a parameter, with what stands before it. That nothing else is taken holds for the transactions that are known;
those that begin otherwise than all that is wanted are not even looked at, which is why every pattern must begin so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from proxy.carveout.ranking.bundles import resource_of, split_name
from proxy.carveout.ranking.precedence import One, in_turn
from proxy.carveout.ranking.shapes import MOST_VALUES, MOST_WILDCARDS, RuleShape, packed
from proxy.carveout.ranking.templates import (
    covers,
    literal_start,
    meet,
    template_tokens,
    tightest_pattern,
    touches,
    without_parameter_names,
)

LONGEST: Final = 128
MOST_STEPS: Final = 20_000
"""Of the search; after them the best cover found so far is taken, which is at least as good as a greedy one."""


@dataclass(frozen=True, slots=True)
class Cover:
    """The rules for a set of transactions in the order of their priorities.

    Attributes:
        left_out: Transactions that no rule can take: names without a path, or longer than a value may be.
    """

    rules: tuple[RuleShape, ...]
    left_out: tuple[str, ...] = ()

    @property
    def patterns(self) -> tuple[str, ...]:
        """The values of the rules that move something; regular expressions begin with `^`."""
        return tuple(dict.fromkeys(value for rule in self.rules if not rule.stays for value in rule.values))


@dataclass(frozen=True, slots=True)
class _Transaction:
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class _Covered:
    """Rules of patterns that take nothing else, and the paths that no such pattern takes alone."""

    rules: list[RuleShape]
    by_one: list[One]

    @property
    def values(self) -> int:
        return sum(len(rule.values) for rule in self.rules) + len(self.by_one)


def cover(names: Iterable[str], known: Iterable[str]) -> Cover:
    """Return the rules that take these transactions and no other of the known ones.

    Args:
        names: Of transactions, `GET /orders/{id}`.
        known: All of the monolith's.
    """
    wanted, left_out = [], []
    for name in dict.fromkeys(names):
        transaction = _parsed(name)
        fits = transaction is not None and len(tightest_pattern(transaction.path)) <= LONGEST
        if transaction is not None and fits:
            wanted.append(transaction)
        else:
            left_out.append(name)
    mine = set(wanted)
    starts = {literal_start(_beginning(one.path)) for one in wanted}
    others = [
        one
        for one in map(_parsed, dict.fromkeys(known))
        if one is not None and one not in mine and _may_meet(literal_start(one.path), starts)
    ]
    groups = _by_methods(wanted, others)
    covered = [_cover_paths(paths, others, methods) for methods, paths in groups.items()]
    # The patterns touch nothing that stays, so that they may be first.
    rules = [rule for one in covered for rule in one.rules] + in_turn([path for one in covered for path in one.by_one])
    return Cover(tuple(_that_can_win(rules, wanted)), tuple(left_out))


@lru_cache(maxsize=8192)
def _parsed(name: str) -> _Transaction | None:
    split = split_name(name)
    return None if split is None else _Transaction(split[0], without_parameter_names(split[1]))


@lru_cache(maxsize=8192)
def _beginning(path: str) -> str:
    """What a pattern for a template begins with: its resource, else all before its first parameter."""
    named = resource_of(path)
    return tightest_pattern(path.split("{", 1)[0].rstrip("/") if named is None else named)


def _may_meet(start: str, starts: Collection[str]) -> bool:
    """Whether a pattern that begins with one of `starts` can touch a path that begins with `start`."""
    return any(start.startswith(one) or one.startswith(start) for one in starts)


def _by_methods(wanted: Sequence[_Transaction], others: Sequence[_Transaction]) -> dict[tuple[str, ...], list[str]]:
    """Paths by the methods that their rule must name: none where no other transaction is in the way.

    A path that needs no method joins those with its methods if that costs no further value.
    """
    methods_of: dict[str, tuple[str, ...]] = {}
    for path in dict.fromkeys(one.path for one in wanted):
        methods_of[path] = tuple(sorted({one.method for one in wanted if one.path == path}))
    groups: dict[tuple[str, ...], list[str]] = {}
    for path, methods in methods_of.items():
        groups.setdefault(() if _needs_no_method(path, methods, others) else methods, []).append(path)
    for methods, paths in groups.items():
        for path in list(groups.get((), ())) if methods else ():
            if set(methods_of[path]) <= set(methods):
                joined = [*paths, path]
                if _cover_paths(joined, others, methods).values <= _cover_paths(paths, others, methods).values:
                    paths.append(path)
                    groups[()].remove(path)
    return {methods: paths for methods, paths in groups.items() if paths}


def _needs_no_method(path: str, methods: Collection[str], others: Sequence[_Transaction]) -> bool:
    if any(one.path == path for one in others):
        return False
    pattern = tightest_pattern(path)
    # Where only other methods are in the way, the rule names its own.
    return _is_free(pattern, (one.path for one in others)) or not _is_free(
        pattern, (one.path for one in others if one.method in methods)
    )


def _cover_paths(paths: list[str], others: Sequence[_Transaction], methods: tuple[str, ...]) -> _Covered:
    rivals = list(dict.fromkeys(one.path for one in others if not methods or one.method in methods))
    room = max(MOST_VALUES - len(methods), 1)
    usable: dict[str, int] = {}
    needed_as_it_is = {tightest_pattern(path) for path in paths}
    for pattern in _candidates(paths):
        suits = covers if pattern in needed_as_it_is else _suits
        mask = sum(1 << index for index, path in enumerate(paths) if suits(pattern, path))
        if mask and _is_free(pattern, rivals):
            usable[pattern] = mask
    coverable = 0
    for mask in usable.values():
        coverable |= mask
    chosen = _without_redundant(_fewest(usable, coverable), paths)
    alone = [path for index, path in enumerate(paths) if not coverable >> index & 1]
    staying = [path for path in rivals if any(meet(template_tokens(one), template_tokens(path)) for one in alone)]
    return _Covered(
        [RuleShape(values, "pattern", methods) for values in packed(chosen, room)],
        [
            *(One(path, _methods_of(path, others, methods), stays=True) for path in staying),
            *(One(path, methods) for path in alone),
        ],
    )


def _methods_of(path: str, others: Sequence[_Transaction], methods: Collection[str]) -> tuple[str, ...]:
    """The methods, among those that are asked for, with which a path stays at the monolith."""
    return tuple(sorted({one.method for one in others if one.path == path and (not methods or one.method in methods)}))


def _that_can_win(rules: Sequence[RuleShape], wanted: Sequence[_Transaction]) -> Iterator[RuleShape]:
    """The rules without values whose transactions the rules before take already."""
    left = list(wanted)
    for rule in rules:
        if rule.stays:
            yield rule
            continue
        mine = [one for one in left if not rule.methods or one.method in rule.methods]
        values = tuple(value for value in rule.values if any(covers(value, one.path) for one in mine))
        if values:
            yield replace(rule, values=values)
        left = [one for one in left if one not in mine or not any(covers(value, one.path) for value in values)]


def _without_redundant(patterns: list[str], paths: Sequence[str]) -> list[str]:
    """Without those that the others make needless, the most literal of them first."""
    needed = list(patterns)
    for pattern in sorted(patterns, key=_literals, reverse=True):
        others = [other for other in needed if other != pattern]
        mine = [path for path in paths if covers(pattern, path)]
        if all(any(covers(other, path) for other in others) for path in mine):
            needed = others
    return needed


def _suits(pattern: str, path: str) -> bool:
    """Whether a pattern covers a template and begins as it does: `/*/*` would take what nobody knows of yet."""
    return pattern.startswith(_beginning(path)) and covers(pattern, path)


def _is_free(pattern: str, rivals: Iterable[str]) -> bool:
    return not any(touches(pattern, rival) for rival in rivals)


def _candidates(paths: Sequence[str]) -> list[str]:
    """Patterns that may cover one or several of these templates, without repetition."""
    tightest = [tightest_pattern(path) for path in paths]
    found = dict.fromkeys(tightest)
    for pattern in tightest:
        for end in range(2, len(pattern)):
            found.setdefault(_starred(pattern[:end]))
    for index, one in enumerate(tightest):
        for other in tightest[index + 1 :]:
            found.setdefault(_in_common(one, other))
            by_segment = _in_common_by_segment(one, other)
            if by_segment:
                found.setdefault(by_segment)
    return [pattern for pattern in found if _fits(pattern)]


def _fits(pattern: str) -> bool:
    return len(pattern) <= LONGEST and pattern.count("*") + pattern.count("?") <= MOST_WILDCARDS and pattern != "/*"


def _starred(prefix: str) -> str:
    return prefix if prefix.endswith("*") else prefix + "*"


def _in_common(one: str, other: str) -> str:
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    return (one[:start].rstrip("*") + "*" + (one[len(one) - end :] if end else "").lstrip("*")) if end or start else "*"


def _in_common_by_segment(one: str, other: str) -> str | None:
    first, second = one.split("/"), other.split("/")
    if len(first) != len(second):
        return None
    return "/".join(a if a == b else "*" for a, b in zip(first, second, strict=True))


def _fewest(usable: dict[str, int], wanted: int) -> list[str]:
    """The fewest patterns whose masks cover `wanted`; of equally few those with the most literal characters."""
    best_of: dict[int, str] = {}
    for pattern, mask in usable.items():
        if mask and (mask not in best_of or _literals(pattern) > _literals(best_of[mask])):
            best_of[mask] = pattern
    masks = [mask for mask in best_of if not any(mask != other and mask & other == mask for other in best_of)]
    # A smaller mask may still be the more literal choice at the end; first the number of patterns is settled.
    found: list[int] = []
    best = _greedy(masks, wanted)
    steps = 0

    def search(left: int) -> None:
        nonlocal best, steps
        steps += 1
        if not left:
            best = list(found)
            return
        widest = max(((mask & left).bit_count() for mask in masks), default=0)
        if steps > MOST_STEPS or not widest or len(found) - (-left.bit_count() // widest) >= len(best):
            return
        rarest = min(
            (1 << index for index in range(left.bit_length()) if left >> index & 1),
            key=lambda bit: sum(1 for mask in masks if mask & bit),
        )
        for mask in sorted((mask for mask in masks if mask & rarest), key=lambda mask: -(mask & left).bit_count()):
            found.append(mask)
            search(left & ~mask)
            found.pop()

    search(wanted)
    chosen: list[str] = []
    for index, mask in enumerate(best):
        needed = wanted
        for other in best[:index] + best[index + 1 :]:
            needed &= ~other
        narrower = [candidate for candidate in best_of if candidate & needed == needed]
        pick = max(narrower, key=lambda candidate: _literals(best_of[candidate]), default=mask)
        chosen.append(best_of[pick])
        best[index] = pick
    return sorted(chosen)


def _greedy(masks: Sequence[int], wanted: int) -> list[int]:
    chosen = []
    while wanted:
        mask = max(masks, key=lambda mask: (mask & wanted).bit_count())
        chosen.append(mask)
        wanted &= ~mask
    return chosen


def _literals(pattern: str) -> tuple[int, int]:
    return len(pattern) - pattern.count("*") - pattern.count("?"), -len(pattern)
