"""Event patterns, against what MiniStack's TestEventPattern says (EventBridge guide, "Comparison operators")."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_endpoint import client
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.functions.pattern import Pattern, PatternError

Oracle = Callable[[Any, Any], bool]


@pytest.fixture(scope="module")
def oracle(aws_endpoint: str) -> Oracle:
    events = client("events", aws_endpoint)
    envelope = {"id": "1", "account": "0", "source": "s", "time": "2026-01-01T00:00:00Z", "region": "r"}

    def matches(rules: Any, document: Any) -> bool:
        event = {**envelope, "resources": [], "detail-type": "t", "detail": document}
        answer = events.test_event_pattern(EventPattern=json.dumps({"detail": rules}), Event=json.dumps(event))
        return bool(answer["Result"])

    return matches


CASES: list[tuple[str, Any, list[Any], list[Any]]] = [
    ("equal", {"a": ["x", 5]}, [{"a": "x"}, {"a": 5}, {"a": 5.0}], [{"a": "5"}, {"a": "X"}, {}, {"b": "x"}]),
    ("true is not 1", {"a": [True]}, [{"a": True}], [{"a": 1}, {"a": "true"}, {"a": False}]),
    ("1 is not true", {"a": [1]}, [{"a": 1}], [{"a": True}]),
    ("null is not missing", {"a": [None]}, [{"a": None}], [{}, {"a": ""}, {"a": 0}]),
    ("empty", {"a": [""]}, [{"a": ""}], [{"a": None}, {}]),
    ("all keys", {"a": [1], "b": {"c": [2]}}, [{"a": 1, "b": {"c": 2}}], [{"a": 1}, {"a": 1, "b": 2}]),
    ("one of an array", {"a": ["x"]}, [{"a": ["y", "x"]}], [{"a": ["y"]}, {"a": []}, {"a": {"x": 1}}]),
    (
        "within one object of an array",
        {"a": {"b": [1], "c": [2]}},
        [{"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 0}, {"b": 1, "c": 2}]}],
        [{"a": [{"b": 1}, {"c": 2}]}, {"a": []}],
    ),
    ("prefix", {"a": [{"prefix": "ab"}]}, [{"a": "abc"}, {"a": "ab"}], [{"a": "AB"}, {"a": 1}, {}]),
    ("suffix", {"a": [{"suffix": "c"}]}, [{"a": "abc"}], [{"a": "C"}, {"a": "cab"}]),
    ("prefix, ignoring case", {"a": [{"prefix": {"equals-ignore-case": "aB"}}]}, [{"a": "Abc"}], [{"a": "b"}]),
    ("ignoring case", {"a": [{"equals-ignore-case": "aB"}]}, [{"a": "Ab"}], [{"a": "abc"}]),
    ("wildcard", {"a": [{"wildcard": "a*c*"}]}, [{"a": "ac"}, {"a": "abcd"}], [{"a": "bac"}, {"a": "ab"}]),
    ("wildcard, overlapping", {"a": [{"wildcard": "ab*ba"}]}, [{"a": "abba"}], [{"a": "aba"}]),
    ("wildcard, escaped", {"a": [{"wildcard": "a\\*b"}]}, [{"a": "a*b"}], [{"a": "axb"}]),
    ("anything but", {"a": [{"anything-but": ["x", "y"]}]}, [{"a": "z"}, {"a": 1}], [{"a": "x"}, {}]),
    ("anything but a number", {"a": [{"anything-but": 5}]}, [{"a": 6}, {"a": "5"}], [{"a": 5}]),
    ("anything but a prefix", {"a": [{"anything-but": {"prefix": "x"}}]}, [{"a": "y"}], [{"a": "xy"}, {}]),
    ("anything but suffixes", {"a": [{"anything-but": {"suffix": ["x", "z"]}}]}, [{"a": "y"}], [{"a": "az"}]),
    ("anything but a wildcard", {"a": [{"anything-but": {"wildcard": "x*"}}]}, [{"a": "y"}], [{"a": "xy"}]),
    ("a range", {"a": [{"numeric": [">", 0, "<=", 5]}]}, [{"a": 5}, {"a": 0.1}], [{"a": 0}, {"a": "3"}, {"a": True}]),
    ("a number", {"a": [{"numeric": ["=", 5]}]}, [{"a": 5.0}], [{"a": 4}]),
    ("a network", {"a": [{"cidr": "10.0.0.0/24"}]}, [{"a": "10.0.0.7"}], [{"a": "10.0.1.7"}, {"a": "x"}]),
    ("exists", {"a": [{"exists": True}]}, [{"a": 1}, {"a": ""}, {"a": None}], [{}, {"a": {"b": 1}}]),
    ("does not exist", {"a": [{"exists": False}]}, [{}, {"b": 1}, {"a": {"b": 1}}], [{"a": 1}]),
    (
        "or",
        {"c": [1], "$or": [{"a": [1]}, {"b": [{"exists": True}]}]},
        [{"c": 1, "a": 1}, {"c": 1, "b": 2}],
        [{"c": 1}, {"a": 1}, {"c": 1, "a": 2}],
    ),
]


@pytest.mark.parametrize(
    ("rules", "yes", "no"), [pytest.param(rules, yes, no, id=name) for name, rules, yes, no in CASES]
)
def test_operators(oracle: Oracle, rules: Any, yes: list[Any], no: list[Any]) -> None:
    pattern = Pattern(json.dumps(rules))
    assert [pattern.matches(document) for document in yes] == [True] * len(yes)
    assert [pattern.matches(document) for document in no] == [False] * len(no)
    assert [oracle(rules, document) for document in (*yes, *no)] == [True] * len(yes) + [False] * len(no)


REFUSED = [
    ("{", "no JSON"),
    ("[]", "a JSON object"),
    ("{}", "at least one key"),
    ('{"a": "x"}', "a must be an object, or a list of values"),
    ('{"a": {"b": 1}}', "a.b must be an object, or a list"),
    ('{"a": []}', "a must not be an empty list"),
    ('{"a": {}}', "a must not be empty"),
    ('{"a": [[1]]}', "a list within its list"),
    ('{"a": [{}]}', "an operator is an object with one key"),
    ('{"a": [{"prefix": "x", "suffix": "y"}]}', "an operator is an object with one key"),
    ('{"a": [{"bogus": 1}]}', "there is no operator 'bogus'"),
    ('{"a": [{"prefix": 1}]}', "a: prefix takes a text"),
    ('{"a": [{"numeric": [">"]}]}', "a: numeric takes one or two comparisons"),
    ('{"a": [{"numeric": ["!", 1]}]}', "a: numeric compares with"),
    ('{"a": [{"numeric": [">", 5, "<", 1]}]}', "a lower and then a higher limit"),
    ('{"a": [{"anything-but": [1, "x"]}]}', "takes texts, or numbers"),
    ('{"a": [{"anything-but": {"numeric": ["=", 1]}}]}', "takes values, or one of prefix"),
    ('{"a": [{"exists": "yes"}]}', "exists takes true or false"),
    ('{"a": [{"cidr": "x"}]}', "takes a network"),
    ('{"a": [{"wildcard": "a**"}]}', "two * in a row"),
    ('{"a": [{"wildcard": "a\\\\b"}]}', "after a \\"),
    ('{"a": [1], "a": [2]}', "twice"),
    ('{"a": [NaN]}', "no JSON"),
    ('{"a": ["%s"]}' % ("x" * 4096), "4096 may be"),
    ('{"a":' * 101 + "[1]" + "}" * 101, "more than 100 objects deep"),
    ("[" * 4096, "no JSON"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text[:40] for text, _ in REFUSED])
def test_what_is_no_pattern(text: str, message: str) -> None:
    with pytest.raises(PatternError) as caught:
        Pattern(text)
    assert message in str(caught.value)


def test_depth_is_no_danger() -> None:
    """Patterns may be 100 objects deep, documents as deep as they like."""
    deepest = Pattern('{"a":' * 100 + "[1]" + "}" * 100)
    assert deepest.matches(json.loads('{"a":' * 100 + "1" + "}" * 100))
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert Pattern('{"a": [1]}').matches({"a": deep})


VALUES = st.sampled_from(["a", "ab", "b", "", 0, 1, 1.5, True, None])
DOCUMENTS = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2),
    max_leaves=5,
)
RULES = VALUES | st.sampled_from(
    [
        {"prefix": "a"},
        {"suffix": "b"},
        {"wildcard": "a*b"},
        {"equals-ignore-case": "AB"},
        {"anything-but": ["a"]},
        {"anything-but": {"prefix": "a"}},
        {"numeric": [">=", 1]},
        {"exists": True},
        {"exists": False},
    ]
)
PATTERNS = st.recursive(
    st.dictionaries(st.sampled_from("xy"), st.lists(RULES, min_size=1, max_size=2), min_size=1, max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("xy"), inner, min_size=1, max_size=2),
    max_leaves=3,
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PATTERNS, st.dictionaries(st.sampled_from("xy"), DOCUMENTS, max_size=2))
def test_any_pattern_and_document(oracle: Oracle, rules: Any, document: Any) -> None:
    try:
        expected = oracle(rules, document)
    except ClientError:
        return
    assert Pattern(json.dumps(rules)).matches(document) == expected
