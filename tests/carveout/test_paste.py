"""The rule to paste: good in the table that serves, and in force there."""

from __future__ import annotations

from pathlib import Path

import pytest
from workloads import transaction, workload

from proxy.carveout.candidates import candidates_document
from proxy.carveout.paste import Paster, service_name
from proxy.carveout.ranking.cover import cover
from proxy.config.load import load
from proxy.config.model import Config
from proxy.rules.compile import compile_table
from proxy.rules.coverage import analyse
from proxy.rules.request import RequestView

ROUTES = (Path(__file__).resolve().parents[2] / "routes.yaml").read_text()
SHOP = [
    "GET /api/recommendations/users/{id}/products",
    "GET /api/recommendations/users/{id}/friends",
    "POST /api/images",
    "GET /api/images/{id}/{size}",
    "POST /api/contacts/{id}",
    "GET /api/search",
    "GET /api/products",
    "GET /api/products/{id}",
    "GET /api/users/{id}",
    "POST /api/users",
    "POST /api/users/login",
    "GET /api/orders/{id}",
    "POST /api/orders",
    "POST /api/payments",
    "GET /api/reports/nightly/{day}",
    "GET /api/clicks",
    "POST /api/clicks",
]
THERE = {
    "POST /api/users": "signup",
    "POST /api/contacts/{id}": "contacts",
    "POST /api/payments": "payments",
    "GET /api/reports/nightly/{day}": "nightly-report",
    "POST /api/images": "uploads",
    "POST /api/clicks": "clicks",
}
"""What the table has a rule for already."""


def pasted(table: str, rule: str, target_group: str) -> Config:
    """A table in the shape of routes.yaml, its rules right before its target groups, with both pieces in it."""
    rules = "".join(f"      {line}\n" for line in rule.splitlines())
    groups = "".join(f"  {line}\n" for line in target_group.splitlines())
    before, after = table.split("\ntarget_groups:", 1)
    head, rest = after.split("\n", 1)
    return load(f"{before}\n{rules}target_groups:{head}\n{groups}{rest}", {})


def taker(config: Config, name: str) -> str:
    method, path = name.split(" ", 1)
    target = path.replace("{id}", "7").replace("{size}", "thumb")
    return compile_table(config.listeners[0]).evaluate(RequestView.of(method, target, [("Host", "shop")])).name


MOVED = ("GET /api/recommendations/users/{id}/products", "GET /api/recommendations/users/{id}/friends")
"""What the table sends to the service already, all of it."""


@pytest.mark.parametrize("name", [name for name in SHOP if name not in (*THERE, *MOVED)])
def test_a_rule_for_each_transaction_of_the_shop_is_good_in_its_table(name: str) -> None:
    """`strangler check` finds nothing that it did not find before, and the new rule takes these requests."""
    config = load(ROUTES, {})
    paste = Paster(config, SHOP).paste(cover([name], SHOP), [name], "monolith")
    assert paste is not None

    after = pasted(ROUTES, paste.rule, paste.target_group)

    new = {rule.name for rule in after.listeners[0].rules} - {rule.name for rule in config.listeners[0].rules}
    assert new
    assert [problem.code for problem in analyse(after).problems] == [
        problem.code for problem in analyse(config).problems
    ]
    assert taker(after, name) in new
    assert {other: taker(after, other) for other in SHOP if other != name} == {
        other: taker(config, other) for other in SHOP if other != name
    }
    assert paste.note == ""


@pytest.mark.parametrize(("name", "rule"), THERE.items())
def test_a_rule_that_is_there_is_not_written_again(name: str, rule: str) -> None:
    """It takes exactly this: a second such rule could only make it one that never wins."""
    paste = Paster(load(ROUTES, {}), SHOP).paste(cover([name], SHOP), [name], "monolith")

    todo = "forward it to the new service" if rule == "clicks" else "shift its weights"
    assert paste is not None
    assert (paste.rule, paste.note) == ("", f"rule '{rule}' takes exactly these requests already: {todo}")


@pytest.mark.parametrize("name", MOVED)
def test_a_rule_that_sends_nothing_to_the_monolith_any_more_is_not_written_again(name: str) -> None:
    """What the monolith still serves of it comes by another rule (`old-app`): a new one would not change that."""
    paste = Paster(load(ROUTES, {}), SHOP).paste(cover([name], SHOP), [name], "monolith")

    assert paste is not None
    assert paste.rule == ""
    assert "rule 'recommendations' sends none of these requests to monolith any more" in paste.note


def test_what_is_shifted_in_part_still_has_a_rule_to_paste() -> None:
    name = MOVED[0]
    split = ROUTES.replace("recommendations: 100  ", "recommendations: 99").replace(
        "monolith: 0         ", "monolith: 1"
    )
    paste = Paster(load(split, {}), SHOP).paste(cover([name], SHOP), [name], "monolith")

    assert paste is not None
    assert "{recommendations: 99, monolith: 1}" in paste.rule


@pytest.mark.parametrize("known", [pytest.param(SHOP, id="known"), pytest.param([], id="nothing known")])
def test_a_rule_that_takes_more_is_not_the_one_to_shift(known: list[str]) -> None:
    """`users` takes the login, too."""
    paste = Paster(load(ROUTES, {}), known).paste(cover(["GET /api/users/{id}"], SHOP), ["GET /api/users/{id}"], "m")

    assert paste is not None
    assert "name: users-2" in paste.rule


def test_a_group_that_is_there_is_not_written_again() -> None:
    paste = Paster(load(ROUTES, {})).paste(cover(["GET /api/users/{id}"], SHOP), ["GET /api/users/{id}"], "monolith")

    assert paste is not None
    assert (paste.target_group, paste.listener) == ("", "web")
    assert "name: users-2" in paste.rule
    assert "{monolith: 90, users: 10}" in paste.rule, "what is shifted already is not taken back"


TABLE = """version: 1
listeners:
  - port: 8080
    default: {forward: monolith}
    rules:
      - {name: first, priority: 1, conditions: [{path-pattern: /first}], forward: monolith}
      - {name: second, priority: SECOND, conditions: [{path-pattern: "/a*"}], forward: monolith}
target_groups:
  monolith: {targets: [http://monolith:8000]}
"""


@pytest.mark.parametrize(
    ("second", "name", "priority", "note"),
    [
        pytest.param(20, "GET /b", 30, False, id="behind the last"),
        pytest.param(20, "GET /a/{id}", 10, False, id="before the rule that takes it now"),
        pytest.param(3, "GET /a/{id}", 2, False, id="in the only gap"),
        pytest.param(50_000, "GET /b", 25_000, True, id="no room behind the last"),
    ],
)
def test_the_priority_is_free(second: int, name: str, priority: int, note: bool) -> None:
    config = load(TABLE.replace("SECOND", str(second)), {})
    paste = Paster(config).paste(cover([name], [name]), [name], "monolith")

    assert paste is not None
    assert f"priority: {priority}\n" in paste.rule
    assert bool(paste.note) is note


def test_no_room_at_all_says_so() -> None:
    config = load(TABLE.replace("SECOND", "2"), {})
    paste = Paster(config).paste(cover(["GET /a/{id}"], []), ["GET /a/{id}"], "monolith")

    assert paste is not None
    assert "number the rules anew" in paste.note


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GET /api/v1/Order_Items/{id}", "items"),
        ("GET /{slug}", "carved-out"),
        ("GET /", "carved-out"),
        ("{other}", "carved-out"),
        ("GET /" + "a" * 80, "a" * 32),
    ],
)
def test_names_of_services(name: str, expected: str) -> None:
    assert service_name([name]) == expected


def test_without_a_table_the_rules_begin_at_ten() -> None:
    load_ = workload(transaction("GET /a/{id}"), transaction("GET /b/{id}"))

    document = candidates_document(load_)

    assert all("priority: 10\n" in candidate["rule"] for candidate in document["candidates"])
