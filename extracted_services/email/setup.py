"""`python -m extracted_services.email.setup --topic-arn ARN`: make what the team owns.

A queue, its dead-letter queue, and the subscription of the queue to the user team's topic; prints the queue's URL.
May be run as often as you like. AWS_ENDPOINT_URL says where; unset, it is AWS.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from extracted_services.email.message import USER_SIGNED_UP

FILTER_POLICY = {"event_type": [USER_SIGNED_UP]}
VISIBILITY_SECONDS = 30
MAX_RECEIVE_COUNT = 10
"""With the worker's delays, about an hour of a mail server that is down."""
RETENTION_SECONDS = 4 * 86_400
DEAD_LETTER_RETENTION_SECONDS = 14 * 86_400
"""Longer than the queue's: a dead letter keeps the time at which it was first sent (SQS API)."""


def dead_letters_of(queue: str) -> str:
    """The name of a queue's dead-letter queue."""
    return f"{queue}-dead-letters"


def set_up(
    topic_arn: str, queue: str, visibility_seconds: int = VISIBILITY_SECONDS, max_receive_count: int = MAX_RECEIVE_COUNT
) -> str:
    """Make or bring up to date queue, dead-letter queue and subscription; return the queue's URL.

    Raises:
        botocore's ClientError and BotoCoreError
    """
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    _, dead_letters_arn = _queue(
        sqs, dead_letters_of(queue), topic_arn, {"MessageRetentionPeriod": str(DEAD_LETTER_RETENTION_SECONDS)}
    )
    redrive = {"deadLetterTargetArn": dead_letters_arn, "maxReceiveCount": max_receive_count}
    url, queue_arn = _queue(
        sqs,
        queue,
        topic_arn,
        {
            "MessageRetentionPeriod": str(RETENTION_SECONDS),
            "VisibilityTimeout": str(visibility_seconds),
            "ReceiveMessageWaitTimeSeconds": "20",
            "RedrivePolicy": json.dumps(redrive),
        },
    )
    attributes = {
        "FilterPolicyScope": "MessageAttributes",
        "FilterPolicy": json.dumps(FILTER_POLICY),
        "RawMessageDelivery": "true",
        # For what the topic cannot deliver; what the worker cannot handle goes there by the queue's own policy.
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_letters_arn}),
    }
    _subscribe(sns, topic_arn, queue_arn, attributes)
    return url


def _queue(sqs: Any, name: str, topic_arn: str, attributes: dict[str, str]) -> tuple[str, str]:
    # Without attributes: with some that differ, CreateQueue refuses a queue that is there.
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={**attributes, "Policy": json.dumps(_policy(arn, topic_arn))})
    return url, arn


def _policy(queue_arn: str, topic_arn: str) -> dict[str, Any]:
    """This topic, and no other, may send to this queue (SNS API)."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _subscribe(sns: Any, topic_arn: str, queue_arn: str, attributes: dict[str, str]) -> None:
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn)
    subscriptions = (each for page in pages for each in page["Subscriptions"] if each["Endpoint"] == queue_arn)
    if existing := next(subscriptions, None):
        for name, value in attributes.items():
            sns.set_subscription_attributes(
                SubscriptionArn=existing["SubscriptionArn"], AttributeName=name, AttributeValue=value
            )
    else:
        sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, Attributes=attributes)


def main() -> int:
    """Return 0 when everything is there."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.email.setup", description=__doc__)
    topic_arn = os.environ.get("EMAIL_TOPIC_ARN")
    parser.add_argument("--topic-arn", default=topic_arn, required=not topic_arn, help="the user team's topic")
    parser.add_argument("--queue", default=os.environ.get("EMAIL_QUEUE", "email-welcome"), help="its name")
    parser.add_argument("--visibility-seconds", type=int, default=VISIBILITY_SECONDS, metavar="N")
    parser.add_argument("--max-receive-count", type=int, default=MAX_RECEIVE_COUNT, metavar="N")
    flags = parser.parse_args()
    try:
        print(set_up(flags.topic_arn, flags.queue, flags.visibility_seconds, flags.max_receive_count))
    except (BotoCoreError, ClientError, ResponseParserError, ValueError) as error:
        print(f"queue {flags.queue}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
