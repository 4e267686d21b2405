"""Rules that can never win: what is reported is true, and what is true is reported."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.model import (
    ActionConfig,
    ConditionConfig,
    Config,
    FixedResponseConfig,
    ForwardConfig,
    ListenerConfig,
    QueryPair,
    RuleConfig,
)
from proxy.config.problem import Place
from proxy.rules.compile import compile_table
from proxy.rules.coverage import Analysis, analyse
from proxy.rules.coverage import analysis as coverage
from proxy.rules.coverage.demands import without
from proxy.rules.coverage.witness import Demands, Witness, find_witness
from proxy.rules.coverage.work import ExhaustedError, Work
from proxy.rules.request import RequestView
from tests.rules import mixed

Rule = tuple[ConditionConfig, ...]
DEFAULT = ForwardConfig((("monolith", 1),), place=Place(1, 1, "default"))


def listener(rules: tuple[Rule, ...], default: ActionConfig = DEFAULT) -> ListenerConfig:
    """Rules r1, r2, ... of these conditions, with priorities 10, 20, ..., the number as their line."""
    return ListenerConfig(
        "web",
        80,
        default,
        tuple(
            RuleConfig(f"r{number}", 10 * number, conditions, DEFAULT, place=Place(number, 1, f"r{number}"))
            for number, conditions in enumerate(rules, start=1)
        ),
        place=Place(1, 1, "web"),
    )


def analysed(*rules: Rule) -> Analysis:
    return analyse(Config((listener(rules),), {}))


def found(*rules: Rule) -> list[tuple[str, str]]:
    """Code and place of each warning; all of them have to be decided."""
    analysis = analysed(*rules)
    assert analysis.undecided == []
    return [(problem.code, problem.place.path) for problem in analysis.problems]


def host(*values: str) -> ConditionConfig:
    return ConditionConfig("host-header", values)


def path(*values: str) -> ConditionConfig:
    return ConditionConfig("path-pattern", values)


def path_regex(*values: str) -> ConditionConfig:
    return ConditionConfig("path-pattern", regex_values=values)


def host_regex(*values: str) -> ConditionConfig:
    return ConditionConfig("host-header", regex_values=values)


def method(*values: str) -> ConditionConfig:
    return ConditionConfig("http-request-method", values)


def header(name: str, *values: str) -> ConditionConfig:
    return ConditionConfig("http-header", values, header_name=name)


def header_regex(name: str, *values: str) -> ConditionConfig:
    return ConditionConfig("http-header", regex_values=values, header_name=name)


def query(*pairs: tuple[str | None, str]) -> ConditionConfig:
    return ConditionConfig("query-string", pairs=tuple(QueryPair(*pair) for pair in pairs))


def source(*values: str) -> ConditionConfig:
    return ConditionConfig("source-ip", values)


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(((path("/api/*"),), (path("/api/users/*"),)), id="a path below an earlier one"),
        pytest.param(((path("/api/*"),), (host("a.com"), path("/api/x"))), id="with one more condition"),
        pytest.param(((path("/*"),), (host("a.com"),)), id="every path, so every host"),
        pytest.param(((path("/*"),), (header("X", "1"), query(("a", "1")))), id="every path, so anything"),
        pytest.param(((host("*.A.com"),), (host("B.a.COM"),)), id="hosts disregard case"),
        pytest.param(((method("GET", "POST"),), (method("POST"), path("/a"))), id="a method of several"),
        pytest.param(((source("10.0.0.0/8"),), (source("10.1.0.0/16"),)), id="addresses within a block"),
        pytest.param(((source("0.0.0.0/0", "::/0"),), (path("/a"),)), id="every address"),
        pytest.param(((source("10.0.0.0/8"),), (source("::ffff:10.1.0.0/112"),)), id="an IPv4 block written as IPv6"),
        pytest.param(((query(("a", "*")),), (query(("a", "1")),)), id="a value of a key with any value"),
        pytest.param(((query((None, "1")),), (query(("a", "1")),)), id="a key, where any key will do"),
        pytest.param(((query((None, "*")),), (query(("a*", "?")),)), id="any pair at all"),
        pytest.param(((query(("A", "X")),), (query(("a", "x"), ("a", "X")), path("/a"))), id="queries disregard case"),
        pytest.param(((query(("a", "1")),), (query(("b", "2")), query(("a", "1")))), id="one of two queries is enough"),
        pytest.param(((header("X", "*a*"),), (header("x", "*ab*"),)), id="a header's name disregards case"),
        pytest.param(((header("X", "*a*"),), (header("X", "b"), header("X", "a"))), id="one of two lines is enough"),
        pytest.param(((path_regex("^/a$"),), (path_regex("^/a$"), host("a.com"))), id="the same regex"),
        pytest.param(((path_regex("^/a$", "^/b$"),), (path_regex("^/b$"),)), id="one of the same regexes"),
        pytest.param(((path_regex("^/[ab]$"),), (path("/a", "/b"),)), id="each of its values, by a regex"),
        pytest.param(((path("/*"),), (path_regex("/a$"),)), id="every path, so whatever a regex takes"),
        pytest.param(((path("/api/*"),), (path_regex("^/api/v[0-9]+/.*$"),)), id="a regex that begins below a path"),
    ],
)
def test_the_second_rule_never_wins(rules: tuple[Rule, Rule]) -> None:
    assert ("never-wins", "r2") in found(*rules)


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(((path("/api/users/*"),), (path("/api/*"),)), id="the wider path comes later"),
        pytest.param(((path("/api/*"),), (path("/api"),)), id="a star needs its slash"),
        pytest.param(((host("a.com"), path("/a")), (path("/a"),)), id="any other host is left"),
        pytest.param(((host("*.com"),), (path("/a"),)), id="a request without a host is left"),
        pytest.param(((host_regex("."),), (path("/a"),)), id="whatever the regex takes, it takes a host"),
        pytest.param(((header("X", "*"),), (path("/a"),)), id="a request without the header is left"),
        pytest.param(((query((None, "*")),), (path("/a"),)), id="a request without a query is left"),
        pytest.param(((query(("a", "1")),), (query(("a", "*")),)), id="other values of the key are left"),
        pytest.param(((query(("a", "*")),), (query((None, "1")),)), id="other keys are left"),
        pytest.param(((query(("a", "?*")),), (query(("a", "*")),)), id="an empty value is left"),
        pytest.param(((query(("a", "1")), query(("a", "2"))), (query(("a", "1")),)), id="both keys are not needed"),
        pytest.param(((header("X", "a"), header("X", "b")), (header("X", "a"),)), id="both lines are not needed"),
        pytest.param(((method("GET"),), (path("/a"),)), id="other methods are left"),
        pytest.param(((method("GET"),), (method("GET", "HEAD"),)), id="GET does not imply HEAD"),
        pytest.param(((source("0.0.0.0/0"),), (path("/a"),)), id="IPv6 is left"),
        pytest.param(((source("10.0.0.0/9"),), (source("10.0.0.0/8"),)), id="half a block is left"),
        pytest.param(((path("/A"),), (path("/a"),)), id="paths regard case"),
        pytest.param(((path_regex("^/a"),), (path("/*"),)), id="the regex takes only some"),
        pytest.param(((path_regex("^/a$"),), (path_regex("^/b$"),)), id="another regex"),
    ],
)
def test_the_second_rule_can_win(rules: tuple[Rule, Rule]) -> None:
    assert "r2" not in [place for code, place in found(*rules) if code != "covered-value"]


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(((source("10.0.0.0/9"),), (source("10.128.0.0/9"),), (source("10.0.0.0/8"),)), id="halves"),
        pytest.param(((path("/a"),), (path("/a?*"),), (path("/a*"),)), id="a path and all that is longer"),
        pytest.param(((path("/a"),), (path("/b"),), (path("/a", "/b"),)), id="each of its values"),
        pytest.param(((method("GET"),), (method("PUT"),), (method("GET", "PUT"),)), id="each of its methods"),
        pytest.param(
            ((path("/a"), method("GET")), (path("/a"), method("PUT")), (path("/a"), method("GET", "PUT"))),
            id="one method each on the same path",
        ),
        pytest.param(
            ((path("/a"), host("x.com")), (host("y.com"),), (path("/a"), host("x.com", "y.com"))),
            id="each of its hosts, one for the path alone",
        ),
    ],
)
def test_two_earlier_rules_together_leave_nothing(rules: tuple[Rule, ...]) -> None:
    problem = next(problem for problem in analysed(*rules).problems if problem.code == "never-wins")

    assert problem.place.path == "r3"
    assert problem.message.endswith("; give it a priority below 10, or remove it")
    assert 'rule "r1" (priority 10) or rule "r2" (priority 20) first' in problem.message


@pytest.mark.parametrize(
    ("rules", "code", "message"),
    [
        pytest.param(
            ((host("a.example.com"), path("/api/*")), (host("a.example.com"), path("/api/users"))),
            "never-wins",
            'rule "r2" can never win: what satisfies it satisfies rule "r1" (priority 10) first; GET '
            'http://a.example.com/api/users goes to rule "r1" (priority 10); give it a priority below 10, or remove it',
            id="never-wins",
        ),
        pytest.param(
            ((path("/a"),), (path("/a"), query(("k", "v")), header("x-key", "1"), source("10.0.0.0/8"))),
            "never-wins",
            'rule "r2" can never win: what satisfies it satisfies rule "r1" (priority 10) first; GET '
            'http://localhost/a?k=v with X-Key: 1 from 10.0.0.1 goes to rule "r1" (priority 10); give it a priority '
            "below 10, or remove it",
            id="with everything that matters",
        ),
        pytest.param(
            ((path("/b", "/a"), method("GET")), (method("GET"), path("/a", "/b"))),
            "duplicate-conditions",
            'rule "r2" has the same conditions as rule "r1" (priority 10) and can never win: GET http://localhost/a '
            'goes to rule "r1" (priority 10)',
            id="duplicate-conditions in another order",
        ),
        pytest.param(
            ((path("/a*", "/b", "/abc"),),),
            "covered-value",
            "the value '/abc' adds nothing to '/a*' in the same condition: leave it out, a rule has only five values",
            id="covered-value",
        ),
        pytest.param(
            ((source("10.0.0.0/8", "10.0.0.0/9"),),),
            "covered-value",
            "the value '10.0.0.0/9' adds nothing to '10.0.0.0/8' in the same condition: leave it out, a rule has only "
            "five values",
            id="a covered block",
        ),
        pytest.param(
            ((query((None, "1"), ("a", "1")),),),
            "covered-value",
            "the value 'a: 1' adds nothing to '1' in the same condition: leave it out, a rule has only five values",
            id="a covered pair",
        ),
        pytest.param(
            ((path("api/*"), method("GET")),),
            "contradicting-conditions",
            "no request can satisfy this rule: path-pattern 'api/*' takes nothing, because a path begins with /",
            id="contradicting-conditions",
        ),
        pytest.param(
            ((method("TRACE"),),),
            "contradicting-conditions",
            "no request can satisfy this rule: http-request-method 'TRACE' takes nothing, because TRACE and CONNECT "
            "are answered with 405 before any rule is asked",
            id="a method that rules never see",
        ),
        pytest.param(
            ((path("/a", "a/*"),),),
            "impossible-value",
            "the value 'a/*' takes nothing: a path begins with /",
            id="impossible-value",
        ),
        pytest.param(
            ((query(("a", "1&b=2"), ("a", "1")),),),
            "impossible-value",
            "the value 'a: 1&b=2' takes nothing: a key ends at = and a value at &",
            id="a query value across two pairs",
        ),
        pytest.param(
            ((host_regex(r"^API\.a\.com$"),),),
            "contradicting-conditions",
            r"no request can satisfy this rule: host-header '^API\\.a\\.com$' takes nothing, because a host is "
            "compared in lower case and is not empty",
            id="a regex that wants an upper-case letter in the host",
        ),
        pytest.param(
            ((header("X", " a", "b"),),),
            "impossible-value",
            "the value ' a' takes nothing: the white space around a header's value is no part of it",
            id="a header value that begins with a space",
        ),
        pytest.param(
            ((path("/x"),), (path("/*"),)),
            "default-unreachable",
            'no request gets to the default: each satisfies rule "r2" (priority 20); GET http://localhost/ goes to '
            'rule "r2" (priority 20)',
            id="default-unreachable",
        ),
    ],
)
def test_what_is_said(rules: tuple[Rule, ...], code: str, message: str) -> None:
    problems = analysed(*rules).problems

    assert [message] == [problem.message for problem in problems if problem.code == code]
    assert {"warning"} == {problem.severity for problem in problems}


def test_a_good_table_has_nothing_said_about_it() -> None:
    assert found((path("/a"), host("a.com")), (path("/a"),), (path("/*"), method("GET")), (query(("a", "1")),)) == []


OPEN = "what its regular expression takes is not known"
MAY_TAKE_ALL = "a regular expression of an earlier rule may take everything"
TOO_MANY = "too many earlier rules take a part of its requests"


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        pytest.param(((path_regex("."),), (path("/a*"),)), MAY_TAKE_ALL, id="an earlier regex"),
        pytest.param(((path("/a", "/b"),), (path_regex("^/[ab]$"),)), OPEN, id="its sample is taken"),
        pytest.param(((header("X", "a"),), (header_regex("X", "^A$"),)), OPEN, id="in another case"),
        pytest.param(((path("/a*"),), (path_regex("^/ab", r"^/b\Q.\E"),)), OPEN, id="one of its regexes has no sample"),
        pytest.param(((path("/a"),), (host("a.com"), host("b.com"))), "it has two host-header conditions", id="two"),
        pytest.param(
            (*((path(f"/{number}"),) for number in range(41)), (path(*(f"/{number}" for number in range(41))),)),
            TOO_MANY,
            id="more rules take something from it than are compared",
        ),
    ],
)
def test_what_is_left_open_is_no_warning(rules: tuple[Rule, ...], reason: str) -> None:
    analysis = analysed(*rules)

    assert (f"r{len(rules)}", reason) in [(rule.rule, rule.reason) for rule in analysis.undecided]
    assert analysis.problems == []


@pytest.mark.parametrize(
    ("condition", "covered"),
    [
        pytest.param(path("/a*", "/a**"), ["'/a**' adds nothing to '/a*'"], id="the later of two equal ones"),
        pytest.param(path("/*", "/", "/?*"), ["'/?*' adds nothing to '/*'", "'/' adds nothing to '/*'"], id="two"),
        pytest.param(path("/a", "/a?*", "/a*"), ["'/a*' adds nothing to '/a' and '/a?*'"], id="two do it together"),
        pytest.param(host("a.com", "A.com"), ["'A.com' adds nothing to 'a.com'"], id="hosts disregard case"),
        pytest.param(path("/a", "/A"), [], id="paths do not"),
        pytest.param(method("GET", "GET"), ["'GET' adds nothing to 'GET'"], id="twice the same"),
        pytest.param(path_regex("^/a", "^/a"), ["'^/a' adds nothing to '^/a'"], id="twice the same regex"),
        pytest.param(path_regex("^/a", "^/ab"), [], id="of regexes nothing else is known"),
    ],
)
def test_values_that_add_nothing(condition: ConditionConfig, covered: list[str]) -> None:
    problems = analysed((condition, header("X", "1"))).problems

    assert covered == [problem.message.removeprefix("the value ").split(" in the same")[0] for problem in problems]


def test_values_from_the_environment_stay_secret() -> None:
    """A header that only the CDN knows is often the condition of a rule, and warnings go into logs."""
    rules = ((path("/*"),), (header("X-Origin", "Hunter2-hunter2", "*r2-HUNTER2"),))
    analysis = analyse(Config((listener(rules),), {}), {"ORIGIN": "hunter2-Hunter2", "HOME": "/x"})

    text = " ".join(problem.message for problem in analysis.problems)

    assert "with X-Origin: ${ORIGIN} goes" in text
    assert "hunter2-hunter2" not in text.lower()


def test_a_rule_without_a_default_to_reach_is_said_of_each_listener() -> None:
    rules = ((path("/*"),),)
    config = Config((listener(rules), listener(rules, FixedResponseConfig(404, place=Place(9, 1, "second")))), {})

    assert [(problem.code, problem.place.path) for problem in analyse(config).problems] == [
        ("default-unreachable", "default"),
        ("default-unreachable", "second"),
    ]


# Random tables

LETTERS = "/ax"
PATHS = st.text("/a*?", min_size=1, max_size=4)
HOSTS = st.sampled_from(["a.b", "*.b", "a.?", "*.*", "c.b"])
VALUES = st.text("a*?", max_size=3)
KEYS = st.none() | st.sampled_from(["a", "b", "*", "a?"])
CIDRS = st.sampled_from(["10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "0.0.0.0/0", "::/0", "fd00::/8"])


def some(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, min_size=1, max_size=2).map(tuple)


CONDITIONS: dict[str, st.SearchStrategy[ConditionConfig]] = {
    "path": some(PATHS).map(lambda values: path(*values)),
    "host": some(HOSTS).map(lambda values: host(*values)),
    "method": some(st.sampled_from(["GET", "PUT"])).map(lambda values: method(*values)),
    "source": some(CIDRS).map(lambda values: source(*values)),
    "header": some(VALUES).map(lambda values: header("X", *values)),
    "header again": some(VALUES).map(lambda values: header("X", *values)),
    "query": st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=2).map(lambda pairs: query(*pairs)),
    "query again": st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=2).map(lambda pairs: query(*pairs)),
}
RULES = (
    st.lists(st.sampled_from(sorted(CONDITIONS)), min_size=1, max_size=3, unique=True)
    .flatmap(lambda names: st.tuples(*(CONDITIONS[name] for name in names)))
    .map(tuple)
)
TABLES = st.lists(RULES, min_size=1, max_size=5).map(tuple)

TARGETS = [
    f"/{''.join(rest)}{query}"
    for length in range(3)
    for rest in product(LETTERS, repeat=length)
    for query in ("", "?a=a", "?b", "?a=&b=aa")
]
OTHERS = [
    ([("Host", "a.b")], "10.1.1.1"),
    ([("Host", "x.b:80"), ("X", "a")], "10.200.1.1"),
    ([("X", ""), ("x", "aa")], "fd00::1"),
    ([("Host", "a.c"), ("X", "x")], "192.0.2.1"),
]
VIEWS = [
    RequestView.of(verb, target, headers, peer=peer)
    for verb, target, (headers, peer) in product(("GET", "PUT", "HEAD"), TARGETS, OTHERS)
]
DEAD = ("never-wins", "duplicate-conditions", "contradicting-conditions", "default-unreachable")


@settings(max_examples=150, deadline=None)
@given(TABLES)
def test_rules_reported_never_win_and_all_others_do(rules: tuple[Rule, ...]) -> None:
    """No request is taken by a rule that is reported; for each other one there is a request that it takes."""
    written = listener(rules)
    table = compile_table(written)

    analysis = analyse(Config((written,), {}))

    dead = {problem.place.path.partition(".")[0] for problem in analysis.problems if problem.code in DEAD}
    dead |= impossible_rules(written, analysis)
    assert analysis.undecided == []
    assert dead.isdisjoint(table.evaluate_in_order(view).name for view in VIEWS)
    demands = [Demands.of(conditions) for conditions in rules] + [Demands.of(())]
    for number, name in enumerate([*(rule.name for rule in written.rules), "default"]):
        if name not in dead:
            witness = find_witness(demands[number], demands[:number], Work(10**7, 10**7))
            assert witness is not None
            assert name == table.evaluate_in_order(witness.view("http", 80)).name


def impossible_rules(written: ListenerConfig, analysis: Analysis) -> set[str]:
    """Conditions of these tables have no place, so an impossible one does not tell its rule: find it by its words."""
    texts = [problem.message for problem in analysis.problems if problem.code == "contradicting-conditions"]
    return {
        rule.name
        for rule in written.rules
        for condition in rule.conditions
        if any(f"{condition.field} {', '.join(map(repr, condition.values))} takes" in text for text in texts)
    }


@settings(max_examples=150, deadline=None)
@given(st.lists(some(PATHS).map(lambda values: (path(*values),)), min_size=2, max_size=4))
def test_every_path_rule_within_one_earlier_rule_is_reported(rules: list[Rule]) -> None:
    """With one letter and short patterns, seven characters tell two patterns apart."""
    views = [
        RequestView.of("GET", f"/{''.join(rest)}") for length in range(7) for rest in product("/ax", repeat=length)
    ]
    table = compile_table(listener(tuple(rules)))
    takes = [{i for i, view in enumerate(views) if rule.refused_by(view) is None} for rule in table.rules]

    reported = {int(place[1:]) - 1 for code, place in found(*rules) if code in ("never-wins", "duplicate-conditions")}

    for number, taken in enumerate(takes):
        if taken and any(taken <= earlier for earlier in takes[:number]):
            assert number in reported


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted), max_size=4))
def test_addresses_that_are_left(blocks: list[list[int]]) -> None:
    left = without((4, 3, 15), [(4, first, last) for first, last in blocks])

    taken = {number for first, last in blocks for number in range(first, last + 1)}
    assert set(range(3, 16)) - taken == {number for _, first, last in left for number in range(first, last + 1)}


# Cost


HARD = (path("/*a*b"),), (path("/*a?????ab"),)
"""The second is within the first, and nothing short of all its states tells."""


def test_the_work_ends_with_one_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "STEPS", 100)

    analysis = analysed(*HARD, (path("/*"),), (path("/x"),))

    assert [(problem.code, problem.place.path) for problem in analysis.problems] == [("analysis-incomplete", "web")]


def test_time_is_the_last_resort() -> None:
    """It is up at the second look at the clock."""
    ticks = iter([0.0, 1.0, 5.1])
    work = Work(10, 10, lambda: next(ticks))

    work.begin()

    with pytest.raises(ExhaustedError):
        work.begin()


def test_one_hard_rule_does_not_keep_the_others_from_being_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "STEPS_FOR_ONE_RULE", 100)

    analysis = analysed(*HARD, (host("a.com"), path("/q")), (host("A.com"), path("/q")))

    assert [(rule.rule, rule.reason) for rule in analysis.undecided] == [
        ("r2", "its conditions are too entangled with those of earlier rules")
    ]
    assert [(problem.code, problem.place.path) for problem in analysis.problems] == [("duplicate-conditions", "r4")]


@pytest.mark.parametrize("count", [100, 3_000])
def test_the_steps_grow_with_the_rules_and_not_with_their_square(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mixed table of the benchmarks: every rule in it can win, and a look-up or two tells."""
    asked: list[Witness] = []
    written = mixed.listener(count)
    view = Witness.view
    monkeypatch.setattr(Witness, "view", lambda self, scheme, port: asked.append(self) or view(self, scheme, port))

    analysis = analyse(Config((written,), {}))

    assert analysis.problems == []
    assert analysis.undecided == []
    assert len(asked) <= 3 * count
