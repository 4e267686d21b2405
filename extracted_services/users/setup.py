"""`python -m extracted_services.users.setup`: make the team's topic, as often as you like; prints its ARN.

AWS_ENDPOINT_URL says where; unset, it is AWS.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError


def main() -> int:
    """Return 0 when the topic is there."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.users.setup", description=__doc__)
    parser.add_argument("--topic", default=os.environ.get("USERS_TOPIC", "users"), help="its name")
    parser.add_argument("--note", metavar="FILE", type=Path, help="write the ARN there, for USERS_TOPIC_ARN_FILE")
    flags = parser.parse_args()
    try:
        # With the name of a topic that is there, it returns that one.
        topic_arn = boto3.client("sns").create_topic(Name=flags.topic)["TopicArn"]
    except (BotoCoreError, ClientError, ResponseParserError, ValueError) as error:
        print(f"topic {flags.topic}: {error}", file=sys.stderr)
        return 1
    if flags.note:
        try:
            # Whole or not at all: the service may read it at any time.
            unfinished = flags.note.with_suffix(".part")
            unfinished.write_text(topic_arn, encoding="utf-8")
            unfinished.replace(flags.note)
        except OSError as error:
            print(f"{flags.note}: {error}", file=sys.stderr)
            return 1
    print(topic_arn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
