"""Stream, table and failure queue at the endpoint of the environment; on AWS the template makes them.

    python -m extracted_services.clicks.resources

May be run again: what is there stays.
"""

import argparse
import sys
from collections.abc import Callable

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError


def create_clicks(stream: str, table: str, failed: str, shards: int) -> None:
    """Make them, and wait until the stream takes records."""
    kinesis, dynamodb = boto3.client("kinesis"), boto3.client("dynamodb")
    _unless_there(lambda: kinesis.create_stream(StreamName=stream, ShardCount=shards))
    _unless_there(
        lambda: dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "page", "AttributeType": "S"},
                {"AttributeName": "minute", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "page", "KeyType": "HASH"},
                {"AttributeName": "minute", "KeyType": "RANGE"},
            ],
        )
    )
    boto3.client("sqs").create_queue(QueueName=failed)
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})


def _unless_there(make: Callable[[], object]) -> None:
    try:
        make()
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceInUseException":
            raise


def main() -> int:
    """Make what the flags name; return 0 when all of it is there."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.clicks.resources", description=__doc__)
    parser.add_argument("--stream", default="clicks")
    parser.add_argument("--table", default="clicks")
    parser.add_argument("--failed", default="clicks-failed", help="the queue that is told of records given up")
    parser.add_argument("--shards", type=int, default=2)
    flags = parser.parse_args()
    try:
        create_clicks(flags.stream, flags.table, flags.failed, flags.shards)
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        print(f"stream {flags.stream}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
