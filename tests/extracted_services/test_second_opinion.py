"""Topic, queue and worker once more with moto, written by others; it refuses what MiniStack accepts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from extracted_services.email import setup
from extracted_services.email.mail import MaildirMailer
from extracted_services.email.queue import Queue
from extracted_services.email.redrive import redrive
from extracted_services.email.setup import dead_letters_of, set_up
from extracted_services.email.stop import Stop
from extracted_services.email.store import Store
from extracted_services.email.worker import Worker
from extracted_services.users.delivery import TopicDelivery
from extracted_services.users.events import Event, user_signed_up

USER = {"id": 1, "email": "a@example.org", "name": "Ada", "city": "London", "created_at": "now"}
EMAIL = "email-welcome"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """moto in this process: no address is opened."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


def work_until_empty(folder: Path) -> None:
    """The worker, until there is nothing to receive."""
    stop = Stop()

    class Once(Queue):
        def receive(self, wait_seconds: int = 0) -> list[Any]:
            messages = super().receive(wait_seconds)
            if not messages:
                stop.requested = True
            return messages

    with closing(Store(folder)) as store:
        Worker(Once(EMAIL), store, MaildirMailer(folder / "mail"), stop).run()


def test_from_topic_to_mail(aws: None, tmp_path: Path) -> None:
    topic_arn = boto3.client("sns").create_topic(Name="users")["TopicArn"]
    for _ in range(2):
        set_up(topic_arn, EMAIL, max_receive_count=2)
    topic = TopicDelivery(topic_arn)
    event = user_signed_up(USER, {"traceparent": "t"})
    for each in (event, event, Event("{}", {"event_type": "user.left"}), Event("{}", {"event_type": "user.signed_up"})):
        topic.deliver(each)

    work_until_empty(tmp_path)

    (mail,) = (tmp_path / "mail" / "new").iterdir()
    assert mail.name == f"{json.loads(event.body)['id']}.email"
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=dead_letters_of(EMAIL))["QueueUrl"]
    (dead,) = sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)["Messages"]
    assert dead["Body"] == "{}"
    assert redrive(EMAIL) == 1


def test_setup_brings_a_subscription_up_to_date(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sns = boto3.client("sns")
    topic_arn = sns.create_topic(Name="users")["TopicArn"]
    set_up(topic_arn, EMAIL)
    monkeypatch.setattr(setup, "FILTER_POLICY", {"event_type": ["user.left"]})
    set_up(topic_arn, EMAIL)

    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=topic_arn)["Subscriptions"]
    attributes = sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])["Attributes"]
    assert json.loads(attributes["FilterPolicy"]) == {"event_type": ["user.left"]}


def test_a_malformed_filter_policy_would_be_refused(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is why ours is held against it."""
    topic_arn = boto3.client("sns").create_topic(Name="users")["TopicArn"]
    monkeypatch.setattr(setup, "FILTER_POLICY", {"event_type": "user.signed_up"})
    with pytest.raises(ClientError, match="FilterPolicy"):
        set_up(topic_arn, EMAIL)
