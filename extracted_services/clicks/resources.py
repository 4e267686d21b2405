"""Stream, table and failure queue at the endpoint of the environment; on AWS the template makes them.

    python -m extracted_services.clicks.resources

May be run again: what is there stays.
"""

import argparse
from collections.abc import Callable

import boto3
from botocore.exceptions import ClientError


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


def main() -> None:
    """Make what the flags name."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.clicks.resources", description=__doc__)
    parser.add_argument("--stream", default="clicks")
    parser.add_argument("--table", default="clicks")
    parser.add_argument("--failed", default="clicks-failed", help="the queue that is told of records given up")
    parser.add_argument("--shards", type=int, default=2)
    flags = parser.parse_args()
    create_clicks(flags.stream, flags.table, flags.failed, flags.shards)


if __name__ == "__main__":
    main()
