"""Counting clicks: what is counted, what is reported, and that nothing is counted twice, however batches come again."""

from __future__ import annotations

import base64
import itertools
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aws_lambda_powertools.utilities.parser.models import KinesisDataStreamModel
from hypothesis import given, settings
from hypothesis import strategies as st
from lambda_code import function_module

CLICKS = Path(__file__).resolve().parents[2] / "extracted_services" / "clicks"
SHARD = "shardId-000000000000"
GOOD = b'{"page": "/"}'


@pytest.fixture(scope="module")
def count() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        return function_module(CLICKS / "functions" / "count" / "count.py")


class Table:
    """What `add` needs of DynamoDB: one item, and the two conditions."""

    class exceptions:
        class ConditionalCheckFailedException(Exception):
            def __init__(self, item: dict[str, Any]) -> None:
                self.response = {"Item": item}

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}

    def update_item(self, **call: Any) -> None:
        item = self.items.setdefault((call["Key"]["page"]["S"], call["Key"]["minute"]["S"]), {"clicks": {"N": "0"}})
        name = call["ExpressionAttributeNames"]["#reached"]
        values = call["ExpressionAttributeValues"]
        holds = {
            "attribute_not_exists(#reached)": name not in item,
            "#reached = :reached": item.get(name) == values.get(":reached"),
        }[call["ConditionExpression"]]
        if not holds:
            raise self.exceptions.ConditionalCheckFailedException(dict(item))
        item["clicks"] = {"N": str(int(item["clicks"]["N"]) + int(values[":clicks"]["N"]))}
        item[name] = values[":last"]

    def total(self) -> int:
        return sum(int(item["clicks"]["N"]) for item in self.items.values())


def record(data: bytes, number: int, shard: str = SHARD, arrived: float = 1_800_000_000.5) -> dict[str, Any]:
    """As the event source mapping sends it (Lambda guide, Using Lambda with Kinesis)."""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "/",
            "sequenceNumber": str(number),
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": arrived,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::000000000000:role/r",
        "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/clicks",
    }


def test_the_recorded_event_is_lambdas() -> None:
    KinesisDataStreamModel.model_validate({"Records": [record(GOOD, 1)]})


def test_clicks_are_counted_by_page_and_minute(count: ModuleType) -> None:
    records = [
        record(b'{"page": "/a"}', 8),
        record(b'{"page": "/b", "more": 1}', 9),
        record(b'{"page": "/a"}', 10),
        record(b'{"page": "/a"}', 11, arrived=1_800_000_060.0),
        record(b'{"page": "/a"}', 12, shard="shardId-000000000001"),
    ]
    counts, failed = count.counted(records)
    assert {(one.page, one.minute, one.shard[-1]): len(numbers) for one, numbers in counts.items()} == {
        ("/a", "2027-01-15T08:00Z", "0"): 2,
        ("/b", "2027-01-15T08:00Z", "0"): 1,
        ("/a", "2027-01-15T08:01Z", "0"): 1,
        ("/a", "2027-01-15T08:00Z", "1"): 1,
    }
    assert failed is None


@pytest.mark.parametrize(
    "poison",
    [
        b"",
        b"\xff",
        b"{",
        b"[" * 100_000,
        b"7",
        b"null",
        b"{}",
        b'{"page": 7}',
        b'{"page": "a"}',
        b'{"page": "/%s"}' % (b"a" * 512),
    ],
    ids=["empty", "no text", "no JSON", "too deep", "a number", "null", "no page", "page: 7", "no path", "too long"],
)
def test_a_poisoned_record_is_reported_and_what_lies_before_it_is_counted(
    count: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], poison: bytes
) -> None:
    table = Table()
    monkeypatch.setattr(count, "dynamodb", table)
    monkeypatch.setenv("TABLE", "clicks")
    event = {"Records": [record(GOOD, 1), record(GOOD, 2), record(poison, 3), record(GOOD, 4)]}

    assert count.handler(event, None) == {"batchItemFailures": [{"itemIdentifier": "3"}]}

    assert table.total() == 2
    assert f"{SHARD}:3" in capsys.readouterr().out


@settings(deadline=None)
@given(st.data())
def test_nothing_is_counted_twice_or_left_out(count: ModuleType, data: st.DataObject) -> None:
    """A mapping goes back to any number that it has not passed for good, and cuts anew; 10 comes after 9."""
    total = data.draw(st.integers(1, 30))
    table, reached = Table(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(count, "dynamodb", table)
        patch.setenv("TABLE", "clicks")
        while reached < total:
            begin = data.draw(st.integers(0, reached))
            end = data.draw(st.integers(reached + 1, total))
            records = [record(GOOD, number + 1) for number in range(begin, end)]
            assert count.handler({"Records": records}, None) == {"batchItemFailures": []}
            reached = end
    assert table.total() == total


def test_the_same_pages_of_several_shards_do_not_disturb_each_other(
    count: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a split or a merge a page comes from another shard."""
    table = Table()
    monkeypatch.setattr(count, "dynamodb", table)
    monkeypatch.setenv("TABLE", "clicks")
    for shard, number in itertools.product(("shardId-000000000000", "shardId-000000000001"), (5, 6, 5)):
        count.handler({"Records": [record(GOOD, number, shard)]}, None)
    assert table.total() == 4
