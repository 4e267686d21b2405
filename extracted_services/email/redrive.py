"""`python -m extracted_services.email.redrive`: put the dead letters back into the queue.

For when what killed them is mended. Those that are there at the start are moved, so that one which dies again is not
moved for ever. Killed in between, it may move one twice; the worker sends its mail once.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from extracted_services.email.setup import dead_letters_of


def redrive(queue: str) -> int:
    """Move the dead letters; return how many.

    Raises:
        botocore's ClientError and BotoCoreError
    """
    sqs: Any = boto3.client("sqs")
    url, dead_url = (sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in (queue, dead_letters_of(queue)))
    count = sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    left, moved = int(count["ApproximateNumberOfMessages"]), 0
    while moved < left:
        answer = sqs.receive_message(
            QueueUrl=dead_url,
            MaxNumberOfMessages=min(10, left - moved),
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
        )
        messages = answer.get("Messages", ())
        if not messages:
            break
        for message in messages:
            attributes = {
                name: {key: value[key] for key in ("DataType", "StringValue", "BinaryValue") if key in value}
                for name, value in message.get("MessageAttributes", {}).items()
            }
            sqs.send_message(QueueUrl=url, MessageBody=message["Body"], MessageAttributes=attributes)
            sqs.delete_message(QueueUrl=dead_url, ReceiptHandle=message["ReceiptHandle"])
            moved += 1
    return moved


def main() -> int:
    """Return 0 when they are moved."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.email.redrive", description=__doc__)
    parser.add_argument("--queue", default=os.environ.get("EMAIL_QUEUE", "email-welcome"), help="its name")
    flags = parser.parse_args()
    try:
        print(f"{redrive(flags.queue)} messages moved")
    except (BotoCoreError, ClientError, ResponseParserError, ValueError) as error:
        print(f"queue {flags.queue}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
