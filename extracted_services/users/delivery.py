"""Where events go: to the team's topic, or, where there is none yet, straight into the welcome mail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from extracted_services.users.events import Event
from extracted_services.users.mail import Mailer, MailError, mailer_from_environment, welcome_mail

CONNECT_SECONDS = 3
READ_SECONDS = 10


class DeliveryError(Exception):
    """The event could not be handed over; the text says why and names no user."""


class Delivery(Protocol):
    """Hands one event over for good, or raises `DeliveryError`."""

    def deliver(self, event: Event) -> None: ...


class MailDelivery:
    """The first step out of the monolith: the service still sends the mail itself, but after its answer."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer

    def deliver(self, event: Event) -> None:
        content = json.loads(event.body)
        mail = welcome_mail(content["id"], content["data"]["email"], content["data"]["name"])
        try:
            self._mailer.send(mail.as_bytes())
        except MailError as error:
            raise DeliveryError(str(error)) from error


class TopicDelivery:
    """The second step: an SNS topic, and whoever subscribes to it does the rest.

    Raises:
        ValueError: It is not the ARN of a topic, or the AWS settings cannot be used.
    """

    def __init__(self, topic_arn: str) -> None:
        # Needed only where there is a topic.
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        self._topic_arn = topic_arn
        # The outbox repeats by itself, and has to be done before its lease is over.
        once = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": 1})
        region = region_of(topic_arn)
        try:
            self._sns: Any = boto3.client("sns", region_name=region, config=once)
        except BotoCoreError as error:
            raise ValueError(str(error)) from error

    def deliver(self, event: Event) -> None:
        from botocore.exceptions import ClientError

        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in event.attributes.items()}
        try:
            answer = self._sns.publish(TopicArn=self._topic_arn, Message=event.body, MessageAttributes=attributes)
        except ClientError as error:
            raise DeliveryError(f"topic {self._topic_arn}: {error.response['Error']['Code']}") from error
        except Exception as error:
            raise DeliveryError(f"topic {self._topic_arn}: {type(error).__name__}") from error
        if not answer.get("MessageId"):
            raise DeliveryError(f"topic {self._topic_arn}: an answer without the id of the message")


class NotedTopicDelivery:
    """From the one to the other without a restart: a topic once a file names it, the mail as long as there is none."""

    def __init__(self, note: Path, otherwise: Delivery) -> None:
        self._note = note
        self._otherwise = otherwise
        self._topic: tuple[str, TopicDelivery] | None = None

    def deliver(self, event: Event) -> None:
        self._present().deliver(event)

    def _present(self) -> Delivery:
        try:
            topic_arn = self._note.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return self._otherwise
        except (OSError, UnicodeDecodeError) as error:
            # There is a topic, so that nobody is to have a mail from here.
            raise DeliveryError(f"{self._note} cannot be read: {error}") from error
        if self._topic is None or self._topic[0] != topic_arn:
            try:
                self._topic = topic_arn, TopicDelivery(topic_arn)
            except ValueError as error:
                raise DeliveryError(f"{self._note}: {error}") from error
        return self._topic[1]


def region_of(topic_arn: str) -> str:
    """The region in `arn:aws:sns:REGION:ACCOUNT:NAME`; ValueError if it is no such name."""
    parts = topic_arn.split(":")
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "sns" or not all(parts[3:]):
        raise ValueError(
            f"{topic_arn!r} is not the ARN of a topic; it looks like arn:aws:sns:us-east-1:123456789012:users"
        )
    return parts[3]


def delivery_from_environment(environment: Mapping[str, str], data: Path) -> Delivery:
    """Return what the environment asks for; ValueError names a bad value.

    `USERS_TOPIC_ARN` is a topic; `USERS_TOPIC_ARN_FILE` is where one will be named; otherwise, and until then, mail is
    sent by `SMTP_HOST` and `SMTP_PORT`.
    """
    if topic_arn := environment.get("USERS_TOPIC_ARN"):
        try:
            return TopicDelivery(topic_arn)
        except ValueError as error:
            raise ValueError(f"USERS_TOPIC_ARN={topic_arn}: {error}") from error
    mail = MailDelivery(mailer_from_environment(environment, data))
    if note := environment.get("USERS_TOPIC_ARN_FILE"):
        return NotedTopicDelivery(Path(note), mail)
    return mail
