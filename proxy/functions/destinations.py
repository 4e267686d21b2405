"""Sends what is over to where it is wanted: queue, topic, event bus, function or bucket (Lambda guide)."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from proxy.functions.aws import Aws, DeliveryError
from proxy.functions.clock import Clock
from proxy.functions.model import FunctionConfig, Invocation, function_arn
from proxy.functions.records import dead_letter_attributes, event_bus_entry, invocation_record, object_key
from proxy.functions.retry import SUCCESS, QueuedEvent

MAX_BYTES = {"sns": 256 * 1024, "sqs": 1024 * 1024, "lambda": 1024 * 1024, "events": 1023 * 1024}
"""What a destination takes by default, a bus with the rest of its entry (AWS quotas).

Of a longer record the payloads are left out, as Lambda does for a topic: refused, nobody would be told at all.
"""


class Destinations:
    """Tells destinations and dead-letter queues.

    Args:
        aws: For everything that is not a function of this host.
        accept: Invokes a function of this host asynchronously; returns False if it has none of that name.
        clock: For the records' timestamps.
    """

    def __init__(self, aws: Aws, accept: Callable[[str, Invocation], Awaitable[bool]], clock: Clock) -> None:
        self._aws = aws
        self._accept = accept
        self._clock = clock
        self._queue_urls: dict[str, str] = {}

    async def deliver(self, event: QueuedEvent, function: FunctionConfig) -> None:
        """Tell everybody who wants to know that this event is over; raise DeliveryError if one cannot be told."""
        config = function.asynchronous
        arn = function_arn(function.name, self._aws.region)
        record = invocation_record(event, arn, self._clock.now())
        if event.condition == SUCCESS:
            if config.on_success:
                await self.send_record(config.on_success, record, arn)
            return
        if config.on_failure:
            await self.send_record(config.on_failure, record, arn, f"async/{function.name}")
        if config.dead_letter:
            await self._send_text(config.dead_letter, event.payload.decode(), dead_letter_attributes(event))

    async def send_record(self, destination: str, record: dict[str, Any], arn: str, folder: str = "") -> None:
        """Send one record to a queue, topic, event bus, function or bucket by its ARN.

        Args:
            arn: Of the function.
            folder: Where in a bucket.

        Raises:
            DeliveryError
        """
        service = destination.split(":")[2]
        # ASCII: as many bytes as characters.
        if len(json.dumps(record)) > MAX_BYTES.get(service, math.inf):
            record = {key: value for key, value in record.items() if not key.endswith("Payload")}
        if service == "events":
            entry = event_bus_entry(record, arn, destination)
            answer = await self._aws.call("events", "put_events", Entries=[entry])
            if answer["FailedEntryCount"]:
                raise DeliveryError(f"{destination}: {answer['Entries'][0].get('ErrorCode')}")
        elif service == "lambda":
            await self._invoke(destination, json.dumps(record).encode())
        elif service == "s3":
            bucket, key = destination.rpartition(":")[2], object_key(folder, self._clock.now())
            await self._aws.call("s3", "put_object", Bucket=bucket, Key=key, Body=json.dumps(record).encode())
        else:
            await self._send_text(destination, json.dumps(record), {})

    async def queue_url(self, arn: str) -> str:
        """The URL of a queue; raise DeliveryError if there is no such queue."""
        if arn not in self._queue_urls:
            *_, account, name = arn.split(":")
            answer = await self._aws.call("sqs", "get_queue_url", QueueName=name, QueueOwnerAWSAccountId=account)
            self._queue_urls[arn] = answer["QueueUrl"]
        return self._queue_urls[arn]

    async def _send_text(self, destination: str, text: str, attributes: dict[str, dict[str, str]]) -> None:
        if destination.split(":")[2] == "sqs":
            url = await self.queue_url(destination)
            await self._aws.call("sqs", "send_message", QueueUrl=url, MessageBody=text, MessageAttributes=attributes)
        else:
            await self._aws.call("sns", "publish", TopicArn=destination, Message=text, MessageAttributes=attributes)

    async def _invoke(self, destination: str, payload: bytes) -> None:
        name = destination.split(":")[6]
        if not await self._accept(name, Invocation(str(uuid.uuid4()), payload, "")):
            await self._aws.call("lambda", "invoke", FunctionName=destination, InvocationType="Event", Payload=payload)
