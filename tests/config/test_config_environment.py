"""`${NAME}` and `${NAME:-default}` in values, and that no value from the environment is ever printed."""

from __future__ import annotations

import pytest
from config_tables import HTTPS, SHORT, problems_of, table_with_action, table_with_condition

from proxy.config.environment import substitute
from proxy.config.load import load

PORT = SHORT.replace("port: 8080", 'port: "${PORT:-8080}"')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a${X}b", "a1b", id="a variable inside a text"),
        pytest.param("${X}${X}", "11", id="twice"),
        pytest.param("${NONE:-d}", "d", id="a default"),
        pytest.param("${EMPTY:-d}", "d", id="empty counts as unset when there is a default"),
        pytest.param("${EMPTY}", "", id="empty without a default is empty"),
        pytest.param("${NONE:-}", "", id="an empty default"),
        pytest.param("${DOLLAR}", "${X}", id="what comes in is not searched again"),
        pytest.param("$X $$ {X}", "$X $$ {X}", id="nothing else is a reference"),
    ],
)
def test_substitution(text: str, expected: str) -> None:
    assert (expected, []) == substitute(text, {"X": "1", "EMPTY": "", "DOLLAR": "${X}"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("${NONE}", "NONE is not set", id="a missing variable"),
        pytest.param("${1X}", "is not a reference", id="not a name"),
        pytest.param("${}", "is not a reference", id="no name"),
        pytest.param("${X-d}", "is not a reference", id="a default without its colon"),
        pytest.param("${X", "no closing brace", id="no closing brace"),
    ],
)
def test_a_bad_reference(text: str, says: str) -> None:
    _, faults = substitute(text, {"X": "1"})

    assert len(faults) == 1
    assert says in faults[0]


@pytest.mark.parametrize(
    ("env", "port"), [pytest.param({}, 8080, id="default"), pytest.param({"PORT": "90"}, 90, id="variable")]
)
def test_a_number_from_the_environment(env: dict[str, str], port: int) -> None:
    """Inside braces a reference must be quoted, and still may be a number."""
    assert port == load(PORT, env).listeners[0].port


def test_a_text_from_the_environment_is_a_text_whatever_it_looks_like() -> None:
    config = load(table_with_condition("http-header:\n      Version: ${VERSION}"), {"VERSION": "1.0"})

    assert config.listeners[0].rules[0].conditions[0].values == ("1.0",)


def test_a_missing_variable_is_reported_once_and_at_its_value() -> None:
    problems = problems_of(SHORT.replace("port: 8080", 'port: "${PORT}"'))

    assert [(problem.code, problem.place.line, problem.place.column, problem.place.path) for problem in problems] == [
        ("environment", 2, 20, "listeners[0].port")
    ]


def test_keys_are_not_replaced() -> None:
    problems = problems_of(SHORT.replace("version", "${VERSION}"), {"VERSION": "version"})

    assert [problem.code for problem in problems] == ["unknown-key", "missing-key"]


SECRET = "hunter2/with\nevil characters é and a tail that is rather long, to be cut in messages, if ever shown"


@pytest.mark.parametrize(
    "text",
    [
        SHORT.replace("version: 1", "version: ${SECRET}"),
        SHORT.replace("port: 8080", 'port: "${SECRET}"'),
        SHORT.replace("forward: monolith", 'forward: "${SECRET}"'),
        SHORT.replace("http://localhost:8000", '"${SECRET}"'),
        *(
            table_with_condition(f'{condition}: "${{SECRET}}"')
            for condition in ("host-header", "path-pattern", "http-request-method", "query-string", "source-ip")
        ),
        table_with_condition('path-pattern: {regex: "(${SECRET}"}'),
        table_with_condition('http-header: {A: "${SECRET}"}'),
        *(
            table_with_action(f'redirect: {{status_code: HTTP_302, {key}: "${{SECRET}}"}}')
            for key in ("protocol", "host", "port", "path", "query")
        ),
        table_with_action('fixed-response: {status_code: "${SECRET}"}'),
        table_with_action('fixed-response: {status_code: 200, content_type: "${SECRET}"}'),
        table_with_action("forward: monolith\nstickiness: ${SECRET}"),
        HTTPS.replace("https://login.example.com/token", "${SECRET}").replace("CLIENT_SECRET", "SECRET"),
    ],
)
def test_no_message_shows_a_value_from_the_environment(text: str) -> None:
    """Also not in part: the reference is shown instead."""
    problems = problems_of(text, {"SECRET": SECRET})

    assert problems
    assert not any(word in str(problem) for problem in problems for word in ("hunter2", "evil", "é", "tail"))


def test_a_target_group_name_from_the_environment_is_not_shown_either() -> None:
    problems = problems_of(SHORT.replace("forward: monolith", 'forward: "${SECRET}"'), {"SECRET": "hunter2"})

    assert [problem.message for problem in problems if problem.severity == "error"] == [
        'there is no target group "${SECRET}"; known: monolith'
    ]


def test_a_literal_secret_is_refused_and_not_shown() -> None:
    problems = problems_of(HTTPS.replace("${CLIENT_SECRET}", "hunter2"))

    assert [problem.code for problem in problems if "secret" in problem.place.path] == ["literal-secret"]
    assert not any("hunter2" in str(problem) for problem in problems)
