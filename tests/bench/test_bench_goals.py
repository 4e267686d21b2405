"""Goals, verdicts and rows of the benchmarks, on canned figures."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from bench import cases, goals, idle_connections, latency, open_loop, report, scale, soak, start, verdict
from bench.cases import CASES
from bench.processes import Memory
from bench.table import KINDS, Request, load, mixed_rules
from bench.verdict import Goal, Row

NGINX = Goal(1.3, "nginx")


@pytest.mark.parametrize(
    ("goal", "value", "expected"),
    [
        pytest.param(NGINX, 1.3, "PASS", id="at most, just"),
        pytest.param(NGINX, 1.31, "FAIL", id="at most, over"),
        pytest.param(Goal(0.7, "nginx", at_least=True), 0.7, "PASS", id="at least, just"),
        pytest.param(Goal(0.7, "nginx", at_least=True), 0.69, "FAIL", id="at least, under"),
        pytest.param(NGINX, None, "no result", id="nothing measured"),
    ],
)
def test_the_verdict_of_a_value(goal: Goal, value: float | None, expected: str) -> None:
    assert Row("row", "figure", value, goal).verdict == expected


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        (NGINX, "at most 1.3 of nginx"),
        (Goal(0.7, "nginx", at_least=True), "at least 0.7 of nginx"),
        (Goal(1, unit="s"), "at most 1 s"),
    ],
    ids=["a ratio", "a least ratio", "a figure"],
)
def test_a_goal_in_words(goal: Goal, expected: str) -> None:
    assert str(goal) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [((1.0, 1.1), 0), ((1.0, 2.0), 1), ((2.0, None), 2), ((), 0)],
    ids=["all met", "one missed", "one without a result", "none"],
)
def test_the_exit_code_of_rows(values: tuple[float | None, ...], expected: int) -> None:
    assert verdict.exit_code([Row("row", "", value, NGINX) for value in values]) == expected


def test_rows_as_table_and_markdown() -> None:
    output = io.StringIO()
    found = [Row("get [x]", "20.0 µs", 1.256, NGINX), Row("start", "900 ms", 0.9, Goal(1, unit="s"))]
    verdict.show(Console(file=output, width=120), found)

    assert "get [x]" in output.getvalue()
    assert verdict.markdown(found).splitlines()[2:] == [
        "| get [x] | 20.0 µs | 1.26 | at most 1.3 of nginx | PASS |",
        "| start | 900 ms | - | at most 1 s | PASS |",
    ]


def cpu(value: float) -> dict[str, float]:
    return {"cpu_us_per_request": value, "requests_per_second": 1.0, "p50_ms": 1.0, "p99_ms": 1.0}


def test_a_case_has_a_row_for_each_goal_and_each_gateway_that_ran() -> None:
    runs = {
        "nginx": [cpu(10), cpu(10)],
        "haproxy": [cpu(20), cpu(20)],
        "gateway": [cpu(30), cpu(30)],
        "gateway-compiled": [cpu(12), cpu(12)],
    }
    found = cases.rows(CASES["get-100-rules"], runs, {})

    assert [(row.name, row.value, row.goal.of) for row in found] == [
        ("get-100-rules, gateway-compiled", 0.6, "haproxy"),
        ("get-100-rules, gateway-compiled", 1.2, "nginx"),
        ("get-100-rules, gateway", 1.5, "haproxy"),
        ("get-100-rules, gateway", 3.0, "nginx"),
    ]
    assert found[0].figure == "12.0 CPU µs/request"


def test_a_case_whose_reference_failed_has_no_result() -> None:
    runs = {"nginx": [], "gateway": [cpu(30)]}
    [row] = cases.rows(CASES["post-16k"], runs, {"nginx": "did not start"})

    assert (row.verdict, row.figure) == ("no result", "nginx failed: did not start")


@pytest.mark.parametrize("name", CASES)
def test_a_case_runs_its_references_by_default(name: str) -> None:
    case = CASES[name]

    assert {goal.of for _, goal in case.goals} <= set(case.peers)
    assert {figure for figure, _ in case.goals} <= set(case.figures)


def test_growing_is_held_against_the_first_size() -> None:
    runs = {"gateway": {size: [cpu(10 + number)] for number, size in enumerate((10, 100, 1000, 10_000))}}
    found = scale.rows(scale.SCALES["rules"], runs, {})

    assert [row.value for row in found] == pytest.approx([1.1, 1.2, 1.3])
    assert [row.verdict for row in found] == ["PASS", "PASS", "FAIL"]
    assert str(found[0].goal) == "at most 1.2 of that with 10 rules"


def test_a_size_that_failed_has_no_result_and_leaves_the_others() -> None:
    runs = {"gateway": {32: [cpu(1)], 1000: [cpu(1)], 10_000: []}}
    found = scale.rows(scale.SCALES["clients"], runs, {("gateway", 10_000): "too many open files"})

    assert [(row.figure, row.verdict) for row in found] == [
        ("1 requests/s; 1.0 -> 1.0 CPU µs/request", "PASS"),
        ("too many open files", "no result"),
    ]


@pytest.mark.parametrize("size", [10, 100, 1000, 10_000])
def test_the_load_has_one_request_of_each_kind_whatever_the_size(size: int) -> None:
    table = mixed_rules(size)
    taken = [table.rules.index(rule) for request in load(table) for rule in table.rules if rule.matches(request)]

    assert len(load(table)) == KINDS + 1
    assert [number % KINDS for number in taken] == list(range(KINDS))
    assert (taken[0], taken[-1]) == (0, size - 1)


def test_the_load_of_a_hundred_rules_is_every_eleventh() -> None:
    table = mixed_rules(100)
    taken = [number for request in load(table) for number, rule in enumerate(table.rules) if rule.matches(request)]

    assert taken == list(range(0, 100, 11))


def latencies(p99: float, lateness: float) -> dict[str, float]:
    return {
        "p99_us": p99,
        "p50_us": 1.0,
        "peak_per_second": 100.0,
        "offered_per_second": 70.0,
        "lateness_p99_us": lateness,
    }


def test_latency_is_held_against_nginx_unless_the_load_was_late() -> None:
    [punctual] = latency.rows({"nginx": [latencies(100, 10)], "gateway": [latencies(120, 20)]}, 70)
    [late] = latency.rows({"nginx": [latencies(100, 30)], "gateway": [latencies(120, 20)]}, 70)

    assert (punctual.value, punctual.verdict) == (1.2, "PASS")
    assert late.verdict == "no result"


def test_both_goals_of_idle_memory() -> None:
    found = idle_connections.rows("gateway", 1.5, "nginx", 0.5, 20.0)

    assert [(row.value, row.verdict) for row in found] == [(1.5, "PASS"), (3.0, "FAIL")]


def test_growth_of_memory() -> None:
    row = soak.growth("gateway", 10, 100, [Memory(100, 90), Memory(111, 95)], 10.0)

    assert (row.value, row.verdict) == (1.11, "FAIL")


def test_a_start_is_judged_in_seconds() -> None:
    [row] = start.rows({"gateway": [{"first_answer_ms": 700.0, "ready_ms": 900.0}]})

    assert (row.value, row.figure, row.verdict) == (0.9, "900 ms", "PASS")


def test_the_dearest_imports_come_first() -> None:
    output = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       100 |        100 |   inner\n"
        "import time:        50 |        150 | outer\n"
        "import time:       300 |        300 | heavy\n"
    )

    assert start.slowest_imports(output, 2) == [("heavy", 300, 300), ("inner", 100, 100)]


def test_the_open_loads_report() -> None:
    times = "p50 100.0\np99 900.0\np999 950.0\nlateness_p50 1.0\nlateness_p99 20.0\n"

    assert open_loop.parse(f"answered 10\nunanswered 2\nseconds 1.5\n{times}") == open_loop.Result(
        answered=10,
        unanswered=2,
        seconds=1.5,
        p50_seconds=pytest.approx(100e-6),
        p99_seconds=pytest.approx(900e-6),
        lateness_p99_seconds=pytest.approx(20e-6),
    )


def test_the_open_loads_requests_carry_their_length() -> None:
    head, body = Request(path="/a").head, Request("POST", "/b", body_bytes=3).head
    text = open_loop.requests_text([Request(path="/a"), Request("POST", "/b", body_bytes=3)])

    assert text == f"{len(head)}\n{head}{len(body) + 3}\n{body}xxx".encode()


def test_every_section_of_the_goals_is_a_case_with_goals_or_a_command() -> None:
    with_goals = {name for name, case in CASES.items() if case.goals}

    assert goals.SECTIONS.keys() - with_goals == {"latency", "rules", "clients", "workers", "idle", "soak", "start"}


def test_figures_name_what_is_measured() -> None:
    assert [figure.name for figure in report.OF_REQUESTS] == list(cpu(1))


def test_the_open_load_is_where_it_is_looked_for() -> None:
    assert Path(open_loop.__file__).with_name("open_loop.c") == open_loop.SOURCE
