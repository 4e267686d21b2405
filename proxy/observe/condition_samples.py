"""Which value of a condition took a request: asked again of a few requests a second, outside of their way.

The table decides for all values of a rule at once, so its answer does not say which of them it was. A gateway with
fewer than `SAMPLES_A_SECOND` requests a second has all of them looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.config.model import ConditionConfig, ListenerConfig, RuleConfig
from proxy.rules.conditions import CONDITIONS, Condition
from proxy.rules.patterns import PatternError
from proxy.rules.request import RequestView

SAMPLES_A_SECOND: Final = 50

Sample = tuple[str, str, RequestView | None, float]
"""Listener, rule, the request as the rules saw it, and when, in seconds since the epoch."""


class ConditionSamples:
    """The counts of one process."""

    def __init__(self) -> None:
        self._rules: dict[tuple[str, str], _RuleSamples] = {}

    def serving(self, listeners: Iterable[ListenerConfig]) -> None:
        """Take note of the table; a rule with the same conditions as before counts on, all others are forgotten."""
        before = self._rules
        self._rules = {}
        for listener in listeners:
            for rule in listener.rules:
                key = (listener.name, rule.name)
                known = before.get(key)
                same = known is not None and known.rule.conditions == rule.conditions
                self._rules[key] = known if same and known is not None else _RuleSamples(rule)

    def count(self, samples: Iterable[Sample]) -> None:
        """Look at these requests, each for the values of the rule that took it."""
        for listener, rule, view, at in samples:
            counts = self._rules.get((listener, rule))
            if counts is not None and view is not None:
                counts.count(view, at)

    def sampled(self) -> dict[tuple[str, ...], float]:
        """(listener, rule) to requests looked at."""
        return {key: counts.samples for key, counts in self._rules.items() if counts.samples}

    def matches(self) -> dict[tuple[str, ...], float]:
        """(listener, rule, field, value) to how many of these the value took."""
        return {
            (*key, *label): hits
            for key, counts in self._rules.items()
            for label, (hits, _) in counts.by_value.items()
            if hits
        }

    def last_matches(self) -> dict[tuple[str, ...], float]:
        """(listener, rule, field, value) to when it last took one of these."""
        return {
            (*key, *label): at
            for key, counts in self._rules.items()
            for label, (hits, at) in counts.by_value.items()
            if hits
        }


class _RuleSamples:
    """A rule's. The conditions of single values are compiled when the rule is first hit: most never are."""

    def __init__(self, rule: RuleConfig) -> None:
        self.rule = rule
        self.samples = 0
        self.by_value: dict[tuple[str, str], tuple[int, float]] = {}
        self._single: dict[tuple[str, str], Condition] | None = None

    def count(self, view: RequestView, at: float) -> None:
        if self._single is None:
            self._single = dict(_single_values(self.rule))
        self.samples += 1
        for label, condition in self._single.items():
            if condition.matches(view):
                hits, last = self.by_value.get(label, (0, 0.0))
                self.by_value[label] = (hits + 1, max(last, at))


def values_of(condition: ConditionConfig) -> list[tuple[str, ConditionConfig]]:
    """Each value of a condition as text, and a condition with this value only.

    A header's value has the header in front, `User-Agent: *Mobile*`; a query value its key, `version=2`.
    """
    prefix = f"{condition.header_name}: " if condition.header_name else ""
    field, name = condition.field, condition.header_name
    singles = [(prefix + value, ConditionConfig(field, (value,), header_name=name)) for value in condition.values]
    singles += [
        (prefix + regex, ConditionConfig(field, regex_values=(regex,), header_name=name))
        for regex in condition.regex_values
    ]
    for pair in condition.pairs:
        text = pair.value if pair.key is None else f"{pair.key}={pair.value}"
        singles.append((text, ConditionConfig(field, pairs=(pair,))))
    return singles


def _single_values(rule: RuleConfig) -> Iterable[tuple[tuple[str, str], Condition]]:
    for condition in rule.conditions:
        for text, single in values_of(condition):
            try:
                yield (condition.field, text), CONDITIONS[condition.field].compile(single)
            except PatternError:  # a table with such a value does not serve
                continue
