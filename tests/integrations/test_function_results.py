"""What functions return, as responses (API Gateway guide)."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import IntegrationError
from proxy.http1.head import parse_response_head
from proxy.integrations.alb import answer as alb_answer
from proxy.integrations.api_gateway import answer_1_0, answer_2_0
from proxy.integrations.message import Answer
from proxy.integrations.results import BadResultError

JSON = (b"content-type", b"application/json")
TEXT = (b"content-type", b"text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        pytest.param({"statusCode": 200}, Answer(200, [JSON]), id="a status alone"),
        pytest.param({"statusCode": "201", "body": "x"}, Answer(201, [JSON], b"x"), id="a status as string"),
        pytest.param({"statusCode": 200, "body": None}, Answer(200, [JSON]), id="null as body"),
        pytest.param(
            {"statusCode": 200, "headers": {"Content-Type": "a/b", "N": 1, "T": True}},
            Answer(200, [(b"Content-Type", b"a/b"), (b"N", b"1"), (b"T", b"true")]),
            id="numbers and booleans as headers",
        ),
        pytest.param(
            {"statusCode": 200, "headers": {"A": "1", "B": "4"}, "multiValueHeaders": {"a": ["1", "2"]}},
            Answer(200, [(b"a", b"1"), (b"a", b"2"), (b"B", b"4"), JSON]),
            id="both header objects, one pair in both",
        ),
        pytest.param(
            {"statusCode": 200, "body": "AP8=", "isBase64Encoded": True}, Answer(200, [JSON], b"\x00\xff"), id="base64"
        ),
        pytest.param(
            {"statusCode": 200, "headers": {"Content-Length": "9", "Connection": "close"}},
            Answer(200, [JSON]),
            id="what belongs to the connection",
        ),
    ],
)
def test_payload_1_0(result: Any, expected: Answer) -> None:
    assert answer_1_0(json.dumps(result).encode()) == expected


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param(b'{"message": "hi"}', Answer(200, [JSON], b'{"message": "hi"}'), id="an object without a status"),
        pytest.param(b'"Hello"', Answer(200, [JSON], b"Hello"), id="a string"),
        pytest.param(b"null", Answer(200, [JSON], b"null"), id="null"),
        pytest.param(b"[1, 2]", Answer(200, [JSON], b"[1, 2]"), id="a list"),
        pytest.param(b'{"statusCode": 404, "body": "no"}', Answer(404, [TEXT], b"no"), id="a status and a body"),
        pytest.param(
            b'{"statusCode": 200, "cookies": ["a=1; Path=/", "b=2"]}',
            Answer(200, [(b"Set-Cookie", b"a=1; Path=/"), (b"Set-Cookie", b"b=2"), TEXT]),
            id="cookies",
        ),
        pytest.param(
            b'{"statusCode": 200, "multiValueHeaders": {"a": ["1"]}}',
            Answer(200, [TEXT]),
            id="no multiValueHeaders in 2.0",
        ),
    ],
)
def test_payload_2_0(payload: bytes, expected: Answer) -> None:
    assert answer_2_0(payload) == expected


BAD = [
    pytest.param({"statusCode": 200, "body": {"a": 1}}, id="an object as body"),
    pytest.param({"statusCode": 200, "body": 1}, id="a number as body"),
    pytest.param({"statusCode": None}, id="null as status"),
    pytest.param({"statusCode": "2000"}, id="four digits"),
    pytest.param({"statusCode": 200.5}, id="a fraction"),
    pytest.param({"statusCode": 200, "headers": {"a": None}}, id="null as header"),
    pytest.param({"statusCode": 200, "headers": {"a": ["b"]}}, id="a list as header"),
    pytest.param({"statusCode": 200, "headers": "a: b"}, id="headers as text"),
    pytest.param({"statusCode": 200, "headers": {"": "b"}}, id="a header without a name"),
    pytest.param({"statusCode": 200, "headers": {"a": "b\n"}}, id="a line feed in a header"),
    pytest.param({"statusCode": 200, "body": "a b", "isBase64Encoded": True}, id="no base64"),
]


@pytest.mark.parametrize("result", BAD)
def test_what_is_no_response(result: Any) -> None:
    payload = json.dumps(result).encode()

    with pytest.raises(BadResultError):
        answer_1_0(payload)
    with pytest.raises(BadResultError):
        answer_2_0(payload)


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"Infinity", b"[" * 100_000])
def test_what_is_no_json(payload: bytes) -> None:
    with pytest.raises(BadResultError):
        answer_1_0(payload)
    with pytest.raises(BadResultError):
        answer_2_0(payload)


@pytest.mark.parametrize(
    "result",
    [
        pytest.param([], id="a list"),
        pytest.param("x", id="a string"),
        pytest.param({"message": "hi"}, id="no status"),
        pytest.param({"statusCode": 200, "multiValueHeaders": {"a": "b"}}, id="a string as list"),
    ],
)
def test_what_is_no_response_in_1_0(result: Any) -> None:
    with pytest.raises(BadResultError):
        answer_1_0(json.dumps(result).encode())


def test_cookies_must_be_strings() -> None:
    with pytest.raises(BadResultError):
        answer_2_0(b'{"statusCode": 200, "cookies": [1]}')


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = ["statusCode", "statusDescription", "headers", "multiValueHeaders", "cookies", "body", "isBase64Encoded"]
RESULTS = st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS, JSON_VALUES)) | JSON_VALUES
PLAUSIBLE = st.fixed_dictionaries(
    {"statusCode": st.integers(198, 602)},
    optional={
        "statusDescription": st.text(max_size=9),
        "headers": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
        "multiValueHeaders": st.dictionaries(
            st.text(max_size=5), st.lists(st.text(max_size=5), max_size=2), max_size=3
        ),
        "body": st.text(max_size=9),
        "isBase64Encoded": st.booleans(),
    },
)


@settings(deadline=None)
@given(RESULTS | PLAUSIBLE)
def test_whatever_a_function_returns_is_a_response_or_an_error_with_a_name(result: Any) -> None:
    """No result makes a head that means something else, and none makes the gateway stumble."""
    payload = json.dumps(result).encode()
    answers = []
    for multi_value in (False, True):
        with suppress(IntegrationError):
            answers.append(alb_answer(payload, multi_value=multi_value))
    for take in (answer_1_0, answer_2_0):
        with suppress(BadResultError):
            answers.append(take(payload))
    for answer in answers:
        head = answer.head()
        line = b"HTTP/1.1 %d %s\r\n%s\r\n" % (answer.status, answer.reason, head.block)
        read = parse_response_head(line)
        assert (read.status, read.headers) == (answer.status, head.headers)
        assert read.length == (0 if answer.status in (204, 304) else len(answer.body))
