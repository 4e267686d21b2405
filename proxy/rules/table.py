"""The rule table: which rule takes a request, at a cost that does not grow with the number of rules.

Every indexed field yields an integer with one bit for each rule that it allows; what is in all of them is a
candidate (bit-vector packet classification: Lakshman and Stiliadis, SIGCOMM 1998). Rules tried earlier have
higher bits and the default has bit 0, so `bit_length` finds the first candidate, and there always is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from proxy.config.model import (
    ActionConfig,
    AuthenticationConfig,
    ConditionConfig,
    ListenerConfig,
    LoginConfig,
    TransformConfig,
)
from proxy.config.problem import ConfigError, Problem
from proxy.rules.actions import ACTIONS, Action, Route
from proxy.rules.conditions import CONDITIONS, Condition
from proxy.rules.index import QUICK, THOROUGH, Allowed, Build, guard
from proxy.rules.patterns import PatternError
from proxy.rules.request import RequestView
from proxy.rules.transforms import TRANSFORMS, Transform

DEFAULT_NAME = "default"

PATIENCE = 4
"""Candidates that may fail before the costlier fields are looked up too.

Path, host and method leave one or two candidates in most tables; asking those is cheaper than three more
look-ups.
"""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """What a rule wants to know of who asks (alb.md 3.4, 3.5).

    Attributes:
        config: Its own action; None for a rule without one on a listener with logins.
        logins: The logins of the listener, any of which a callback may end.
    """

    config: AuthenticationConfig | None
    logins: tuple[LoginConfig, ...]


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRule:
    """One rule, ready to decide.

    Attributes:
        name: Unique in the listener; `default` for the default rule.
        priority: None for the default rule (alb.md 1.2).
        conditions: All must hold; the default rule has none.
        action: What is done with the request.
        index: Its place in the order of trial, from 0; also its place in `ListenerConfig.rules`.
        route: The action's answer when it is the same for every request, else None.
        transforms: What it rewrites before the action; the default rule and nearly all others have none (alb.md 4).
        authenticate: What comes before that; None on a listener without logins for a rule without authentication.
    """

    name: str
    priority: int | None
    conditions: tuple[Condition, ...]
    action: Action
    index: int
    route: Route | None
    transforms: tuple[Transform, ...] = ()
    authenticate: Authenticate | None = None

    def refused_by(self, view: RequestView) -> Condition | None:
        """Return the first condition that does not hold, or None if the rule takes the request."""
        for condition in self.conditions:
            if not condition.matches(view):
                return condition
        return None


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


def compile_table(listener: ListenerConfig) -> Table:
    """Compile the rules of a listener, which are sorted by priority.

    Raises:
        ConfigError: Values that cannot be compiled (a regex that RE2 refuses, no CIDR), all of them at once.
    """
    problems: list[Problem] = []
    rules = []
    authenticate = _authenticate(listener)
    for index, rule in enumerate(listener.rules):
        conditions = [_compile_condition(config, problems) for config in rule.conditions]
        found = tuple(condition for condition in conditions if condition is not None)
        transforms = [_compile_transform(config, problems) for config in rule.transforms]
        rewrites = tuple(transform for transform in transforms if transform is not None)
        first = authenticate(rule.authentication)
        rules.append(_compile_rule(rule.name, rule.priority, found, rule.action, index, rewrites, first))
    if problems:
        raise ConfigError(problems)
    first = authenticate(listener.default_authentication)
    default = _compile_rule(DEFAULT_NAME, None, (), listener.default, len(rules), authenticate=first)
    return Table(tuple(rules), default)


def _authenticate(listener: ListenerConfig) -> Callable[[AuthenticationConfig | None], Authenticate | None]:
    """What becomes of the authentication action of a rule of this listener, or of there being none."""
    actions = (listener.default_authentication, *(rule.authentication for rule in listener.rules))
    logins = tuple(dict.fromkeys(action for action in actions if isinstance(action, LoginConfig)))
    return lambda config: Authenticate(config, logins) if config is not None or logins else None


def _compile_rule(
    name: str,
    priority: int | None,
    conditions: tuple[Condition, ...],
    config: ActionConfig,
    index: int,
    transforms: tuple[Transform, ...] = (),
    authenticate: Authenticate | None = None,
) -> CompiledRule:
    action = ACTIONS[type(config)].compile(config)
    return CompiledRule(name, priority, conditions, action, index, action.route, transforms, authenticate)


def _compile_condition(config: ConditionConfig, problems: list[Problem]) -> Condition | None:
    try:
        return CONDITIONS[config.field].compile(config)
    except PatternError as error:
        problems.append(Problem("error", "invalid-condition-value", config.place, f"{config.field}: {error}"))
        return None


def _compile_transform(config: TransformConfig, problems: list[Problem]) -> Transform | None:
    try:
        return TRANSFORMS[config.type].compile(config)
    except PatternError as error:
        problems.append(Problem("error", "invalid-value", config.place, f"{config.type}: {error}"))
        return None


def _unsettled(rule: CompiledRule) -> tuple[CompiledRule, tuple[Condition, ...]]:
    """A rule with those of its conditions that the indexes leave open."""
    return rule, tuple(
        condition
        for condition in rule.conditions
        if not condition.settled_by_index or condition is not guard(rule.conditions, condition.field)
    )
