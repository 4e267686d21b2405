"""Rules for paths one by one, those that move and those that stay, in an order in which the more literal wins.

`/users/me` stays in front of `/users/{id}`, which moves; if `/{tenant}/me` stays, too, then behind a `/users/me` that
moves. Of two templates that share paths the one with more literal bytes is the more literal: the literals of the wider
one are in every path of the narrower.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from proxy.carveout.ranking.shapes import MOST_VALUES, Kind, RuleShape, packed
from proxy.carveout.ranking.templates import PARAMETER, covers, meet, regex_of, template_tokens, tightest_pattern


@dataclass(frozen=True, slots=True)
class One:
    """A path with the methods that its rule is limited to.

    Attributes:
        stays: Whether it stays at the monolith.
    """

    path: str
    methods: tuple[str, ...] = ()
    stays: bool = False


def in_turn(paths: Sequence[One]) -> list[RuleShape]:
    """Rules that decide about each path as it says, in as few turns of staying and moving as that takes."""
    turns: dict[One, int] = {}
    for one in sorted(dict.fromkeys(paths), key=_literals, reverse=True):
        before = (turn for other, turn in turns.items() if other.stays != one.stays and _overlap(one, other))
        turns[one] = max(before, default=-1 if one.stays else 0) + 1
    return [rule for turn in range(max(turns.values(), default=-1) + 1) for rule in _rules_of(turn, paths, turns)]


def _rules_of(turn: int, paths: Sequence[One], turns: dict[One, int]) -> Iterator[RuleShape]:
    values: dict[tuple[tuple[str, ...], Kind, bool], dict[str, None]] = {}
    mine = [one for one in paths if turns[one] == turn]
    for one in mine:
        if not any(_is_needless(one, other) for other in mine):
            is_exact = one.path == tightest_pattern(one.path)
            value = one.path if is_exact else regex_of(one.path)
            values.setdefault((one.methods, "pattern" if is_exact else "regex", one.stays), {})[value] = None
    for (methods, kind, stays), of_them in values.items():
        for some in packed(list(of_them), max(MOST_VALUES - len(methods), 1)):
            yield RuleShape(some, kind, methods, stays)


def _is_needless(one: One, other: One) -> bool:
    """Whether another rule of its turn decides the same about all its requests."""
    return (
        _literals(one) > _literals(other)
        and (not other.methods or (bool(one.methods) and set(one.methods) <= set(other.methods)))
        and covers(regex_of(other.path), one.path)
    )


def _literals(one: One) -> int:
    return sum(token != PARAMETER for token in template_tokens(one.path))


def _overlap(one: One, other: One) -> bool:
    """Whether a rule for the one takes requests of the other."""
    if one.methods and other.methods and not set(one.methods) & set(other.methods):
        return False
    first, second = template_tokens(one.path), template_tokens(other.path)
    return meet(first, second) or meet(second, first)
