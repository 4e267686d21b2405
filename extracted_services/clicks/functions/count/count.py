"""`count.handler`: batches of clicks from a Kinesis stream, counted by page and minute in a DynamoDB table.

A batch may come twice, and in other pieces (Lambda guide), so each count remembers how far into each shard it reaches,
and adds only what lies behind that. Records of a page must come in order, as they do when the page is
the partition key.
"""

import base64
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import boto3

MAX_PAGE = 512
_SEQUENCE_DIGITS = 129
"""Sequence numbers have at most so many; filled up with zeros they compare as text."""

dynamodb: Any = boto3.client("dynamodb")


class Count(NamedTuple):
    """What is counted together."""

    page: str
    minute: str
    shard: str


class UnreadableError(ValueError):
    """A record is no click."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Count the clicks before the first unreadable record, and report that one.

    What comes behind it is sent again (the lowest reported number is where the mapping goes on), so it is not counted.
    A table that cannot be reached is an exception: then all of the batch comes again.
    """
    counts, failed = counted(event["Records"])
    for count, numbers in counts.items():
        add(os.environ["TABLE"], count, numbers)
    return {"batchItemFailures": [{"itemIdentifier": failed}] if failed else []}


def counted(records: Iterable[dict[str, Any]]) -> tuple[dict[Count, list[str]], str | None]:
    """Return the sequence numbers of each count, in order, and that of the first unreadable record."""
    counts: dict[Count, list[str]] = {}
    for record in records:
        kinesis, shard = record["kinesis"], record["eventID"].partition(":")[0]
        try:
            page = page_of(base64.b64decode(kinesis["data"]))
        except UnreadableError as error:
            print(json.dumps({"level": "ERROR", "message": str(error), "event_id": record["eventID"]}))
            return counts, kinesis["sequenceNumber"]
        arrived = datetime.fromtimestamp(kinesis["approximateArrivalTimestamp"], UTC)
        count = Count(page, arrived.strftime("%Y-%m-%dT%H:%MZ"), shard)
        counts.setdefault(count, []).append(kinesis["sequenceNumber"].zfill(_SEQUENCE_DIGITS))
    return counts, None


def page_of(data: bytes) -> str:
    """Return which page was clicked.

    Raises:
        UnreadableError: It is no click; the message does not repeat what it is.
    """
    try:
        click = json.loads(data)
    except (ValueError, RecursionError):
        raise UnreadableError("a click is a JSON object; this is no JSON") from None
    page = click.get("page") if isinstance(click, dict) else None
    if not (isinstance(page, str) and page.startswith("/") and len(page) <= MAX_PAGE):
        raise UnreadableError(f"a click has a page that begins with / and has at most {MAX_PAGE} characters")
    return page


def add(table: str, count: Count, numbers: list[str]) -> None:
    """Add the records that this count does not hold yet, in one step with how far it reaches.

    Args:
        table: The table's name.
        count: What is counted.
        numbers: Their sequence numbers, of equal length, ascending.
    """
    condition, reached = "attribute_not_exists(#reached)", ""
    while fresh := [number for number in numbers if number > reached]:
        values = {":clicks": {"N": str(len(fresh))}, ":last": {"S": fresh[-1]}}
        if reached:
            values[":reached"] = {"S": reached}
        try:
            dynamodb.update_item(
                TableName=table,
                Key={"page": {"S": count.page}, "minute": {"S": count.minute}},
                UpdateExpression="SET #reached = :last ADD clicks :clicks",
                ConditionExpression=condition,
                ExpressionAttributeNames={"#reached": f"reached:{count.shard}"},
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except dynamodb.exceptions.ConditionalCheckFailedException as error:
            # Counted before, at least in part: once more, from where it has got to.
            condition, reached = "#reached = :reached", error.response["Item"][f"reached:{count.shard}"]["S"]
        else:
            return
