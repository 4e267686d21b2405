"""The tables that every peer's configuration is made from."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.table import DEFAULT_GROUP, Request, Rule, Table, load, mixed_rules, one_rule, probes, request_for

RULE = Rule("r", "orders")


@pytest.mark.parametrize(
    ("rule", "request_", "expected"),
    [
        pytest.param(Rule("r", "g"), Request(), True, id="no condition takes everything"),
        pytest.param(Rule("r", "g", host="a.example.com"), Request(host="a.example.com"), True, id="a host"),
        pytest.param(Rule("r", "g", host="a.example.com"), Request(host="b.example.com"), False, id="another host"),
        pytest.param(Rule("r", "g", host="*.example.com"), Request(host="a.example.com"), True, id="a host below"),
        pytest.param(
            Rule("r", "g", host="*.example.com"), Request(host="example.com"), False, id="not the host itself"
        ),
        pytest.param(Rule("r", "g", path="/a"), Request(path="/a/b"), False, id="an exact path has nothing below"),
        pytest.param(Rule("r", "g", path="/a/*"), Request(path="/a/b"), True, id="a path below"),
        pytest.param(Rule("r", "g", path="/a/*"), Request(path="/a"), False, id="not the path itself"),
        pytest.param(Rule("r", "g", path="/a/*/c"), Request(path="/a/b/c"), True, id="a star inside"),
        pytest.param(Rule("r", "g", path="/a/*/c"), Request(path="/a/c"), False, id="both slashes are needed"),
        pytest.param(Rule("r", "g", method="POST"), Request(), False, id="another method"),
        pytest.param(
            Rule("r", "g", header=("X-A", "b")), Request(header=("X-A", "bc")), False, id="exact header value"
        ),
        pytest.param(Rule("r", "g", header=("X-A", "*b*")), Request(header=("X-A", "abc")), True, id="part of a value"),
        pytest.param(Rule("r", "g", header=("X-A", "*b*")), Request(), False, id="no header"),
        pytest.param(Rule("r", "g", query=("k", "v")), Request(query="a=1&k=v"), True, id="a pair of the query"),
        pytest.param(Rule("r", "g", query=("k", "v")), Request(query="k=vw"), False, id="another value"),
        pytest.param(Rule("r", "g", path="/a", method="GET"), Request("POST", "/a"), False, id="all must hold"),
    ],
)
def test_what_a_rule_takes(rule: Rule, request_: Request, expected: bool) -> None:
    """Conditions are joined by and; each covers its whole subject."""
    assert rule.matches(request_) is expected


def test_the_first_rule_that_matches_wins() -> None:
    """As in the load balancer, order decides and not length (alb.md 1.3)."""
    table = Table((Rule("short", "orders", path="/a/*"), Rule("long", "users", path="/a/b/*")))

    assert table.evaluate(Request(path="/a/b/c")) == "orders"
    assert table.evaluate(Request(path="/b")) == DEFAULT_GROUP


@pytest.mark.parametrize("count", [1, 10, 100, 1000])
def test_every_rule_has_a_request_that_it_takes(count: int) -> None:
    """No rule hides another, so a load can be sent to any of them."""
    table = mixed_rules(count)

    for rule in table.rules:
        taker = next(each for each in table.rules if each.matches(request_for(rule)))
        assert taker is rule


def test_a_hundred_rules_have_all_kinds_of_conditions() -> None:
    kinds = Counter[str]()
    for rule in mixed_rules(100).rules:
        kinds.update(name for name in ("host", "path", "method", "header", "query") if getattr(rule, name))

    assert kinds["path"] == 90
    assert min(kinds.values()) >= 10
    assert set(kinds) == {"host", "path", "method", "header", "query"}


def test_the_load_is_get_only_and_reaches_first_and_last_rule() -> None:
    """A load of one kind of request measures one thing."""
    table = mixed_rules(100)
    requests = load(table)
    takers = [next((rule.name for rule in table.rules if rule.matches(each)), None) for each in requests]

    assert {each.method for each in requests} == {"GET"}
    assert takers == [f"r{number:03d}" for number in range(0, 100, 11)] + [None]
    assert load(one_rule()) == requests


def test_probes_tell_each_rule_from_one_with_a_condition_less() -> None:
    """A peer's configuration that lost a condition, or a rule, decides one of the probes otherwise."""
    from dataclasses import replace

    table = mixed_rules(30)
    asked = list(probes(table))
    for place, rule in enumerate(table.rules):
        for name in ("host", "path", "method", "header", "query"):
            if getattr(rule, name) is None:
                continue
            worse = replace(rule, **{name: None})
            changed = Table((*table.rules[:place], worse, *table.rules[place + 1 :]))
            assert any(changed.evaluate(each) != table.evaluate(each) for each in asked), f"{rule} without {name}"
        shorter = Table((*table.rules[:place], *table.rules[place + 1 :]))
        assert any(shorter.evaluate(each) != table.evaluate(each) for each in asked), rule


def test_a_virtual_host_ends_at_the_rule_that_asks_for_the_host_alone() -> None:
    first, host_only, last = (
        Rule("first", "orders", path="/a/*"),
        Rule("host", "users", host="*.b.example.com"),
        Rule("last", "billing", path="/c/*"),
    )

    assert Table((first, host_only, last)).by_host() == {
        None: (first, last),
        "*.b.example.com": (first, host_only),
    }
