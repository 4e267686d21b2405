"""`python -m extracted_services.clicks.failed`: the records that were given up, one JSON object a line.

The failure destination is told where records are, not what they are (Lambda guide), so they are read from the stream,
which keeps them for a day. Messages stay in the queue: delete them there when the cause is known.
"""

import argparse
import base64
import json
from collections.abc import Iterator
from typing import Any

import boto3

_MAX_PAGES = 1000
"""Empty answers end too: a shard is read in pages of which some have nothing."""


def failed_records(kinesis: Any, told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the records of one message, as far as the stream still has them."""
    info = told["KinesisBatchInfo"]
    last = int(info["endSequenceNumber"])
    iterator = kinesis.get_shard_iterator(
        StreamARN=info["streamArn"],
        ShardId=info["shardId"],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        StartingSequenceNumber=info["startSequenceNumber"],
    )["ShardIterator"]
    for _ in range(_MAX_PAGES):
        page = kinesis.get_records(ShardIterator=iterator, StreamARN=info["streamArn"])
        for record in page["Records"]:
            if int(record["SequenceNumber"]) > last:
                return
            yield {
                "shard": info["shardId"],
                "sequence_number": record["SequenceNumber"],
                "partition_key": record["PartitionKey"],
                "data": base64.b64encode(record["Data"]).decode(),
                "condition": told["requestContext"]["condition"],
            }
            if int(record["SequenceNumber"]) == last:
                return
        iterator = page.get("NextShardIterator")
        if iterator is None or page.get("MillisBehindLatest") == 0:
            return


def main() -> None:
    """Show what the queue tells of now."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.clicks.failed", description=__doc__)
    parser.add_argument("--failed", default="clicks-failed", help="the queue that is told")
    flags = parser.parse_args()
    sqs, kinesis = boto3.client("sqs"), boto3.client("kinesis")
    url = sqs.get_queue_url(QueueName=flags.failed)["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages"):
        for message in messages:
            for record in failed_records(kinesis, json.loads(message["Body"])):
                print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
