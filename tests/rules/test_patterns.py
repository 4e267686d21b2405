"""Wildcards and regular expressions against a slow oracle, and in linear time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.rules.patterns import PatternError, compile_regexes, compile_values, of_wildcards, parse_wildcard

PATTERNS = st.text("ab/.*?", min_size=1, max_size=12)
SUBJECTS = st.text("ab/.\n", max_size=16).map(str.encode)


def covers(pattern: str, subject: bytes, *, escapes: bool = False) -> bool:
    """The definition by dynamic programming: `row[i]` tells whether the tokens so far cover `subject[:i]`."""
    row = [True] + [False] * len(subject)
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if escapes and char == "\\" and pattern[position + 1 : position + 2] in ("*", "?"):
            position += 1
            char = "literal " + pattern[position]
        position += 1
        visible = [byte >= 0x20 and byte != 0x7F for byte in subject]
        if char == "*":
            for i, is_visible in enumerate(visible):
                row[i + 1] = row[i + 1] or (row[i] and is_visible)
        else:
            fits = visible if char == "?" else [byte == ord(char[-1]) for byte in subject]
            row = [False, *(row[i] and fits[i] for i in range(len(subject)))]
    return row[-1]


@given(PATTERNS, SUBJECTS)
@example("a*a", b"a")
@example("*a?b*b", b"aabab")
@example("**", b"")
def test_a_wildcard_means_what_the_oracle_says(pattern: str, subject: bytes) -> None:
    match = of_wildcards([parse_wildcard(pattern)]).match

    assert covers(pattern, subject) == (match(subject) is not None)


@given(st.text("ab\\*?", min_size=1, max_size=8), st.text("ab\\*?", max_size=8).map(str.encode))
@example("\\\\*", b"\\*")
def test_an_escaped_wildcard_means_what_the_oracle_says(pattern: str, subject: bytes) -> None:
    match = of_wildcards([parse_wildcard(pattern, escapes=True)]).match

    assert covers(pattern, subject, escapes=True) == (match(subject) is not None)


@given(st.lists(PATTERNS, min_size=1, max_size=4), SUBJECTS)
def test_several_values_are_ored(patterns: list[str], subject: bytes) -> None:
    match = compile_values(patterns, ()).match

    assert any(covers(pattern, subject) for pattern in patterns) == (match(subject) is not None)


@given(PATTERNS)
def test_prefix_and_suffix_stand_outside_the_wildcards(pattern: str) -> None:
    wildcard = parse_wildcard(pattern)
    places = [i for i, char in enumerate(pattern) if char in "*?"]

    if places:
        assert (None, pattern[: places[0]].encode(), pattern[places[-1] + 1 :].encode()) == (
            wildcard.literal,
            wildcard.prefix,
            wildcard.suffix,
        )
    else:
        assert pattern.encode() == wildcard.literal


@pytest.mark.parametrize(
    ("pattern", "end"),
    [
        pytest.param("/*a*a*a*a*b", b"", id="stars between letters that repeat"),
        pytest.param("*aaaa*aaaa*aaaa*aaaa*aaaa*b", b"", id="six stars, segments that overlap"),
        pytest.param("*a?a*a?a*ab", b"", id="question marks inside segments"),
        pytest.param("*" + "a" * 127, b"x", id="a long tail that almost fits everywhere"),
        pytest.param("*" + "a" * 125 + "b*", b"", id="a long middle that almost fits everywhere"),
    ],
)
def test_wildcards_take_linear_time(pattern: str, end: bytes) -> None:
    """Sixteen times the subject takes about sixteen times as long: quadratic time would take 256 times."""
    match = of_wildcards([parse_wildcard(pattern)]).match
    short, long = (b"/" + b"a" * length + end for length in (4_096, 65_536))
    assert (match(short), match(long)) == (None, None)

    assert best_seconds(match, long) < 100 * best_seconds(match, short)


def test_regexes_take_linear_time() -> None:
    """The classic trap of a backtracking engine ends at once."""
    assert compile_regexes(["^(a+)+$"])(b"a" * 65_535 + b"!") is None


def best_seconds(match: Callable[[bytes], object], subject: bytes) -> float:
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        match(subject)
        rounds.append(time.perf_counter() - start)
    return min(rounds)


@pytest.mark.parametrize(
    ("patterns", "subject", "holds"),
    [
        pytest.param([r"^/api/(.*)$"], b"/api/x", True, id="anchored"),
        pytest.param([r"api"], b"/my-api-2", True, id="without anchors it is searched for"),
        pytest.param([r"^/a$", r"^/b$"], b"/b", True, id="several are ORed"),
        pytest.param([r"^/a|b$"], b"/b", True, id="an alternation keeps its own scope"),
        pytest.param([r"^/a$", r"^/b$"], b"/ab", False, id="none holds"),
        pytest.param([r"(?i)^/a$", r"^/b$"], b"/B", False, id="a flag stays with its own value"),
        pytest.param([r"^.$"], b"\xff", True, id="any byte is a character"),
    ],
)
def test_regexes(patterns: list[str], subject: bytes, holds: bool) -> None:
    assert holds == (compile_regexes(patterns)(subject) is not None)


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param("(?=a)b", id="lookahead"),
        pytest.param("(?<!a)b", id="lookbehind"),
        pytest.param(r"(a)\1", id="backreference"),
        pytest.param("(?>a)", id="atomic group"),
        pytest.param("a++", id="possessive quantifier"),
        pytest.param("(", id="malformed"),
        pytest.param("a)(b", id="malformed, though not within the group of several"),
        pytest.param("((a{100}){100}){100}", id="too large"),
    ],
)
def test_an_unsupported_regex_is_refused_by_name(pattern: str, capfd: pytest.CaptureFixture[str]) -> None:
    """alb.md 2.2 lists what the load balancer does not support; nothing of the engine's own log leaks."""
    with pytest.raises(PatternError) as refused:
        compile_regexes(["fine", pattern])

    assert repr(pattern) in str(refused.value)
    assert capfd.readouterr() == ("", "")
