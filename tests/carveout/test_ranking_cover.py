"""The rules for a set of transactions take exactly those, as the load balancer itself would decide."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.carveout.paste import Paster
from proxy.carveout.ranking.cover import Cover, cover
from proxy.carveout.ranking.shapes import MOST_VALUES, MOST_WILDCARDS, RuleShape
from proxy.config.load import load
from proxy.config.model import ConditionConfig, Config
from proxy.rules.compile import compile_table
from proxy.rules.coverage import analyse
from proxy.rules.request import RequestView

SHOP = [
    "GET /",
    "GET /orders",
    "POST /orders",
    "GET /orders/{id}",
    "DELETE /orders/{id}",
    "GET /orders/{id}/items",
    "GET /users/{id}",
    "PUT /users/{id}",
    "GET /users/me",
    "GET /users/{id}/photos",
    "GET /search",
    "GET /files/{name}.pdf",
    "GET /api/v1/reports/{day}",
    "GET /api/v1/reports/{day}/pages/{page}",
]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["GET /search"], [RuleShape(("/search",))], id="a literal path is itself"),
        pytest.param(
            ["GET /orders", "POST /orders", "GET /orders/{id}", "DELETE /orders/{id}", "GET /orders/{id}/items"],
            [RuleShape(("/orders*",))],
            id="a whole resource is one pattern",
        ),
        pytest.param(
            ["GET /api/v1/reports/{day}", "GET /api/v1/reports/{day}/pages/{page}"],
            [RuleShape(("/api/v1/reports/*",))],
            id="below a resource, one pattern",
        ),
        pytest.param(
            ["GET /orders", "GET /orders/{id}", "GET /orders/{id}/items"],
            [RuleShape(("/orders*",), methods=("GET",))],
            id="the methods are named where others stay",
        ),
        pytest.param(
            ["GET /users/{id}/photos", "GET /files/{name}.pdf"],
            [RuleShape(("/files/*.pdf", "/users/*/photos"))],
            id="two resources are two patterns, not one that would take everything",
        ),
        pytest.param(
            ["GET /orders/{id}"],
            [RuleShape(("^/orders/[^/]+$",), "regex", ("GET",))],
            id="a star would take the items as well, so a regular expression",
        ),
        pytest.param(
            ["GET /users/{id}", "PUT /users/{id}"],
            [RuleShape(("/users/me",), methods=("GET",), stays=True), RuleShape(("^/users/[^/]+$",), "regex")],
            id="a literal beside a parameter stays by a rule in front",
        ),
        pytest.param(["GET /users/me"], [RuleShape(("/users/me",))], id="a literal is told from a parameter"),
    ],
)
def test_the_rules_for_transactions(names: list[str], expected: list[RuleShape]) -> None:
    assert cover(names, SHOP).rules == tuple(expected)


def test_what_has_no_path_is_left_out() -> None:
    assert cover(["{other}", "GET /search"], ["{other}", *SHOP]) == Cover((RuleShape(("/search",)),), ("{other}",))


def test_many_values_are_split_into_several_rules() -> None:
    """Five values and six wildcards a rule (alb.md 1.4)."""
    names = [f"GET /r{index}/{{id}}/x/{{id}}" for index in range(12)]

    rules = cover(names, names).rules

    assert sum(len(rule.values) for rule in rules) == 12
    assert all(len(rule.values) <= MOST_VALUES for rule in rules)
    assert all(sum(value.count("*") for value in rule.values) <= MOST_WILDCARDS for rule in rules)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("GET /a b/{id}", id="a space"),
        pytest.param("GET /prix/été", id="beyond ASCII"),
        pytest.param("GET /a*b/c?d", id="the wildcards themselves"),
    ],
)
def test_what_a_pattern_cannot_hold_is_matched_one_by_one(name: str) -> None:
    assert taken(cover([name], [name, "GET /other"]), [name, "GET /other"]) == {name}


def test_what_begins_with_other_literals_is_not_taken_either() -> None:
    """`/*/*/a/a` would cover two of these at once, and take `/b/a/a/a`, which begins as none of them does."""
    bundle = ["GET /v{id}/a/a/a", "GET /a/a/a/a", "GET /api/{id}/a/a"]
    known = [*bundle, "GET /a", "GET /a/a/a", "GET /a/a", "GET /b/a/a/a", "GET /b", "GET /a/b", "GET /b/a"]

    assert taken(cover(bundle, known), known) == set(bundle)


def test_what_a_wildcard_stands_for_is_not_taken_elsewhere() -> None:
    """A pattern can hold a space only as `?`, which a path with another character there satisfies as well."""
    known = ["GET /a b/{id}", "GET /acb/{id}"]

    assert taken(cover(known[:1], known), known) == set(known[:1])


def test_what_moves_stands_before_a_wider_path_that_stays() -> None:
    """And that before a still wider one that moves: the most literal first, whichever side it is for."""
    names = ["GET /{tenant}/{page}", "GET /{tenant}/me", "GET /shop/me"]

    assert cover([names[0], names[2]], names).rules == (
        RuleShape(("/shop/me",)),
        RuleShape(("^/[^/]+/me$",), "regex", ("GET",), stays=True),
        RuleShape(("^/[^/]+/[^/]+$",), "regex"),
    )


def test_what_stays_by_a_wider_rule_has_none_of_its_own() -> None:
    """Behind the wider one it could never win."""
    names = ["GET /{shop}/{page}", "GET /api/{page}", "GET /api/me"]

    assert cover(names[:1], names).rules == (
        RuleShape(("^/api/[^/]+$",), "regex", ("GET",), stays=True),
        RuleShape(("^/[^/]+/[^/]+$",), "regex"),
    )


SEGMENTS = st.sampled_from(["a", "b", "ab", "me", "x.y", "{id}", "{n}", "v{id}", "api", "a b", "é"])
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map(lambda segments: "/" + "/".join(segments))
NAMES = st.tuples(st.sampled_from(["GET", "GET", "POST", "DELETE"]), PATHS).map(" ".join)


@settings(deadline=None, max_examples=300)
@given(st.lists(NAMES, min_size=1, max_size=12, unique=True), st.data())
def test_exactly_the_bundle_is_taken(known: list[str], data: st.DataObject) -> None:
    """Whatever the transactions are: the pasted rules send the bundle's requests to the service and no other's."""
    names = one_name_a_template(known)
    bundle = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))

    found = cover(bundle, names)

    assert taken(found, names) == set(bundle) - set(found.left_out)
    assert found.left_out == ()


def one_name_a_template(names: list[str]) -> list[str]:
    """Without those that say the same with another parameter name, or cannot be told apart by any path.

    `/v{id}` and `/{id}` in one place share paths without one being a literal: names of a real namer do not.
    """
    kept: dict[tuple[str, str], str] = {}
    for name in names:
        method, path = name.split(" ", 1)
        kept.setdefault((method, re.sub(r"\{[^}]*\}", "{}", path)), name)
    shapes = {shape for _, shape in kept}
    confusing = {shape for shape in shapes for other in shapes if shape != other and _overlap(shape, other)}
    return [name for (_, shape), name in kept.items() if shape not in confusing] or ["GET /alone"]


def _overlap(one: str, other: str) -> bool:
    """Whether two templates share paths though neither is more literal than the other in every place."""
    first, second = one.split("/"), other.split("/")
    if len(first) != len(second):
        return False
    more, less = False, False
    for a, b in zip(first, second, strict=True):
        if a == b:
            continue
        if "{}" not in a and "{}" not in b:
            return False
        if "{}" in a and "{}" in b:
            if not (a == "{}" or b == "{}" or a[0] == b[0]):
                return False
            more = less = True
            continue
        literal, template = (a, b) if "{}" not in a else (b, a)
        if not re.fullmatch(re.escape(template).replace(r"\{\}", "[^/]+"), literal):
            return False
        more, less = (True, less) if "{}" not in a else (more, True)
    return more and less


def taken(found: Cover, known: list[str]) -> set[str]:
    """The transactions whose requests the pasted rules send to the service, by the gateway's own decision."""
    paste = Paster(None).paste(found, known, "monolith")
    assert paste is not None
    config = table_with(paste.rule, paste.target_group)
    table = compile_table(config.listeners[0])
    result = set()
    for name in known:
        method, path = name.split(" ", 1)
        for value in ("7", "q-17.z"):
            target = quote(re.sub(r"\{[^}]*\}", value, path))
            rule = table.evaluate(RequestView.of(method, target, [("Host", "shop")]))
            if rule.priority is not None and len(config.listeners[0].rules[rule.index].action.weights) > 1:
                result.add(name)
    return result


def table_with(rule: str, target_group: str) -> Config:
    """A table with these pieces pasted into it; `load` raises if it is not good."""
    rules = "".join(f"      {line}\n" for line in rule.splitlines())
    group = "".join(f"  {line}\n" for line in target_group.splitlines())
    config = load(
        "version: 1\nlisteners:\n  - port: 8080\n    default: {forward: monolith}\n    rules:\n"
        f"{rules}target_groups:\n  monolith: {{targets: ['http://monolith:8000']}}\n{group}",
        {},
    )
    assert [problem.message for problem in analyse(config).problems] == []
    for entry in config.listeners[0].rules:
        values = [value for condition in entry.conditions for value in _values(condition)]
        assert len(values) <= MOST_VALUES
    return config


def _values(condition: ConditionConfig) -> tuple[str, ...]:
    return condition.values or condition.regex_values
