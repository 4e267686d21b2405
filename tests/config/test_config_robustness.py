"""Whatever the file holds: a ConfigError with places, or a table; never anything else, and never for long."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from config_tables import EXAMPLES, WHOLE, problems_of
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config import tree
from proxy.config.load import load_with_warnings
from proxy.config.problem import ConfigError

KEYS = st.sampled_from(
    [
        *("version", "attributes", "listeners", "target_groups", "rules", "name", "port", "protocol", "default"),
        *("priority", "conditions", "forward", "redirect", "fixed-response", "stickiness", "transforms", "migration"),
        *("host-header", "path-pattern", "http-header", "query-string", "source-ip", "http-request-method", "regex"),
        *("targets", "health_check", "matcher", "local", "monolith", "status_code", "path", "query", "enabled"),
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 70_000),
    st.floats(allow_nan=False),
    st.dates(),
    st.text(max_size=8),
    st.sampled_from(["${X}", "${", "*", "/", "a.com", "(", "HTTP", "1.2.3.4/8", "http://a:1"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)
PIECES = st.sampled_from(
    [
        *(
            "version: 1",
            "\n",
            "\n  ",
            "\n    - ",
            "- ",
            ": ",
            "{",
            "}",
            "[",
            "]",
            ", ",
            "#",
            "&a ",
            "*a",
            "!!str ",
            "!x ",
        ),
        *(
            "|",
            ">",
            "'",
            '"',
            "---\n",
            "...",
            "\t",
            "${X}",
            "${",
            "%YAML",
            "? ",
            "<<: ",
            "listeners",
            "1",
            "~",
            "é",
            "\x00",
        ),
        *("\u2028", "\ufeff", "\x85", "a", "forward: ", "rules:"),
    ]
)


def assert_loads_or_says_why(text: str | bytes) -> None:
    problems = []
    try:
        load_with_warnings(text, {"X": "x"})
    except ConfigError as error:
        problems = error.problems
        if not any(problem.severity == "error" for problem in problems):
            pytest.fail("refused without an error")
    for problem in problems:
        assert problem.place.line >= 1
        assert problem.place.column >= 1
        assert len(problem.message) < 600
        assert problem.code == problem.code.lower().replace(" ", "-")


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=60))
def test_any_text(text: str) -> None:
    assert_loads_or_says_why(text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(content: bytes) -> None:
    assert_loads_or_says_why(content)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_values_under_the_keys_of_the_language(table: dict[str, Any]) -> None:
    assert_loads_or_says_why(yaml.safe_dump(table, allow_unicode=True))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(EXAMPLES)), st.integers(0, 4000), st.integers(0, 12), PIECES)
def test_an_example_with_a_piece_replaced(name: str, start: int, length: int, piece: str) -> None:
    """What a slip of the hand leaves behind."""
    text = EXAMPLES[name]
    start %= len(text)

    assert_loads_or_says_why(text[:start] + piece + text[start + length :])


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(BOMB, "too-large", id="aliases that expand to ten billion values"),
        pytest.param("a: &a [*a]\n", "yaml-syntax", id="an alias inside its own anchor"),
        pytest.param("[" * 500 + "]" * 500, "too-deep", id="500 lists in one another"),
        pytest.param("{a: " * 500, "too-deep", id="500 open mappings"),
        pytest.param("[" * 100_000, "yaml-syntax", id="100 000 open lists"),
        pytest.param("- " * 10_000, "too-deep", id="10 000 lists in block form"),
        pytest.param("x" * (tree.MAX_CHARACTERS + 1), "too-large", id="a file over 4 MiB"),
        pytest.param("[" + "1," * (tree.MAX_NODES + 1) + "]", "too-large", id="more values than anybody has"),
        pytest.param("k" * 1_000_000 + ": 1\n", "yaml-syntax", id="a key of a megabyte"),
        pytest.param(
            "{" + ", ".join(f"k{n}: " for n in range(40_000)) + "}", "unknown-key", id="40 000 nulls in a line"
        ),
        pytest.param(
            "version: 1\nlisteners: [{rules: [{transforms: ["
            + "{url-rewrite: {regex: a, replace: b}}, " * 20_000
            + "]}]}]",
            "duplicate-transform",
            id="20 000 transforms",
        ),
        pytest.param(
            "version: 1\nlisteners: [{port: 1, default: {forward: a}, rules: ["
            + "".join(f"{{priority: {n}, forward: name-{n}}}, " for n in range(1, 10_000))
            + "]}]\ntarget_groups: {"
            + "".join(f"group-{n}: {{targets: []}}, " for n in range(10_000))
            + "}",
            "unknown-target-group",
            id="10 000 unknown names among 10 000 target groups",
        ),
        pytest.param("a: ${" + "x" * 100_000 + "\nb: ${" + "X" * 100_000 + "}", "environment", id="long references"),
        pytest.param("a: !" + "t" * 10_000 + " x", "yaml-tag", id="a long tag"),
        pytest.param("a: *" + "t" * 10_000, "yaml-syntax", id="a long alias"),
        pytest.param("? " + "k" * 100_000 + "\n: 1\n", "unknown-key", id="a long key that YAML allows"),
    ],
)
def test_what_could_take_long_or_much_memory_is_refused(text: str, code: str) -> None:
    problems = problems_of(text)

    assert code in {problem.code for problem in problems}
    assert all(len(str(problem)) < 1000 for problem in problems)


def test_the_parser_written_in_python_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML may be installed without its C part."""
    expected = problems_of(WHOLE)
    monkeypatch.setattr(tree, "_LOADER", yaml.SafeLoader)

    assert problems_of(WHOLE) == expected


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        pytest.param(b"\xff", 1, 1, id="at the start"),
        pytest.param("é: 1\nab".encode() + b"\xe9", 2, 3, id="in the second line"),
    ],
)
def test_bytes_that_are_not_utf_8(content: bytes, line: int, column: int) -> None:
    with pytest.raises(ConfigError) as caught:
        load_with_warnings(content, {})

    (problem,) = caught.value.problems
    assert (problem.code, problem.place.line, problem.place.column) == ("encoding", line, column)


def test_a_byte_order_mark_is_ignored() -> None:
    text = EXAMPLES["short"]

    assert load_with_warnings("\ufeff" + text, {}) == load_with_warnings(text.encode("utf-8-sig"), {})
