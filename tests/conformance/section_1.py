"""alb.md 1: objects, order of evaluation, quotas."""

# ruff: noqa: E501 - one row a line

from tests.conformance.rows import Checked, Exchange, Row, get

TWO_RULES = (
    "[{priority: 20, conditions: [{path-pattern: /a*}], fixed-response: {status_code: 220}},"
    " {priority: 10, conditions: [{path-pattern: '*'}, {http-request-method: GET}], fixed-response: {status_code: 210}}]"
)
SIX = ", ".join(f"/{letter}" for letter in "abcdef")

ROWS: list[Row] = [
    Exchange("the lowest priority that matches wins, whatever the order in the file", "1.3", rules=TWO_RULES, status=210),
    Exchange("no later rule is looked at, however well it fits", "1.3", get("/abc"), rules=TWO_RULES, status=210),
    Exchange("different conditions are ANDed", "1.3", get("/a", method="PUT"), rules=TWO_RULES, status=220),
    Exchange("the default rule is tried last", "1.2", get("/b", method="PUT"), rules=TWO_RULES),
    Exchange(
        "values of one condition are ORed",
        "1.3",
        get("/b"),
        rules="[{priority: 1, conditions: [{path-pattern: [/a, /b]}], fixed-response: {status_code: 210}}]",
        status=210,
    ),
    Exchange(
        "only the first Host counts",
        "1.3",
        get("/", "Host: b.example.com", host="a.example.com"),
        rules="[{priority: 1, conditions: [{host-header: b.example.com}], fixed-response: {status_code: 210}}]",
        doors=("listener",),
    ),
    Exchange("pipelined requests are accepted", "1.1", get() + get(), doors=("listener",)),
    Checked("priority 50000 is the highest", "1.2", "{priority: 50000, conditions: [{path-pattern: /a}], forward: targets}"),
    Checked(
        "priority 50001 is too high", "1.2",
        "{priority: 50001, conditions: [{path-pattern: /a}], forward: targets}", "out-of-range",
    ),
    Checked("priority 0 is too low", "1.2", "{priority: 0, conditions: [{path-pattern: /a}], forward: targets}", "out-of-range"),
    Checked(
        "a rule has five condition values at most", "1.4",
        f"{{priority: 1, conditions: [{{path-pattern: [{SIX}]}}], forward: targets}}", "too-many-condition-values",
    ),
    Checked(
        "a rule has six wildcards at most", "1.4",
        "{priority: 1, conditions: [{path-pattern: '/*/*/*/*/*/*/*'}], forward: targets}", "too-many-wildcards",
    ),
    Checked(
        "six wildcards are accepted", "1.4", "{priority: 1, conditions: [{path-pattern: '/*/*/*/*/*/*'}], forward: targets}"
    ),
    Checked("a rule needs a condition", "1.2", "{priority: 1, conditions: [], forward: targets}", "empty-list"),
]  # fmt: skip
