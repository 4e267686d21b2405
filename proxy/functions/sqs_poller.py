"""Polls one queue for one function (SQS API; Lambda guide)."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from proxy.functions import events
from proxy.functions.aws import Aws, DeliveryError
from proxy.functions.batch import EVERYTHING, backoff, failed_items
from proxy.functions.filters import Filters
from proxy.functions.model import MAX_SYNC_BYTES, Invocation, MappingConfig, Outcome, ThrottledError
from proxy.functions.tracing import Origin, origin_of

LONG_POLL_SECONDS = 5
"""Lambda polls for 20 s; with less, the host stops sooner."""
MOST_AT_ONCE = 10
"""Messages of one ReceiveMessage or DeleteMessageBatch."""
_ENVELOPE_BYTES = 64

logger = logging.getLogger(__name__)

Message = dict[str, Any]


class SqsPoller:
    """Receives, invokes, and deletes what was handled.

    Args:
        mapping: What is polled and how.
        aws: For the queue.
        queue_url: Finds the queue's URL by its ARN; raises DeliveryError.
        invoke: Runs one invocation; may raise ThrottledError or OSError.
    """

    def __init__(
        self,
        mapping: MappingConfig,
        aws: Aws,
        queue_url: Callable[[str], Awaitable[str]],
        invoke: Callable[[str, Invocation], Awaitable[Outcome]],
    ) -> None:
        self._mapping = mapping
        self._filters = Filters(mapping.filters, mapping.service)
        self._aws = aws
        self._queue_url = queue_url
        self._invoke = invoke
        self._stopping = asyncio.Event()
        self._slots = asyncio.Semaphore(mapping.maximum_concurrency)
        self._batches: set[asyncio.Task[None]] = set()
        self._left_over: list[Message] = []
        self._patience = 0.0

    def stop(self) -> None:
        """Receive no more; `run` returns when the batches in progress have ended."""
        self._stopping.set()

    async def run(self) -> None:
        """Poll until stopped. Errors of the queue are logged and the poll is tried again, later each time."""
        failures, url = 0, ""
        while not self._stopping.is_set():
            await self._slots.acquire()
            try:
                url = await self._queue_url(self._mapping.source_arn)
                self._patience = self._patience or await self._half_hidden(url)
                batch = await self._gather(url)
                failures = 0
            except DeliveryError as error:
                logger.warning("cannot poll %s: %s", self._mapping.source_arn, error)
                batch, failures = [], failures + 1
            except Exception:
                logger.exception("cannot poll %s", self._mapping.source_arn)
                batch, failures = [], failures + 1
            if not batch:
                self._slots.release()
                if failures:
                    await self._pause(backoff(failures))
            elif self._stopping.is_set():
                self._slots.release()
                await self._put_back(url, batch)
            else:
                task = asyncio.create_task(self._handle(url, batch))
                self._batches.add(task)
                task.add_done_callback(self._batch_done)
        await asyncio.gather(*self._batches, return_exceptions=True)
        if self._left_over:
            await self._put_back(url, self._left_over)

    def _batch_done(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        self._slots.release()
        if not task.cancelled() and (error := task.exception()):
            logger.error("a batch of %s: %r", self._mapping.source_arn, error)

    async def _half_hidden(self, url: str) -> float:
        """Seconds for which a throttled batch is kept: its messages stay hidden twice as long."""
        answer = await self._aws.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["VisibilityTimeout"])
        return int(answer.get("Attributes", {}).get("VisibilityTimeout", 30)) / 2

    async def _gather(self, url: str) -> list[Message]:
        """The next batch: as many messages as come within the window, at most the batch size and 6 MB."""
        mapping = self._mapping
        batch, self._left_over = self._left_over, []
        size = sum(self._size(message) for message in batch)
        deadline: float | None = time.monotonic() + mapping.window_seconds if batch else None
        while len(batch) < mapping.batch_size and not self._stopping.is_set():
            left = LONG_POLL_SECONDS if deadline is None else deadline - time.monotonic()
            if batch and left <= 0:
                break
            for message in await self._receive(url, mapping.batch_size - len(batch), left):
                deadline = deadline or time.monotonic() + mapping.window_seconds
                size += self._size(message)
                (self._left_over if size > MAX_SYNC_BYTES - _ENVELOPE_BYTES and batch else batch).append(message)
            if self._left_over:
                break
        return batch

    def _size(self, message: Message) -> int:
        return events.size(self._record(message))

    def _record(self, message: Message) -> dict[str, Any]:
        return events.sqs_record(message, self._mapping.source_arn)

    async def _receive(self, url: str, wanted: int, seconds: float) -> list[Message]:
        answer = await self._aws.call(
            "sqs",
            "receive_message",
            QueueUrl=url,
            MaxNumberOfMessages=min(wanted, MOST_AT_ONCE),
            WaitTimeSeconds=max(min(round(seconds), LONG_POLL_SECONDS), 0),
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages: list[Message] = answer.get("Messages", [])
        if not self._filters:
            return messages
        passed = [message for message in messages if self._filters.pass_(self._record(message))]
        # What does not pass is deleted, and not left for somebody else (Lambda guide).
        await self._delete(url, [message for message in messages if message not in passed])
        return passed

    async def _handle(self, url: str, batch: list[Message]) -> None:
        records = [self._record(message) for message in batch]
        outcome = await self._invoke_patiently(events.payload(records), origin_of(batch))
        if outcome is None:
            return
        ids = [message["MessageId"] for message in batch]
        failed = failed_items(outcome, ids, reports=self._mapping.reports_failures)
        if failed is not EVERYTHING:
            await self._delete(url, [message for message in batch if message["MessageId"] not in failed])

    async def _invoke_patiently(self, payload: bytes, origin: Origin) -> Outcome | None:
        """Invoke; while there is no room, again and again until the messages had better be left to the queue."""
        deadline = time.monotonic() + self._patience
        wait = 0.05
        while True:
            try:
                invocation = Invocation(
                    str(uuid.uuid4()), payload, origin.trace_id, links=origin.links, trigger="pubsub"
                )
                return await self._invoke(self._mapping.function, invocation)
            except ThrottledError as error:
                if time.monotonic() + wait > deadline:
                    logger.warning("%s is throttled (%s): messages go back", self._mapping.function, error.reason)
                    return None
            except OSError as error:
                logger.error("cannot start an environment of %s: %s", self._mapping.function, error)
                return None
            await asyncio.sleep(wait)
            wait = min(wait * 2, 1.0)

    async def _delete(self, url: str, batch: Sequence[Message]) -> None:
        for start in range(0, len(batch), MOST_AT_ONCE):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(batch[start : start + MOST_AT_ONCE])
            ]
            try:
                answer = await self._aws.call("sqs", "delete_message_batch", QueueUrl=url, Entries=entries)
            except DeliveryError as error:
                logger.warning("messages that were handled will come again: %s", error)
            else:
                for failure in answer.get("Failed", []):
                    logger.warning("a message that was handled may come again: %s", failure.get("Code"))

    async def _put_back(self, url: str, batch: Sequence[Message]) -> None:
        """Make messages visible again at once that were received for nothing."""
        for message in batch:
            try:
                await self._aws.call(
                    "sqs",
                    "change_message_visibility",
                    QueueUrl=url,
                    ReceiptHandle=message["ReceiptHandle"],
                    VisibilityTimeout=0,
                )
            except DeliveryError as error:
                logger.warning("a message comes again only after its visibility timeout: %s", error)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass
