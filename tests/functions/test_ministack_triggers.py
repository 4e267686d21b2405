"""What MiniStack triggers runs in our host, with our retries: S3, SNS and EventBridge."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_endpoint import client, unique
from aws_lambda_powertools.utilities.parser.models import EventBridgeModel, S3Model, SnsModel
from function_host import RunningHost, eventually, function, notes, running_host


def registered(endpoint: str, host: RunningHost, name: str, kind: str = "async") -> str:
    """Make MiniStack call our host for this function; return the function's ARN there."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("unused.py", "")
    lambda_ = client("lambda", endpoint)
    arn: str = lambda_.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/r",
        Handler="unused.handler",
        Code={"ZipFile": content.getvalue()},
        Environment={"Variables": {"MINISTACK_LAMBDA_PROXY_URL": f"{host.endpoint}/ministack/{kind}"}},
    )["FunctionArn"]
    lambda_.close()
    return arn


def by_s3(endpoint: str, arn: str) -> None:
    s3, bucket = client("s3", endpoint, s3={"addressing_style": "path"}), unique("b")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    s3.put_object(Bucket=bucket, Key="in/a b.jpg", Body=b"x")
    s3.close()


def by_sns(endpoint: str, arn: str) -> None:
    sns = client("sns", endpoint)
    topic = sns.create_topic(Name=unique("t"))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="hello", Subject="s")
    sns.close()


def by_event_bus(endpoint: str, arn: str) -> None:
    events = client("events", endpoint)
    source = unique("shop")
    events.put_rule(Name=source, EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule=source, Targets=[{"Id": "1", "Arn": arn}])
    events.put_events(Entries=[{"Source": source, "DetailType": "order", "Detail": '{"id": 7}'}])
    events.close()


def is_from_s3(event: Any) -> bool:
    return bool(S3Model.model_validate(event).Records[0].s3.object.key == "in/a+b.jpg")


def is_from_sns(event: Any) -> bool:
    """MiniStack writes `URL` where Lambda's event has `Url`; the rest is as the model wants it."""
    record = event["Records"][0]["Sns"]
    for name in ("SigningCert", "Unsubscribe"):
        record[f"{name}Url"] = record.pop(f"{name}URL", record.get(f"{name}Url"))
    return bool(SnsModel.model_validate(event).Records[0].Sns.Message == "hello")


def is_from_event_bus(event: Any) -> bool:
    return bool(EventBridgeModel.model_validate(event).detail == {"id": 7})


@pytest.mark.parametrize(
    ("trigger", "judge"),
    [(by_s3, is_from_s3), (by_sns, is_from_sns), (by_event_bus, is_from_event_bus)],
    ids=["s3", "sns", "event bus"],
)
def test_triggers(aws: str, tmp_path: Path, trigger: Callable[[str, str], None], judge: Callable[[Any], bool]) -> None:
    file, name = tmp_path / "notes", unique("f")
    with running_host(tmp_path, {name: function("app.note", environment={"NOTES": str(file)})}) as host:
        trigger(aws, registered(aws, host, name))
        eventually(lambda: notes(file), "the function is not called")
    assert judge(notes(file)[0]["event"])


@pytest.mark.parametrize(
    ("handler", "value", "error"),
    [("app.echo", {"a": 1}, None), ("app.fail", None, "Unhandled")],
    ids=["answer", "error"],
)
def test_a_synchronous_call_gets_the_answer(
    aws: str, tmp_path: Path, handler: str, value: Any, error: str | None
) -> None:
    name = unique("f")
    with running_host(tmp_path, {name: function(handler)}) as host:
        registered(aws, host, name, "sync")
        lambda_ = client("lambda", aws)
        answer = lambda_.invoke(FunctionName=name, Payload=b'{"a": 1}')
        body = json.loads(answer["Payload"].read())
        lambda_.close()
    assert answer.get("FunctionError") == error
    assert body == value if value else "no such order" in body["errorMessage"]
