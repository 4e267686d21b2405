"""Containment of wildcard patterns, against every short subject."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.rules.coverage.globs import (
    HEADER_VALUES,
    HOSTS,
    PATHS,
    QUERY_PAIRS,
    Universe,
    difference,
    glob_of,
    pair_glob_of,
)
from proxy.rules.coverage.regex_sample import needs_upper_case, prefix_of, sample_of
from proxy.rules.coverage.work import ExhaustedError, UndecidedError, Work
from proxy.rules.patterns import compile_regexes, compile_values, parse_wildcard

ANYTHING = Universe(b"", lambda state, byte: 0, frozenset({0}))
SHORT = [bytes(letters) for length in range(6) for letters in product(b"/ax", repeat=length)]
PATTERNS = st.text("/a*?", min_size=1, max_size=5)


def plenty() -> Work:
    return Work(10_000_000, 10_000_000)


@settings(deadline=None)
@given(PATTERNS)
def test_an_automaton_takes_what_the_table_takes(pattern: str) -> None:
    glob, match = glob_of(pattern, fold=False), compile_values([pattern], []).match

    assert [text for text in SHORT if match(text)] == [text for text in SHORT if glob.matches(text)]


@settings(deadline=None)
@given(st.none() | st.text("ab=*?\\", max_size=4), st.text("ab=*?\\", max_size=4), st.text("ab=*?\\", max_size=6))
def test_a_pair_is_taken_as_the_table_takes_it(key: str | None, value: str, query: str) -> None:
    glob = pair_glob_of(key, value)
    of_query, _, rest = query.encode().partition(b"=")

    def wildcard(text: str, subject: bytes) -> object:
        return re.fullmatch(parse_wildcard(text, fold=True, escapes=True).source, subject)

    expected = wildcard(value, rest) and (key is None or wildcard(key, of_query))

    assert bool(expected) == (glob is not None and glob.matches(of_query + b"=" + rest))


@pytest.mark.parametrize(
    ("key", "value", "pair", "is_taken"),
    [
        ("a*", "b", b"a=b", True),
        ("a*", "b", b"a=x=b", False),
        ("a?", "b", b"a==b", False),
        ("a", "*=b", b"a=x=b", True),
        (None, "b", b"x=b", True),
        (None, "b", b"x=y=b", False),
        (r"\*", r"\?", b"*=?", True),
        (r"\*", "1", b"a=1", False),
    ],
)
def test_a_wildcard_of_a_key_ends_with_the_key(key: str | None, value: str, pair: bytes, is_taken: bool) -> None:
    glob = pair_glob_of(key, value)

    assert glob is not None
    assert is_taken is glob.matches(pair)


@settings(deadline=None)
@given(PATTERNS, st.lists(PATTERNS, max_size=3), st.sampled_from([ANYTHING, PATHS, HOSTS]))
def test_what_is_left_of_a_pattern_without_others(pattern: str, others: list[str], universe: Universe) -> None:
    """The answer is a subject that only the first takes; if there is none, there is none among the short ones."""
    glob, rest = glob_of(pattern, fold=False), [glob_of(other, fold=False) for other in others]

    left = difference(glob, rest, universe, plenty())

    short = [
        text
        for text in SHORT
        if universe.holds(text) and glob.matches(text) and not any(other.matches(text) for other in rest)
    ]
    if left is None:
        assert short == []
    else:
        assert universe.holds(left)
        assert glob.matches(left)
        assert not any(other.matches(left) for other in rest)
        assert not short or len(left) == len(short[0])


@pytest.mark.parametrize(
    ("pattern", "others", "is_covered"),
    [
        ("/api/users", ["/api/*"], True),
        ("/api/users/*", ["/api/*"], True),
        ("/api/*", ["/api/users/*"], False),
        ("/api", ["/api/*"], False),
        ("/a?", ["/a*"], True),
        ("/a*", ["/a?"], False),
        ("/*.php", ["*.php"], True),
        ("*.php", ["/*.php"], True),
        ("*a*b*", ["*a*", "*b*"], True),
        ("*a*", ["*a*b*"], False),
        ("/**", ["/*"], True),
        ("/*", ["/**"], True),
        ("/*", ["/", "/?*"], True),
        ("/*", ["/", "/??*"], False),
        ("/a*", ["/a", "/a?", "/a??*"], True),
        ("*", ["/*"], True),
    ],
)
def test_containment_of_paths(pattern: str, others: list[str], is_covered: bool) -> None:
    left = difference(glob_of(pattern, fold=False), [glob_of(other, fold=False) for other in others], PATHS, plenty())

    assert is_covered is (left is None)


@pytest.mark.parametrize(
    ("universe", "subject", "held"),
    [
        pytest.param(PATHS, b"/a", True, id="a path"),
        pytest.param(PATHS, b"a", False, id="a path begins with a slash"),
        pytest.param(PATHS, b"/\x01", False, id="control bytes are outside"),
        pytest.param(HOSTS, b"", False, id="no host is empty"),
        pytest.param(HEADER_VALUES, b"", True, id="a header value may be empty"),
        pytest.param(HEADER_VALUES, b"a b", True, id="white space inside"),
        pytest.param(HEADER_VALUES, b" a", False, id="white space before is cut off"),
        pytest.param(HEADER_VALUES, b"a ", False, id="white space after is cut off"),
        pytest.param(QUERY_PAIRS, b"a=", True, id="a bare token has an empty value"),
        pytest.param(QUERY_PAIRS, b"=a", True, id="an empty key may have a value"),
        pytest.param(QUERY_PAIRS, b"=", False, id="nothing is no pair"),
        pytest.param(QUERY_PAIRS, b"a=b=c", True, id="the first equals sign ends the key"),
        pytest.param(QUERY_PAIRS, b"a=b&c", False, id="an ampersand ends the pair"),
    ],
)
def test_what_a_subject_can_be(universe: Universe, subject: bytes, held: bool) -> None:
    assert held is universe.holds(subject)


def test_the_largest_patterns_of_a_rule_are_compared_within_the_steps() -> None:
    """Six wildcards and 128 characters, five values on the other side: the sets of positions stay few."""
    subject = "/" + "*ab" * 6 + "a" * 109
    others = ["*" + "ab" * 60 + "?*", "/*" + "a" * 110 + "*b", "*a?????b", "/*a*b*a*b*c", "*b*" + "a" * 120]
    work = Work(2_000_000, 2_000_000)

    left = difference(glob_of(subject, fold=False), [glob_of(other, fold=False) for other in others], PATHS, work)

    assert left is not None


def test_steps_end_a_comparison() -> None:
    globs = glob_of("/*a*b*", fold=False), [glob_of("*b?????a*", fold=False)]

    with pytest.raises(UndecidedError):
        difference(*globs, PATHS, Work(1_000, 3))
    with pytest.raises(ExhaustedError):
        difference(*globs, PATHS, Work(3, 1_000))


@pytest.mark.parametrize(
    "regex",
    [
        r"^/api/(.*)$",
        r"^\/api\/v[0-9]+\/users\/?$",
        r"^(.*)\.example\.com$",
        r"(?i)^/a$",
        r"^/(?:a|b){2,3}x+$",
        r"^/[^/]+/[[:alpha:]]\d\w*$",
        r"^(?P<name>a)?b$",
        r".+",
        r"^/a{3}$",
        r"\bword\b",
        r"[]x]",
    ],
)
def test_a_regex_takes_its_sample(regex: str) -> None:
    sample = sample_of(regex)

    assert sample is not None
    assert compile_regexes([regex])(sample)


@pytest.mark.parametrize("regex", [r"\Qa.b\E", "(a", "a)", "(?:a{900}){2}"])
def test_no_sample_of_what_the_sampler_has_no_word_for(regex: str) -> None:
    assert sample_of(regex) is None


@pytest.mark.parametrize(
    ("regex", "prefix"),
    [
        (r"^/api/v[12]/.*$", "/api/v"),
        (r"^\/api\/(.*)$", "/api/"),
        (r"^/ab*c", "/a"),
        (r"^/a\.?b", "/a"),
        (r"^/a{2}", "/"),
        ("^/a|b", ""),
        ("(?i)^/a", ""),
        ("/a", ""),
    ],
)
def test_how_what_a_regex_takes_begins(regex: str, prefix: str) -> None:
    assert prefix == prefix_of(regex)


@pytest.mark.parametrize(
    ("regex", "needs"),
    [
        (r"^API\.example\.com$", True), (r"^(.*)\.Example\.com", True), (r"A+", True), (r"(?P<Name>aB)", True),
        (r"(?:Ab)", True), (r"^api", False), (r"^[A-Z]+\.a", False), (r"^A?b", False), (r"(A)?b", False),
        (r"A{0,2}b", False), (r"a|B", False), (r"(?i)^API", False), (r"(?i:A)", False), (r"\x4Ab", False),
        (r"\x{4A}b", False), (r"\D\S", False), (r"(?P<Name>a)", False), (r"[[:alpha:]X]y", False),
    ],
)  # fmt: skip
def test_whether_a_regex_needs_an_upper_case_letter(regex: str, needs: bool) -> None:
    assert needs_upper_case(regex) is needs
