"""The rule table: which rule takes a request, at a cost that does not grow with the number of rules.

Every indexed field yields an integer with one bit for each rule that it allows; what is in all of them is a
candidate (bit-vector packet classification: Lakshman and Stiliadis, SIGCOMM 1998). Rules tried earlier have
higher bits and the default has bit 0, so `bit_length` finds the first candidate, and there always is one.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.rules.compiled import CompiledRule
from proxy.rules.conditions import Condition
from proxy.rules.index import QUICK, THOROUGH, Allowed, Build, guard
from proxy.rules.request import RequestView

PATIENCE = 4
"""Candidates that may fail before the costlier fields are looked up too.

Path, host and method leave one or two candidates in most tables; asking those is cheaper than three more
look-ups.
"""


class Table:
    """The rules of one listener. Immutable; a reload makes a new one."""

    __slots__ = ("_by_bit_length", "_everything", "_quick", "_thorough", "default", "rules")

    def __init__(self, rules: tuple[CompiledRule, ...], default: CompiledRule) -> None:
        self.rules = rules
        self.default = default
        self._everything = (1 << (len(rules) + 1)) - 1
        self._quick = self._build_indexes(QUICK)
        self._thorough = self._build_indexes(THOROUGH)
        # The number that `bit_length` gives for the first candidate: 1 for the default, never 0.
        self._by_bit_length = ((default, ()), (default, ()), *map(_unsettled, reversed(rules)))

    def evaluate(self, view: RequestView) -> CompiledRule:
        """Return the first rule whose conditions all hold, else the default rule."""
        candidates = self._everything
        for allowed in self._quick:
            candidates &= allowed(view)
        patience = PATIENCE
        while True:
            length = candidates.bit_length()
            rule, conditions = self._by_bit_length[length]
            for condition in conditions:
                if not condition.matches(view):
                    break
            else:
                return rule
            candidates ^= 1 << (length - 1)
            patience -= 1
            if patience == 0:
                for allowed in self._thorough:
                    candidates &= allowed(view)

    def evaluate_in_order(self, view: RequestView) -> CompiledRule:
        """Return what `evaluate` must return: the plain loop, which is the specification (alb.md 1.3)."""
        for rule in self.rules:
            if rule.refused_by(view) is None:
                return rule
        return self.default

    def explain(self, view: RequestView) -> Iterator[tuple[CompiledRule, Condition | None]]:
        """Yield each rule that is tried with the condition that refuses it; the last one, with None, wins."""
        for rule in (*self.rules, self.default):
            refusal = rule.refused_by(view)
            yield rule, refusal
            if refusal is None:
                return

    def _build_indexes(self, builds: dict[str, Build]) -> tuple[Allowed, ...]:
        """The look-ups of those fields that this table has conditions on."""
        indexes = []
        for field, build in builds.items():
            guards: list[tuple[int, Condition]] = []
            others = 1
            for rule in self.rules:
                bit = 1 << (len(self.rules) - rule.index)
                condition = guard(rule.conditions, field)
                if condition is None:
                    others |= bit
                else:
                    guards.append((bit, condition))
            if guards:
                indexes.append(build(guards, others))
        return tuple(indexes)


def _unsettled(rule: CompiledRule) -> tuple[CompiledRule, tuple[Condition, ...]]:
    """A rule with those of its conditions that the indexes leave open."""
    return rule, tuple(
        condition
        for condition in rule.conditions
        if not condition.settled_by_index or condition is not guard(rule.conditions, condition.field)
    )
