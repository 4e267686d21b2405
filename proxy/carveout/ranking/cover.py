"""The fewest path patterns that take a set of transactions and none of the monolith's others, packed into rules.

    1  each template goes without a method, if no other transaction has the same path, else with its methods
    2  candidates: the tightest pattern of each template, cuts of it that end in `*`, and what two have in common
    3  those that touch another transaction go; among the rest an exact search finds the fewest that cover all,
       and of equally few the most literal
    4  a template that no such pattern covers alone is a regular expression, `^/users/[^/]+$`
    5  what even that takes of others (`/users/me`) stays by a rule in front of it
    6  values are packed into rules of at most 5 values and 6 wildcards (alb.md 1.4)

"Fewest" is meant among the candidates of step 2 that begin with the resource (`/orders`) of what they cover, or, where
that is a parameter, with what stands before it. That nothing else is taken holds for the transactions that are known;
those that begin otherwise than all that is wanted are not even looked at, which is why every pattern must begin so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from proxy.carveout.ranking.bundles import resource_of, split_name
from proxy.carveout.ranking.templates import (
    covers,
    literal_start,
    meet,
    regex_of,
    template_tokens,
    tightest_pattern,
    touches,
    without_parameter_names,
)

MOST_VALUES: Final = 5
MOST_WILDCARDS: Final = 6
LONGEST: Final = 128
MOST_STEPS: Final = 20_000
"""Of the search; after them the best cover found so far is taken, which is at least as good as a greedy one."""

Kind = Literal["pattern", "regex"]


@dataclass(frozen=True, slots=True)
class RuleShape:
    """One rule: path patterns, or regular expressions, with the methods that it is limited to.

    Attributes:
        stays: Whether it keeps its requests at the monolith, in front of the rules that would take them.
    """

    values: tuple[str, ...]
    kind: Kind = "pattern"
    methods: tuple[str, ...] = ()
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Cover:
    """The rules for a set of transactions in the order of their priorities, those that stay first.

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
    rules = [rule for methods, paths in groups.items() for rule in _cover_paths(paths, others, methods)]
    rules.sort(key=lambda rule: not rule.stays)
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
                if _count(_cover_paths(joined, others, methods)) <= _count(_cover_paths(paths, others, methods)):
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


def _count(rules: Iterable[RuleShape]) -> int:
    return sum(len(rule.values) for rule in rules)


def _cover_paths(paths: list[str], others: Sequence[_Transaction], methods: tuple[str, ...]) -> list[RuleShape]:
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
    rules = [RuleShape(values, "pattern", methods) for values in _packed(chosen, room)]
    alone = [path for index, path in enumerate(paths) if not coverable >> index & 1]
    if not alone:
        return rules
    staying = [path for path in rivals if any(meet(template_tokens(one), template_tokens(path)) for one in alone)]
    rules += _staying(staying, others, methods)
    rules += [RuleShape(values, "regex", methods) for values in _packed([regex_of(path) for path in alone], room)]
    return rules


def _staying(paths: Sequence[str], others: Sequence[_Transaction], methods: tuple[str, ...]) -> list[RuleShape]:
    """Rules that keep paths at the monolith, for the methods only that stay there."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for path in paths:
        of_path = tuple(
            sorted({one.method for one in others if one.path == path and (not methods or one.method in methods)})
        )
        groups.setdefault(of_path, []).append(path)
    rules = []
    for stay, of_them in groups.items():
        room = max(MOST_VALUES - len(stay), 1)
        literal = [tightest_pattern(path) for path in of_them if "{" not in path]
        templated = [regex_of(path) for path in of_them if "{" in path]
        rules += [RuleShape(values, "pattern", stay, True) for values in _packed(literal, room)]
        rules += [RuleShape(values, "regex", stay, True) for values in _packed(templated, room)]
    return rules


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


def _packed(values: Sequence[str], room: int) -> list[tuple[str, ...]]:
    """Values by rule, in as few rules as first-fit needs, within the limits of alb.md 1.4."""
    rules: list[list[str]] = []
    for value in values:
        wildcards = 0 if value.startswith("^") else value.count("*") + value.count("?")
        for rule in rules:
            used = sum(one.count("*") + one.count("?") for one in rule if not one.startswith("^"))
            if len(rule) < room and used + wildcards <= MOST_WILDCARDS:
                rule.append(value)
                break
        else:
            rules.append([value])
    return [tuple(rule) for rule in rules]
