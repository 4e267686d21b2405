"""Checks across the records of a table: quotas, uniqueness and references (alb.md 1.2, 1.4, 2.1, 3.2).

Pure, over a `Config` from wherever; shapes and ranges of single values are judged where they are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from proxy.config.model import (
    ActionConfig,
    ConditionConfig,
    Config,
    ForwardConfig,
    ListenerConfig,
    LoginConfig,
    RedirectConfig,
    RuleConfig,
)
from proxy.config.problem import Place, Problem
from proxy.config.suggest import MOST_SUGGESTIONS, advice

MAX_CONDITION_VALUES = 5
MAX_WILDCARDS = 6
MAX_RULES = 100
MAX_TARGET_GROUPS = 100
MAX_TARGETS = 1000
MAX_LISTENERS = 50
MAX_VERIFYING_LISTENERS = 2
ONE_OF_EACH = ("host-header", "path-pattern", "http-request-method", "source-ip")

_TOP = Place(1, 1, "")
_LITERAL_IN_QUERY = re.compile(r"\\[*?]")

Item = TypeVar("Item", ListenerConfig, RuleConfig)


def check(config: Config) -> list[Problem]:
    """Every problem between the records of `config`, errors and warnings."""
    problems = [
        *_listeners(config),
        *_references(config),
        *_stickiness(config),
        *_protocols(config),
        *_mixed_forwards(config),
        *_quotas(config),
    ]
    for listener in config.listeners:
        problems += _rules(listener)
        problems += _redirects(listener)
        problems += _authentication(listener)
    return problems


def _error(code: str, place: Place, message: str) -> Problem:
    return Problem("error", code, place, message)


def _warning(code: str, place: Place, message: str) -> Problem:
    return Problem("warning", code, place, message)


def _clashes(
    items: Iterable[Item], key: Callable[[Item], object], field: str, code: str, what: str
) -> Iterator[Problem]:
    """A problem for each item whose `key` an item before it in the file has already."""
    seen: dict[object, Item] = {}
    for item in sorted(items, key=lambda item: (item.place.line, item.place.column)):
        first = seen.setdefault(key(item), item)
        if first is not item:
            message = f"{what} {key(item)} is taken by {first.name!r} in line {first.place.line}"
            yield _error(code, item.place.of(field), message)


def _listeners(config: Config) -> Iterator[Problem]:
    yield from _clashes(config.listeners, lambda each: each.port, "port", "port-in-use", "port")
    yield from _clashes(config.listeners, lambda each: each.name, "name", "duplicate-name", "the name")


def _rules(listener: ListenerConfig) -> Iterator[Problem]:
    yield from _clashes(listener.rules, lambda each: each.priority, "priority", "priority-in-use", "priority")
    yield from _clashes(listener.rules, lambda each: each.name, "name", "duplicate-name", "the name")
    for rule in listener.rules:
        yield from _conditions(rule)


def _conditions(rule: RuleConfig) -> Iterator[Problem]:
    place = rule.place.of("conditions")
    values = sum(map(value_count, rule.conditions))
    if values > MAX_CONDITION_VALUES:
        message = (
            f"the rule has {values} condition values; the load balancer allows {MAX_CONDITION_VALUES} "
            "over all conditions of a rule: split it into rules with the same action"
        )
        yield _error("too-many-condition-values", place, message)
    wildcards = sum(map(wildcard_count, rule.conditions))
    if wildcards > MAX_WILDCARDS:
        message = (
            f"the rule has {wildcards} wildcards; the load balancer allows {MAX_WILDCARDS}, * and ? "
            "together, over all conditions of a rule: split it, or use regex"
        )
        yield _error("too-many-wildcards", place, message)
    seen: set[str] = set()
    for condition in rule.conditions:
        if condition.field in ONE_OF_EACH and condition.field in seen:
            message = f"a rule can only have one {condition.field} condition: put the values into one list"
            yield _error("duplicate-condition", condition.place, message)
        seen.add(condition.field)


def value_count(condition: ConditionConfig) -> int:
    """How many condition values the load balancer counts, literals plus regexes (alb.md 1.4)."""
    return len(condition.values) + len(condition.regex_values) + len(condition.pairs)


def wildcard_count(condition: ConditionConfig) -> int:
    """How many `*` and `?` count: none in a regex, nor an escaped one in a query (alb.md 2.2, 2.7)."""
    if condition.field == "query-string":
        texts = [_LITERAL_IN_QUERY.sub("", f"{pair.key or ''}{pair.value}") for pair in condition.pairs]
    elif condition.field in ("http-request-method", "source-ip"):
        texts = []
    else:
        texts = list(condition.values)
    return sum(text.count("*") + text.count("?") for text in texts)


def _actions(config: Config) -> Iterator[tuple[ListenerConfig, ActionConfig]]:
    for listener in config.listeners:
        yield listener, listener.default
        for rule in listener.rules:
            yield listener, rule.action


def _references(config: Config) -> Iterator[Problem]:
    """Target groups that are named and not there, and the other way round."""
    used: set[str] = set()
    suggestions = MOST_SUGGESTIONS
    for _, action in _actions(config):
        if not isinstance(action, ForwardConfig):
            continue
        for name, _weight in action.weights:
            used.add(name)
            if name not in config.target_groups:
                hint = advice(name, config.target_groups) if suggestions > 0 else ""
                suggestions -= 1
                hint = hint or "add it under target_groups"
                message = f"there is no target group {name!r}; {hint}"
                yield _error("unknown-target-group", action.place.of(name), message)
    for name, group in config.target_groups.items():
        if name not in used:
            message = f"no rule forwards to the target group {name!r}: it is not checked and gets no request"
            yield _warning("unused-target-group", group.place, message)


def _stickiness(config: Config) -> Iterator[Problem]:
    """What a forward to several groups allows its groups to have (alb.md 3.1, 5.5)."""
    for _, action in _actions(config):
        if not isinstance(action, ForwardConfig) or len(action.weights) < 2:
            continue
        for name, _weight in action.weights:
            group = config.target_groups.get(name)
            stickiness = group.attributes.stickiness if group else None
            if stickiness is None:
                continue
            place = action.place.of(name)
            if stickiness.type == "app_cookie":
                message = f"{name!r} has app_cookie stickiness, which cannot be had in a forward to several groups"
                yield _error("app-cookie-with-weights", place, f"{message}: use lb_cookie")
            elif action.stickiness_seconds is None:
                message = f"{name!r} has target stickiness, so a forward to several groups needs its own"
                yield _error("group-stickiness-required", place, f"{message}: add stickiness: {{duration_seconds: N}}")


def _protocols(config: Config) -> Iterator[Problem]:
    """HTTP/2 comes over HTTPS only, so a group that needs it cannot stand behind an HTTP listener (alb.md 3)."""
    for listener, action in _actions(config):
        if listener.protocol == "HTTPS" or not isinstance(action, ForwardConfig):
            continue
        for name, _weight in action.weights:
            group = config.target_groups.get(name)
            if group is not None and group.protocol_version != "HTTP1":
                message = (
                    f"Listener protocol 'HTTP' is not supported with a target group with the protocol-version "
                    f"'{group.protocol_version}': give the listener protocol: HTTPS, or {name!r} HTTP1"
                )
                yield _error("incompatible-protocols", action.place.of(name), message)


def _mixed_forwards(config: Config) -> Iterator[Problem]:
    """The groups of one forward have one protocol (alb.md 3.1); here each target has its own."""
    for _, action in _actions(config):
        if not isinstance(action, ForwardConfig):
            continue
        first = ""
        for name, _weight in action.weights:
            group = config.target_groups.get(name)
            scheme = group.targets[0].scheme if group and group.targets else ""
            first = first or scheme
            if scheme not in ("", first):
                message = (
                    f"{name!r} has {scheme} targets beside {first} ones: the load balancer refuses that in a forward"
                )
                yield _warning("refused-by-load-balancer", action.place.of(name), message)


def _redirects(listener: ListenerConfig) -> Iterator[Problem]:
    for action in (listener.default, *(rule.action for rule in listener.rules)):
        if isinstance(action, RedirectConfig) and listener.protocol == "HTTPS" and action.protocol == "HTTP":
            message = "the load balancer does not redirect from HTTPS to HTTP: leave protocol out"
            yield _error("https-to-http", action.place.of("protocol"), message)


def _authentication(listener: ListenerConfig) -> Iterator[Problem]:
    """Authentication only over HTTPS; one session cookie for one login, else each rule would refuse the other's."""
    logins: dict[str, LoginConfig] = {}
    for action in (listener.default_authentication, *(rule.authentication for rule in listener.rules)):
        if action is None:
            continue
        if listener.protocol != "HTTPS":
            message = f"{action.type} is for listeners with protocol: HTTPS"
            yield _error("authentication-without-https", action.place, message)
        if isinstance(action, LoginConfig):
            first = logins.setdefault(action.session_cookie_name, action)
            if (first.issuer, first.client_id) != (action.issuer, action.client_id):
                message = (
                    f"the session cookie {action.session_cookie_name} is that of another client in line "
                    f"{first.place.line}: users of both would log in again each time; give it a session_cookie_name"
                )
                yield _warning("shared-session-cookie", action.place, message)


def _quotas(config: Config) -> Iterator[Problem]:
    """Quotas that AWS raises on request are warnings, so that a table can be tried before asking."""
    listeners = len(config.listeners)
    if listeners > MAX_LISTENERS:
        message = f"{listeners} listeners; a load balancer has at most {MAX_LISTENERS} unless AWS raises it"
        yield _warning("too-many-listeners", _TOP.of("listeners"), message)
    rules = sum(len(listener.rules) for listener in config.listeners)
    if rules > MAX_RULES:
        message = f"{rules} rules over all listeners; a load balancer has at most {MAX_RULES} unless AWS raises it"
        yield _warning("too-many-rules", _TOP.of("listeners"), message)
    groups = len(config.target_groups)
    if groups > MAX_TARGET_GROUPS:
        message = f"{groups} target groups; a load balancer has at most {MAX_TARGET_GROUPS}"
        yield _warning("too-many-target-groups", _TOP.of("target_groups"), message)
    for group in config.target_groups.values():
        if len(group.targets) > MAX_TARGETS:
            message = f"{len(group.targets)} targets; a group has at most {MAX_TARGETS} unless AWS raises it"
            yield _warning("too-many-targets", group.place.of("targets"), message)
    targets = sum(len(group.targets) for group in config.target_groups.values())
    if targets > MAX_TARGETS and all(len(group.targets) <= MAX_TARGETS for group in config.target_groups.values()):
        message = f"{targets} targets over all groups; a load balancer has at most {MAX_TARGETS} unless AWS raises it"
        yield _warning("too-many-targets", _TOP.of("target_groups"), message)
    verifying = [each for each in config.listeners if each.mutual_authentication.mode == "verify"]
    for listener in verifying[MAX_VERIFYING_LISTENERS:]:
        message = f"mutual_authentication in mode verify is for {MAX_VERIFYING_LISTENERS} listeners of a load balancer"
        yield _warning("refused-by-load-balancer", listener.mutual_authentication.place, message)
