"""A bus that is killed: MiniStack with a queue, a topic, an event bus and a stream, and what reads from them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from bench.processes import BenchError
from bench.witness import EVENT
from proxy.functions.embedded_aws import (
    REGION,
    EmbeddedAwsError,
    aws_environment,
    cache_folder,
    installed,
    started_at,
    stop,
)

ACCOUNT = "000000000000"
QUEUES = {"queue": "events", "topic": "events-of-the-topic", "bus": "events-of-the-bus"}
"""By way into it, the queue that an event ends in; those of the stream stay there."""
WAYS = (*QUEUES, "stream")
TOPIC = EVENT_BUS = STREAM = "events"
SOURCE = "bench"
TOPIC_ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:{TOPIC}"
READ_SECONDS = 120
"""Of a call, longer than the bus is ever frozen: an answer that nobody awaits any more hides what it brings."""
_FAILED = (BotoCoreError, ClientError, ResponseParserError)


class Bus:
    """MiniStack at a port that stays; SIGKILL takes all that it holds (it writes nothing down)."""

    def __init__(self, port: int, folder: Path) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self._port = port
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when everything is there that takes events."""
        try:
            self._process = started_at(self._port, installed(cache_folder(os.environ)), self._folder)
        except EmbeddedAwsError as error:
            raise BenchError(str(error)) from error
        try:
            self._set_up()
        except _FAILED as error:
            raise BenchError(f"the bus cannot be set up: {error}") from error

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._process is not None:
            stop(self._process)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on; return when it answers, and so has worked off what had come."""
        self._signal(signal.SIGCONT)
        self.client("sqs").list_queues()

    def close(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._signal(signal.SIGCONT)
            stop(self._process)

    def client(self, service: str) -> Any:
        settings = Config(retries={"max_attempts": 0}, read_timeout=READ_SECONDS, connect_timeout=READ_SECONDS)
        variables = aws_environment(self.endpoint)
        return boto3.session.Session(
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            region_name=REGION,
        ).client(service, endpoint_url=self.endpoint, config=settings)

    def url(self, queue: str) -> str:
        return f"{self.endpoint}/{ACCOUNT}/{queue}"

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def _set_up(self) -> None:
        sqs, sns, events = self.client("sqs"), self.client("sns"), self.client("events")
        arns = {way: f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}" for way, queue in QUEUES.items()}
        for queue in QUEUES.values():
            sqs.create_queue(QueueName=queue)
        topic_arn = sns.create_topic(Name=TOPIC)["TopicArn"]
        assert topic_arn == TOPIC_ARN
        sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arns["topic"])
        events.create_event_bus(Name=EVENT_BUS)
        pattern = f'{{"source": ["{SOURCE}"]}}'
        events.put_rule(Name="all", EventBusName=EVENT_BUS, EventPattern=pattern)
        events.put_targets(Rule="all", EventBusName=EVENT_BUS, Targets=[{"Id": "queue", "Arn": arns["bus"]}])
        self.client("kinesis").create_stream(StreamName=STREAM, ShardCount=1)


class Readers:
    """Take out of the bus what is in it, all the time and past the gateway.

    Attributes:
        arrived: The events that came; each with how often.
    """

    def __init__(self, bus: Bus) -> None:
        self.arrived: dict[str, int] = {}
        self._bus = bus
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._threads = [
            *(threading.Thread(target=self._run, args=(self._queue, queue)) for queue in QUEUES.values()),
            threading.Thread(target=self._run, args=(self._stream, STREAM)),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _run(self, read: Callable[[str], Iterator[list[bytes]]], name: str) -> None:
        """Read from its beginning, and from there again whenever the bus has died."""
        while not self._ending.is_set():
            with contextlib.suppress(*_FAILED):
                for texts in read(name):
                    self._note(texts)
                    if self._ending.is_set():
                        return
            time.sleep(0.05)

    def _note(self, texts: list[bytes]) -> None:
        with self._lock:
            for text in texts:
                if found := EVENT.search(text):
                    event = found[0].decode()
                    self.arrived[event] = self.arrived.get(event, 0) + 1

    def _queue(self, name: str) -> Iterator[list[bytes]]:
        sqs, url = self._bus.client("sqs"), self._bus.url(name)
        while True:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            messages = answer.get("Messages", [])
            yield [message["Body"].encode() for message in messages]
            if messages:
                entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(messages)]
                sqs.delete_message_batch(QueueUrl=url, Entries=entries)

    def _stream(self, name: str) -> Iterator[list[bytes]]:
        kinesis = self._bus.client("kinesis")
        (shard,) = kinesis.list_shards(StreamName=name)["Shards"]
        iterator = kinesis.get_shard_iterator(
            StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=1000)
            yield [record["PartitionKey"].encode() for record in answer["Records"]]
            iterator = answer["NextShardIterator"]
            time.sleep(0.1)
