"""The user team's topic, the email team's queue and its worker, for tests: real processes and an AWS endpoint."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_endpoint import client, unique

from proxy.functions.embedded_aws import aws_environment

REPOSITORY = Path(__file__).resolve().parents[2]


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait until the condition holds; False if it does not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def command(module: str, *arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of a team to its end."""
    return subprocess.run(
        [sys.executable, "-m", f"extracted_services.{module}", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Teams:
    """Both teams' infrastructure, made by their own commands."""

    endpoint: str
    topic_arn: str
    queue: str
    queue_url: str
    sns: Any
    sqs: Any

    @property
    def environment(self) -> dict[str, str]:
        """What points a process of theirs at all of it."""
        return {**aws_environment(self.endpoint), "USERS_TOPIC_ARN": self.topic_arn, "EMAIL_QUEUE": self.queue}

    def publish(self, event_id: str, event_type: str = "user.signed_up", **attributes: str) -> None:
        """Publish what signup would."""
        data = {"user_id": 1, "email": f"{event_id}@example.org", "name": "Ada", "city": "London"}
        body = json.dumps({"id": event_id, "type": event_type, "version": 1, "time": "now", "data": data})
        self.publish_text(body, event_type=event_type, **attributes)

    def publish_text(self, body: str, **attributes: str) -> None:
        """Publish anything."""
        values = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        self.sns.publish(TopicArn=self.topic_arn, Message=body, MessageAttributes=values)

    def counts(self, queue_url: str | None = None) -> tuple[int, int]:
        """Messages that wait in the queue, and messages that are hidden in it."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = queue_url or self.queue_url
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(attributes[names[0]]), int(attributes[names[1]])

    @property
    def dead_letters_url(self) -> str:
        """Where the dead letters are."""
        url: str = self.sqs.get_queue_url(QueueName=f"{self.queue}-dead-letters")["QueueUrl"]
        return url


@contextmanager
def teams(endpoint: str, *flags: str) -> Iterator[Teams]:
    """Set both teams up; the flags are the email team's."""
    environment = aws_environment(endpoint)
    made = command("users.setup", "--topic", unique("users"), environment=environment)
    assert made.returncode == 0, made.stderr
    topic_arn, queue = made.stdout.strip(), unique("email")
    made = command("email.setup", "--topic-arn", topic_arn, "--queue", queue, *flags, environment=environment)
    assert made.returncode == 0, made.stderr
    sns, sqs = client("sns", endpoint), client("sqs", endpoint)
    yield Teams(endpoint, topic_arn, queue, made.stdout.strip(), sns, sqs)
    sns.close()
    sqs.close()


@dataclass(frozen=True)
class Worker:
    """A started worker."""

    process: subprocess.Popen[bytes]
    data: Path
    log: Path

    @property
    def mail(self) -> list[str]:
        """The delivered messages, in no order."""
        return [file.read_text() for file in (self.data / "mail" / "new").glob("*")]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log; a line that is being written is left out."""
        return [json.loads(line) for line in re.findall(r"^\{.*\}$", self.log.read_text(), re.MULTILINE)]

    def said(self, message: str) -> list[dict[str, Any]]:
        """The lines whose message begins so."""
        return [line for line in self.lines if line["message"].startswith(message)]

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def worker(of: Teams, data: Path, environment: Mapping[str, str] | None = None) -> Iterator[Worker]:
    """Run the email team's worker until the block ends, and see that it wrote no stack trace."""
    log = data.with_name(f"{data.name}-{threading.get_ident()}-{time.monotonic_ns()}.log")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SMTP_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "extracted_services.email", "--data", str(data)],
            cwd=REPOSITORY,
            env={**inherited, **of.environment, **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    started = Worker(process, data, log)
    try:
        assert eventually(lambda: bool(started.said("working")) or process.poll() is not None)
        yield started
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            finally:
                process.kill()
                process.wait()
    assert "Traceback" not in log.read_text()
