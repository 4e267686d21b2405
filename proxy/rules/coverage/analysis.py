"""The rules that can never win and the values that never matter, proven (alb.md 1.3).

A rule is asked for by a request that satisfies it. If the table gives the request to the rule, the rule is alive.
If an earlier rule takes it, a request is looked for that satisfies the one and not the other, and so on, until the
rule gets one or there is none. So a living rule costs one or two look-ups in the table, and a rule is only compared
with those that do take something away from it.

What is proven holds for requests for a path without control bytes (alb.md 1.3): `OPTIONS *` has no path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from proxy.config.model import ConditionConfig, Config, ListenerConfig, RuleConfig
from proxy.config.problem import ConfigError, Place, Problem, in_order
from proxy.rules.compile import DEFAULT_NAME, compile_table
from proxy.rules.compiled import CompiledRule
from proxy.rules.coverage.demands import SOURCE
from proxy.rules.coverage.values import covered, values_of, why_impossible
from proxy.rules.coverage.witness import Demands, Witness, find_witness
from proxy.rules.coverage.work import ExhaustedError, UndecidedError, Work
from proxy.rules.table import Table

STEPS = 200_000
"""For a whole table, about a quarter of a second; `STEPS_FOR_EACH_RULE` come on top."""
STEPS_FOR_EACH_RULE = 50
STEPS_FOR_ONE_RULE = 50_000
MOST_TAKERS = 40
"""So many earlier rules may take something from one rule; with more the rule stays undecided."""
SHORTEST_SECRET = 8

Conceal = Mapping[str, str]
"""What must not be shown, in lower case, and what is shown in its place."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """A rule of which it is not known whether it can win, and why."""

    listener: str
    rule: str
    place: Place
    reason: str


@dataclass(slots=True)
class Analysis:
    """What was found: `problems` are warnings, each proven; `undecided` is for those who want to know more."""

    problems: list[Problem] = field(default_factory=list)
    undecided: list[Undecided] = field(default_factory=list)


def analyse(config: Config, environment: Mapping[str, str] | None = None) -> Analysis:
    """Return what is doubtful about the rules of a table that `load` has accepted.

    Pure and bounded: a hundred rules take milliseconds, ten thousand about a second.

    Args:
        environment: Where `${NAME}` in the table came from. Header and query values from there may be secrets, so
            messages show the name instead.
    """
    conceal = {
        value.lower(): f"${{{name}}}" for name, value in (environment or {}).items() if len(value) >= SHORTEST_SECRET
    }
    analysis = Analysis()
    rules = sum(len(listener.rules) for listener in config.listeners)
    work = Work(STEPS + STEPS_FOR_EACH_RULE * rules, STEPS_FOR_ONE_RULE)
    for listener in config.listeners:
        try:
            _ListenerAnalysis(listener, compile_table(listener), work, conceal, analysis).run()
        except ConfigError:
            continue  # whoever builds the table reports it
        except ExhaustedError:
            message = "the rules are too entangled to compare all of them: some that never win may not be reported"
            analysis.problems.append(Problem("warning", "analysis-incomplete", listener.place, message))
            break
    analysis.problems = in_order(analysis.problems)
    return analysis


class _ListenerAnalysis:
    def __init__(
        self, listener: ListenerConfig, table: Table, work: Work, conceal: Conceal, analysis: Analysis
    ) -> None:
        self.listener = listener
        self.table = table
        self.work = work
        self.conceal = conceal
        self.analysis = analysis
        self.scheme: Literal["http", "https"] = "https" if listener.protocol == "HTTPS" else "http"
        self.demands = [Demands.of(rule.conditions) for rule in listener.rules]

    def run(self) -> None:
        first_with: dict[object, RuleConfig] = {}
        for number, (rule, demands) in enumerate(zip(self.listener.rules, self.demands, strict=True)):
            self.work.begin()
            possible = [self._values_make_sense(condition) for condition in rule.conditions]
            if not all(possible):
                continue
            twin = first_with.setdefault(demands.text, rule)
            try:
                if twin is not rule:
                    self._report_twin(number, rule, twin)
                elif death := self._death(number, demands):
                    self._report_death(rule, *death)
            except UndecidedError as error:
                self._undecided(rule.name, rule.place, error)
        self._judge_default()

    def _judge_default(self) -> None:
        self.work.begin()
        try:
            death = self._death(len(self.listener.rules), Demands.of(()))
        except UndecidedError as error:
            self._undecided(DEFAULT_NAME, self.listener.default.place, error)
            return
        if death is not None:
            takers, shown = death
            message = f"no request gets to the default: each satisfies {self._one_of(takers)}; {shown}"
            self._warn("default-unreachable", self.listener.default.place, message)

    def _values_make_sense(self, condition: ConditionConfig) -> bool:
        """Warn about values of a condition that do nothing; return whether any can be satisfied."""
        values = values_of(condition)
        reasons = {value.index: why_impossible(value, self.work) for value in values}
        if None not in reasons.values():
            (reason, *_) = reasons.values()
            texts = ", ".join(self._shown(value.text, condition) for value in values)
            message = f"no request can satisfy this rule: {condition.field} {texts} takes nothing, because {reason}"
            self._warn("contradicting-conditions", condition.place, message)
            return False
        for value in values:
            if reason := reasons[value.index]:
                message = f"the value {self._shown(value.text, condition)} takes nothing: {reason}"
                self._warn("impossible-value", condition.place, message)
        if len(values) > 1:
            for found in covered([value for value in values if reasons[value.index] is None], self.work):
                by = " and ".join(self._shown(value.text, condition) for value in found.by)
                message = (
                    f"the value {self._shown(found.value.text, condition)} adds nothing to {by} in the same condition: "
                    "leave it out, a rule has only five values"
                )
                self._warn("covered-value", condition.place, message)
        return True

    def _death(self, number: int, demands: Demands) -> tuple[list[int], str] | None:
        """Why the rule of this number gets no request: earlier rules that take them all, and one such request.

        None if it gets one.
        """
        takers: list[int] = []
        shown = ""
        while True:
            witness = find_witness(demands, [self.demands[taker] for taker in takers], self.work)
            if witness is None:
                return self._fewest(demands, takers), shown
            winner = self.table.evaluate(witness.view(self.scheme, self.listener.port))
            if winner.index == number:
                return None
            if winner.index > number or winner.index in takers or len(takers) == MOST_TAKERS:
                raise UndecidedError("too many earlier rules take a part of its requests")
            takers.append(winner.index)
            shown = shown or self._goes_to(witness, winner, demands)

    def _fewest(self, demands: Demands, takers: Sequence[int]) -> list[int]:
        """Those of `takers` that are needed to take everything; a single one if one is enough."""
        for taker in takers:
            if self._take_all(demands, [taker]):
                return [taker]
        needed = list(takers)
        for taker in takers:
            fewer = [other for other in needed if other != taker]
            if self._take_all(demands, fewer):
                needed = fewer
        return needed

    def _take_all(self, demands: Demands, takers: Sequence[int]) -> bool:
        try:
            return find_witness(demands, [self.demands[taker] for taker in takers], self.work) is None
        except UndecidedError:
            return False

    def _report_twin(self, number: int, rule: RuleConfig, twin: RuleConfig) -> None:
        message = f'rule "{rule.name}" has the same conditions as {_named(twin)} and can never win'
        try:
            witness = find_witness(self.demands[number], (), self.work)
        except UndecidedError:
            witness = None
        if witness is not None:
            winner = self.table.evaluate(witness.view(self.scheme, self.listener.port))
            message += f": {self._goes_to(witness, winner, self.demands[number])}"
        self._warn("duplicate-conditions", rule.place, message)

    def _report_death(self, rule: RuleConfig, takers: Sequence[int], shown: str) -> None:
        priority = min(self.listener.rules[taker].priority for taker in takers)
        remedy = f"give it a priority below {priority}" if priority > 1 else "give the other a later priority"
        message = (
            f'rule "{rule.name}" can never win: what satisfies it satisfies {self._one_of(takers)} first; {shown}; '
            f"{remedy}, or remove it"
        )
        self._warn("never-wins", rule.place, message)

    def _one_of(self, takers: Sequence[int]) -> str:
        return " or ".join(_named(self.listener.rules[taker]) for taker in sorted(takers))

    def _goes_to(self, witness: Witness, winner: CompiledRule, demands: Demands) -> str:
        words = witness.in_words(self.scheme, self._concealed, with_peer=SOURCE in demands.by_part)
        return f'{words} goes to rule "{winner.name}" (priority {winner.priority})'

    def _shown(self, text: str, condition: ConditionConfig) -> str:
        return repr(self._concealed(text) if condition.field in ("http-header", "query-string") else text)

    def _concealed(self, text: str) -> str:
        for secret, name in self.conceal.items():
            if secret in text.lower():
                text = re.sub(re.escape(secret), lambda _, name=name: name, text, flags=re.IGNORECASE)  # type: ignore[misc]
        return text

    def _warn(self, code: str, place: Place, message: str) -> None:
        self.analysis.problems.append(Problem("warning", code, place, message))

    def _undecided(self, rule: str, place: Place, error: UndecidedError) -> None:
        self.analysis.undecided.append(Undecided(self.listener.name, rule, place, str(error)))


def _named(rule: RuleConfig) -> str:
    return f'rule "{rule.name}" (priority {rule.priority})'
