"""The table: the order of trial, and that the indexes decide as the plain loop does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.model import (
    ConditionConfig,
    FixedResponseConfig,
    ForwardConfig,
    ListenerConfig,
    QueryPair,
    RedirectConfig,
    RuleConfig,
)
from proxy.config.problem import ConfigError, Place
from proxy.rules.actions import Route
from proxy.rules.compile import compile_table
from proxy.rules.conditions import PathPattern
from proxy.rules.request import RequestView
from proxy.rules.table import Table
from tests.rules import mixed

DEFAULT = ForwardConfig((("monolith", 1),))


def listener(*rules: tuple[ConditionConfig, ...]) -> ListenerConfig:
    """Rules of these conditions, with priorities 10, 20, ..., each to a group of its own name."""
    return ListenerConfig(
        "web",
        80,
        DEFAULT,
        tuple(
            RuleConfig(f"r{number}", 10 * number, conditions, ForwardConfig(((f"r{number}", 1),)))
            for number, conditions in enumerate(rules, start=1)
        ),
    )


def path(*values: str) -> ConditionConfig:
    return ConditionConfig("path-pattern", values)


def header(name: str, *values: str) -> ConditionConfig:
    return ConditionConfig("http-header", values, header_name=name)


def query(*pairs: tuple[str | None, str]) -> ConditionConfig:
    return ConditionConfig("query-string", pairs=tuple(QueryPair(*pair) for pair in pairs))


def get(target: str, *headers: tuple[str, str]) -> RequestView:
    return RequestView.of("GET", target, [("Host", "a.b"), *headers])


@pytest.mark.parametrize(
    ("rules", "view", "winner"),
    [
        pytest.param([], get("/"), "default", id="1.2 the default rule is tried last"),
        pytest.param([(path("/a"),)], get("/b"), "default", id="1.2 and takes what no rule takes"),
        pytest.param([(path("/*"),), (path("/a"),)], get("/a"), "r1", id="1.3 the first match wins, not the best"),
        pytest.param([(path("/a/b/*"),), (path("/a/*"),)], get("/a/c"), "r2", id="1.3 the next one if it fails"),
        pytest.param([(path("/a"), header("X", "1"))], get("/a"), "default", id="1.3 conditions are ANDed"),
        pytest.param([(path("/a"), header("X", "1"))], get("/a", ("X", "1")), "r1", id="1.3 both hold"),
        pytest.param([(path("/a", "/b"),)], get("/b"), "r1", id="1.3 values are ORed"),
        pytest.param([(header("X", "*a*"), header("X", "*b*"))], get("/", ("X", "a")), "default", id="1.3 AND twice"),
        pytest.param([(header("X", "*a*"), header("X", "*b*"))], get("/", ("X", "ab")), "r1", id="1.3 both parts"),
        pytest.param([(query(("a", "1")), query(("b", "2")))], get("/?a=1"), "default", id="1.3 AND of two pairs"),
        pytest.param([(query(("a", "1")), query(("b", "2")))], get("/?b=2&a=1"), "r1", id="1.3 in any order"),
    ],
)
def test_which_rule_wins(rules: list[tuple[ConditionConfig, ...]], view: RequestView, winner: str) -> None:
    table = compile_table(listener(*rules))

    assert winner == table.evaluate(view).name
    assert winner == table.evaluate_in_order(view).name


WORDS = st.text("ab./", min_size=1, max_size=4)
PATTERNS = st.text("ab./*?", min_size=1, max_size=6)
REGEXES = st.sampled_from(["a", "^a", "b$", "^/a/.*$", "a|b", r"a\.b", ":8", "^$"])
NAMES = st.sampled_from(["X-A", "x-b", "Host-X"])
CIDRS = st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "10.1.0.1/32", "0.0.0.0/0", "::/0", "fd00::/8", "fd00::1/128"])
PEERS = st.sampled_from(["10.1.0.1", "10.2.0.1", "192.0.2.1", "::ffff:10.1.0.1", "fd00::1", "fe80::1%eth0", "no"])
METHODS = st.sampled_from(["GET", "POST", "get"])


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, min_size=1, max_size=3).map(tuple)


def values_or_regexes(field: str, name: st.SearchStrategy[str | None]) -> st.SearchStrategy[ConditionConfig]:
    return st.one_of(
        st.builds(ConditionConfig, st.just(field), some(PATTERNS), header_name=name),
        st.builds(ConditionConfig, st.just(field), regex_values=some(REGEXES), header_name=name),
    )


ESCAPING = st.text("ab*?\\", max_size=4)
PAIRS = st.builds(QueryPair, st.none() | ESCAPING, ESCAPING)
CONDITIONS = st.one_of(
    values_or_regexes("host-header", st.none()),
    values_or_regexes("path-pattern", st.none()),
    values_or_regexes("http-header", NAMES),
    st.builds(ConditionConfig, st.just("http-request-method"), some(METHODS)),
    st.builds(ConditionConfig, st.just("query-string"), pairs=some(PAIRS)),
    st.builds(ConditionConfig, st.just("source-ip"), some(CIDRS)),
)
TABLES = st.lists(st.lists(CONDITIONS, min_size=1, max_size=3).map(tuple), max_size=12)

HEADERS = st.lists(st.tuples(NAMES | st.just("Host"), st.text("aAb./:8\t", max_size=5)), max_size=4)
QUERIES = st.text("aAb=&*?\\", max_size=8)
TARGETS = st.one_of(
    st.builds("/{}?{}".format, st.text("ab./\x07", max_size=5), QUERIES),
    st.sampled_from(["/a%2fb", "/a%0Ab", "http://a.b/a", "*", "/a#b", "/%C3%A9"]),
)
VIEWS = st.builds(RequestView.of, METHODS, TARGETS, HEADERS, peer=PEERS)


@settings(max_examples=400, deadline=None)
@given(TABLES, st.lists(VIEWS, min_size=1, max_size=6))
def test_the_indexes_decide_as_the_plain_loop_does(
    rules: list[tuple[ConditionConfig, ...]], views: list[RequestView]
) -> None:
    table = compile_table(listener(*rules))

    for view in views:
        assert table.evaluate_in_order(view) is table.evaluate(view)
        assert table.evaluate_in_order(view) is list(table.explain(view))[-1][0]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(values_or_regexes("path-pattern", st.none())), min_size=1, max_size=30), VIEWS)
def test_many_paths_decide_as_the_plain_loop_does(rules: list[tuple[ConditionConfig, ...]], view: RequestView) -> None:
    """Prefixes of prefixes, suffixes of suffixes, and patterns with both."""
    table = compile_table(listener(*rules))

    assert table.evaluate_in_order(view) is table.evaluate(view)


def test_affixes_longer_than_what_is_looked_up_still_match() -> None:
    """A value of 128 characters can have more bytes than that."""
    text = "é" * 127
    table = compile_table(listener(*[(header("Z", "a"),)] * 5, (header("X", f"{text}*"),), (header("Y", f"*{text}"),)))
    raw = text.encode()
    for name, winner in ((b"x", "r6"), (b"y", "r7")):
        view = RequestView(b"GET", b"/", [(name, raw)], {name: raw})

        assert winner == table.evaluate(view).name


def asked(table: Table, view: RequestView, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many conditions are asked for one decision."""
    count = 0
    for kind in {type(condition) for rule in table.rules for condition in rule.conditions}:

        def counting(self: object, view: RequestView, matches: object = kind.matches) -> bool:
            nonlocal count
            count += 1
            return matches(self, view)  # type: ignore[operator]

        monkeypatch.setattr(kind, "matches", counting)
    table.evaluate(view)
    monkeypatch.undo()
    return count


@pytest.mark.parametrize("count", mixed.COUNTS[:3])
def test_the_mixed_table_asks_few_conditions_whatever_its_size(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    table = compile_table(mixed.listener(count))

    for group, requests in mixed.requests(count).items():
        for request in requests:
            assert asked(table, mixed.view_of(request), monkeypatch) <= 3, (group, request)


MANY = range(2_000)


@pytest.mark.parametrize(
    ("rules", "view"),
    [
        pytest.param([(path(f"/s{i}/*"),) for i in MANY], get("/s1999/x"), id="path prefixes"),
        pytest.param([(path(f"/s{i:04}*x"),) for i in MANY], get("/s1999/x"), id="prefixes within a segment"),
        pytest.param([(path(f"*/{i:04}.php"),) for i in MANY], get("/x/1999.php"), id="path suffixes"),
        pytest.param([(path(f"/a/*/{i:04}"),) for i in MANY], get("/a/x/1999"), id="one prefix, many suffixes"),
        pytest.param([(header("X", f"t{i}"),) for i in MANY], get("/", ("X", "t1999")), id="values of one header"),
        pytest.param([(header(f"X{i}", "*a*"),) for i in MANY], get("/", ("X1999", "a")), id="names of headers"),
        pytest.param(
            [(path("/api/*"), header("X", f"t{i}")) for i in MANY], get("/api/x", ("X", "t1999")), id="one path"
        ),
        pytest.param([(query((f"k{i}", "*v*")),) for i in MANY], get("/?k1999=v"), id="keys of queries"),
        pytest.param([(query(("k", f"v{i}")),) for i in MANY], get("/?k=v1999"), id="values of one key"),
        pytest.param([(query((None, f"v{i}")),) for i in MANY], get("/?k=v1999"), id="values of any key"),
        pytest.param(
            [(ConditionConfig("source-ip", (f"10.{i // 256}.{i % 256}.0/24",)),) for i in MANY],
            RequestView.of("GET", "/", peer="10.7.207.1"),
            id="networks",
        ),
    ],
)
def test_rules_of_one_kind_are_not_asked_one_by_one(
    rules: list[tuple[ConditionConfig, ...]], view: RequestView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of two thousand rules wins, and only a handful of conditions are asked."""
    table = compile_table(listener(*rules))

    assert table.evaluate(view) is table.rules[-1]
    assert asked(table, view, monkeypatch) <= 12


def test_a_compiled_rule_says_what_it_is() -> None:
    actions = [ForwardConfig((("a", 1),)), ForwardConfig((("a", 1), ("b", 1))), FixedResponseConfig(403)]
    rules = tuple(RuleConfig(f"r{i}", 10 + i, (path("/a"),), action) for i, action in enumerate(actions))
    table = compile_table(ListenerConfig("web", 80, RedirectConfig(301, host="x.y"), rules))

    assert [(r.name, r.priority, r.index) for r in table.rules] == [("r0", 10, 0), ("r1", 11, 1), ("r2", 12, 2)]
    assert [Route("a"), None, None] == [rule.route for rule in table.rules]
    assert (
        table.default.name,
        table.default.priority,
        table.default.index,
        table.default.conditions,
    ) == ("default", None, 3, ())


def test_explain_names_the_condition_that_refused() -> None:
    table = compile_table(listener((header("X", "1"), path("/b")), (path("/b"), header("X", "1")), (path("/a"),)))

    tried = [(rule.name, refusal and refusal.field) for rule, refusal in table.explain(get("/a", ("X", "1")))]

    assert tried == [("r1", "path-pattern"), ("r2", "path-pattern"), ("r3", None)]


def test_all_values_that_cannot_be_compiled_are_reported_with_their_places() -> None:
    first, second = Place(3, 7, "listeners[0].rules[0]"), Place(9, 7, "listeners[0].rules[1]")
    bad = (
        (ConditionConfig("path-pattern", regex_values=("(",), place=first),),
        (ConditionConfig("source-ip", ("10.0.0.300/8",), place=second),),
    )
    with pytest.raises(ConfigError) as refused:
        compile_table(listener(*bad))

    assert [first, second] == [problem.place for problem in refused.value.problems]
    assert all(problem.severity == "error" for problem in refused.value.problems)


def test_conditions_are_the_ones_of_the_table() -> None:
    (rule,) = compile_table(listener((path("/a"),))).rules

    assert [PathPattern] == [type(condition) for condition in rule.conditions]
