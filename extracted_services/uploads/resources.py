"""Bucket, queue, table and subscriptions at the endpoint of the environment; on AWS the template makes them.

    python -m extracted_services.uploads.resources --functions http://127.0.0.1:9001 [--analysis]

May be run again: what is there stays.
"""

import argparse
import io
import json
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

FAILED_QUEUE = "uploads-failed"
ORIGINALS = "originals/"


def create_uploads(bucket: str, functions: str) -> None:
    """Make the bucket, and have S3 invoke `resize` for every original.

    Args:
        bucket: The bucket's name.
        functions: The function host's address, which the emulator then calls.
    """
    s3 = _s3()
    _unless_there(lambda: s3.create_bucket(Bucket=bucket), "BucketAlreadyOwnedByYou")
    boto3.client("sqs").create_queue(QueueName=FAILED_QUEUE)
    invocation = {
        "Id": "resize",
        "LambdaFunctionArn": _function("resize", functions),
        # Not only :Put: a large upload arrives as ObjectCreated:CompleteMultipartUpload.
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": ORIGINALS}]}},
    }
    configured = s3.get_bucket_notification_configuration(Bucket=bucket)
    configured.pop("ResponseMetadata", None)
    if all(one.get("Id") != "resize" for one in configured.get("LambdaFunctionConfigurations", ())):
        configured.setdefault("LambdaFunctionConfigurations", []).append(invocation)
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configured)


def add_analysis(bucket: str, functions: str, table: str) -> None:
    """Add the second subscriber: the bucket tells EventBridge, too, and a rule invokes `analyse`.

    Nothing of the first subscriber is changed, or can be: its entry is put back as it was read.
    """
    s3, events, dynamodb = _s3(), boto3.client("events"), boto3.client("dynamodb")
    configured = s3.get_bucket_notification_configuration(Bucket=bucket)
    configured.pop("ResponseMetadata", None)
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={**configured, "EventBridgeConfiguration": {}}
    )
    _unless_there(
        lambda: dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "image", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "image", "KeyType": "HASH"}],
        ),
        "ResourceInUseException",
    )
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        # EventBridge gets the events of the whole bucket: the prefix belongs into the rule.
        "detail": {"bucket": {"name": [bucket]}, "object": {"key": [{"prefix": ORIGINALS}]}},
    }
    rule = f"{bucket}-analyse"
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "analyse", "Arn": _function("analyse", functions)}])


def _s3() -> Any:
    return boto3.client("s3", config=Config(s3={"addressing_style": "path"}))


def _function(name: str, functions: str) -> str:
    """Tell the emulator where the function runs; return its ARN."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("elsewhere.py", "")
    lambda_ = boto3.client("lambda")
    variables = {"MINISTACK_LAMBDA_PROXY_URL": f"{functions.rstrip('/')}/ministack/async"}
    _unless_there(
        lambda: lambda_.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role="arn:aws:iam::000000000000:role/functions",
            Handler="elsewhere.handler",
            Code={"ZipFile": content.getvalue()},
            Environment={"Variables": variables},
        ),
        "ResourceConflictException",
    )
    lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    arn: str = lambda_.get_function_configuration(FunctionName=name)["FunctionArn"]
    return arn


def _unless_there(make: Callable[[], object], code: str) -> None:
    try:
        make()
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise


def main() -> int:
    """Make what the flags ask for; return 0 when all of it is there."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.uploads.resources", description=__doc__)
    parser.add_argument("--bucket", default="photos")
    parser.add_argument("--functions", required=True, metavar="URL", help="where the function host is")
    parser.add_argument("--analysis", action="store_true", help="the second subscriber, too")
    parser.add_argument("--table", default="image-metadata")
    flags = parser.parse_args()
    try:
        create_uploads(flags.bucket, flags.functions)
        if flags.analysis:
            add_analysis(flags.bucket, flags.functions, flags.table)
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        print(f"bucket {flags.bucket}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
