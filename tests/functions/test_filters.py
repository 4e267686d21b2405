"""Which records a function gets (Lambda guide, "Event filtering")."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from proxy.functions.filters import Filters
from proxy.functions.pattern import PatternError

JSON_BODY = '{"code": "BBBB", "n": 7}'
IS_B = '{"body": {"code": ["BBBB"]}}'
IS_TEXT = '{"body": ["hello"]}'


def message(body: str) -> dict[str, Any]:
    return {"body": body, "messageId": "m"}


def record(data: bytes) -> dict[str, Any]:
    return {"kinesis": {"data": base64.b64encode(data).decode(), "partitionKey": "1"}}


@pytest.mark.parametrize(
    ("body", "pattern", "passes"),
    [
        pytest.param("hello", IS_TEXT, True, id="a text that matches a pattern for texts"),
        pytest.param("bye", IS_TEXT, False, id="a text that does not"),
        pytest.param("hello", IS_B, False, id="a text, and a pattern for JSON"),
        pytest.param(JSON_BODY, '{"body": [{"prefix": "{"}]}', False, id="JSON, and a pattern for texts"),
        pytest.param(JSON_BODY, IS_B, True, id="JSON that matches"),
        pytest.param('{"code": "A"}', IS_B, False, id="JSON that does not"),
        pytest.param('[{"code": "A"}, {"code": "BBBB"}]', IS_B, True, id="a list with an object that matches"),
        pytest.param("7", '{"body": ["7"]}', True, id="a number alone is a text"),
        pytest.param("[" * 100_000, IS_B, False, id="JSON without end"),
    ],
)
def test_messages(body: str, pattern: str, passes: bool) -> None:
    assert Filters([pattern], "sqs").pass_(message(body)) is passes


@pytest.mark.parametrize(
    ("data", "passes"),
    [
        pytest.param(b'{"order": {"type": "buy"}}', True, id="JSON that matches"),
        pytest.param(b'{"order": {"type": "sell"}}', False, id="JSON that does not"),
        pytest.param(b"buy", False, id="no JSON"),
        pytest.param(b"\xff\x00", False, id="no text"),
    ],
)
def test_records(data: bytes, passes: bool) -> None:
    assert Filters(['{"data": {"order": {"type": ["buy"]}}}'], "kinesis").pass_(record(data)) is passes


def test_one_filter_is_enough_and_none_lets_all_pass() -> None:
    either = Filters([IS_TEXT, IS_B], "sqs")
    assert [either.pass_(message(body)) for body in ("hello", JSON_BODY, "bye", "{}")] == [True, True, False, False]
    assert Filters([], "kinesis").pass_(record(b"\xff"))
    assert not Filters([], "sqs")


@pytest.mark.parametrize(
    ("patterns", "service", "said"),
    [
        pytest.param(["{"], "sqs", "filter 1: it is no JSON", id="no JSON"),
        pytest.param([IS_B, '{"body": {}}'], "sqs", "filter 2: body must not be empty", id="the second one"),
        pytest.param(['{"attributes": {"a": ["b"]}}'], "sqs", "it must have body as its only key", id="metadata"),
        pytest.param([json.dumps({"body": ["a"]})], "kinesis", "it must have data as its only key", id="another's key"),
        pytest.param(['{"data": ["a"]}'], "kinesis", "data must be an object", id="a text of a stream"),
        pytest.param([IS_B] * 11, "sqs", "there are 11 filters, 10 may be", id="too many"),
    ],
)
def test_what_cannot_be_a_filter(patterns: list[str], service: str, said: str) -> None:
    with pytest.raises(PatternError) as caught:
        Filters(patterns, service)
    assert said in str(caught.value)
