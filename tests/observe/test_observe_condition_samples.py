"""Which values of a condition took requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.config.model import (
    ConditionConfig,
    ForwardConfig,
    ListenerConfig,
    QueryPair,
    RuleConfig,
)
from proxy.observe.condition_samples import ConditionSamples, values_of
from proxy.rules.request import RequestView

FORWARD = ForwardConfig((("users", 1),))
RULE = RuleConfig(
    "users",
    10,
    (ConditionConfig("path-pattern", ("/users", "/users/*")), ConditionConfig("http-request-method", ("GET", "PUT"))),
    FORWARD,
)


def listener(*rules: RuleConfig) -> ListenerConfig:
    return ListenerConfig("web", 80, FORWARD, rules)


def counted(rule: RuleConfig, *targets: str) -> ConditionSamples:
    samples = ConditionSamples()
    samples.serving([listener(rule)])
    samples.count(
        ("web", rule.name, RequestView.of("GET", target, [("Host", "a")]), float(index))
        for index, target in enumerate(targets, start=1)
    )
    return samples


def test_each_value_that_takes_a_request_is_counted() -> None:
    samples = counted(RULE, "/users", "/users/1", "/users/2")

    assert samples.sampled() == {("web", "users"): 3}
    assert samples.matches() == {
        ("web", "users", "path-pattern", "/users"): 1,
        ("web", "users", "path-pattern", "/users/*"): 2,
        ("web", "users", "http-request-method", "GET"): 3,
    }
    assert samples.last_matches()["web", "users", "path-pattern", "/users/*"] == 3.0


def test_what_no_rule_took_is_not_counted() -> None:
    samples = ConditionSamples()
    samples.serving([listener(RULE)])
    samples.count([("web", "default", RequestView.of("GET", "/", []), 1.0), ("web", "users", None, 1.0)])

    assert samples.sampled() == {}


def test_a_reload_keeps_rules_with_the_same_conditions_and_forgets_the_others() -> None:
    other = replace(RULE, name="other", conditions=RULE.conditions[:1])
    samples = ConditionSamples()
    samples.serving([listener(RULE, other)])
    view = RequestView.of("GET", "/users", [])
    samples.count([("web", "users", view, 1.0), ("web", "other", view, 1.0)])

    moved = replace(RULE, priority=5, action=ForwardConfig((("new", 1),)))
    samples.serving([listener(moved, replace(other, conditions=RULE.conditions))])

    assert samples.sampled() == {("web", "users"): 1}


@pytest.mark.parametrize(
    ("condition", "texts"),
    [
        (ConditionConfig("host-header", ("a.com", "*.b.com")), ["a.com", "*.b.com"]),
        (ConditionConfig("path-pattern", regex_values=("^/a",)), ["^/a"]),
        (ConditionConfig("http-header", ("x",), header_name="User-Agent"), ["User-Agent: x"]),
        (ConditionConfig("query-string", pairs=(QueryPair("k", "v"), QueryPair(None, "w"))), ["k=v", "w"]),
    ],
    ids=["patterns", "regular expressions", "headers", "queries"],
)
def test_values_as_text(condition: ConditionConfig, texts: list[str]) -> None:
    assert [text for text, _ in values_of(condition)] == texts
