"""The shape of a rule, before it has a name, a priority and a target group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

MOST_VALUES: Final = 5
MOST_WILDCARDS: Final = 6

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


def packed(values: Sequence[str], room: int) -> list[tuple[str, ...]]:
    """Values by rule, in as few rules as first-fit needs, within the limits of alb.md 1.4."""
    rules: list[list[str]] = []
    for value in values:
        for rule in rules:
            if len(rule) < room and sum(map(_wildcards, rule)) + _wildcards(value) <= MOST_WILDCARDS:
                rule.append(value)
                break
        else:
            rules.append([value])
    return [tuple(rule) for rule in rules]


def _wildcards(value: str) -> int:
    return 0 if value.startswith("^") else value.count("*") + value.count("?")
