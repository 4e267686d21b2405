"""A queue made up of a list, for what a real one does not do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.functions.model import Invocation, MappingConfig, Outcome
from proxy.functions.sqs_poller import SqsPoller

ARN = "arn:aws:sqs:us-east-1:000000000000:q"
MESSAGE = {"MessageId": "1", "ReceiptHandle": "r", "Body": "b", "MD5OfBody": "m"}


class MadeUpQueue:
    """One message, after answers that nobody expects."""

    def __init__(self) -> None:
        self.attributes: list[dict[str, Any]] = [{"Attributes": {"VisibilityTimeout": "soon"}}, {"Attributes": None}]
        self.received: list[dict[str, Any]] = [{"Messages": [{"MessageId": "no body"}]}, {"Messages": [MESSAGE]}]
        self.deleted: list[str] = []
        self.is_done = asyncio.Event()

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        if operation == "get_queue_attributes":
            return self.attributes.pop(0) if self.attributes else {}
        if operation == "receive_message":
            return self.received.pop(0) if self.received else {}
        self.deleted += [entry["ReceiptHandle"] for entry in parameters["Entries"]]
        self.is_done.set()
        return {}


def test_a_poll_goes_on_after_answers_that_nobody_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.functions.sqs_poller.backoff", lambda failures: 0)
    queue, got = MadeUpQueue(), list[bytes]()

    async def invoke(function: str, invocation: Invocation) -> Outcome:
        got.append(invocation.payload)
        return Outcome(b"null")

    async def queue_url(arn: str) -> str:
        return "url"

    async def run() -> None:
        poller = SqsPoller(MappingConfig("f", ARN, batch_size=1), queue, queue_url, invoke)  # type: ignore[arg-type]
        polling = asyncio.create_task(poller.run())
        async with asyncio.timeout(20):
            await asyncio.wait(
                [asyncio.create_task(queue.is_done.wait()), polling], return_when=asyncio.FIRST_COMPLETED
            )
        poller.stop()
        await polling

    asyncio.run(run())
    assert (len(got), queue.deleted) == (1, ["r"])
