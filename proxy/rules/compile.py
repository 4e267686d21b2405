"""From the rules of a listener as written to its table."""

from __future__ import annotations

from collections.abc import Callable

from proxy.config.model import (
    ActionConfig,
    AuthenticationConfig,
    ConditionConfig,
    ListenerConfig,
    LoginConfig,
    TransformConfig,
)
from proxy.config.problem import ConfigError, Problem
from proxy.rules.actions import ACTIONS
from proxy.rules.compiled import Authenticate, CompiledRule
from proxy.rules.conditions import CONDITIONS, Condition
from proxy.rules.patterns import PatternError
from proxy.rules.table import Table
from proxy.rules.transforms import TRANSFORMS, Transform

DEFAULT_NAME = "default"


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
