"""Reads one shard: records go to lanes by their partition key, each lane keeps the order, the checkpoint follows."""

from __future__ import annotations

import asyncio
import logging
import uuid
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from proxy.functions import events
from proxy.functions.aws import Aws, DeliveryError
from proxy.functions.batch import (
    Discarded,
    Piece,
    Progress,
    StreamRecord,
    after_invocation,
    backoff,
    batch_info,
    without_expired,
)
from proxy.functions.clock import Clock
from proxy.functions.model import (
    MAX_SYNC_BYTES,
    Invocation,
    MappingConfig,
    Outcome,
    ThrottledError,
    function_arn,
)
from proxy.functions.records import batch_record

FINISHED: Final = "FINISHED"
"""The checkpoint of a shard that has ended and is done."""
POLL_SECONDS = 1.0
"""Between two reads of a shard that had nothing (Lambda guide)."""
READ_RECORDS = 1000
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_OPEN_RECORDS = 100_000
"""With more records that wait behind one that fails, or are done but behind it, the shard is read no further."""
_ENVELOPE_BYTES = 64

logger = logging.getLogger(__name__)


class Checkpoints(Protocol):
    """How far the shards of a mapping are done."""

    async def all(self) -> dict[str, str]: ...

    async def put(self, shard: str, position: str) -> None: ...


class Shard:
    """One shard of one mapping, from `position` on: see `KinesisPoller` for the arguments.

    Args:
        position: A sequence number that is done, `TRIM_HORIZON`, or `AT_TIMESTAMP:` and seconds.
        stopping: Set when nothing more is to be begun.
    """

    def __init__(
        self,
        name: str,
        position: str,
        mapping: MappingConfig,
        aws: Aws,
        invoke: Callable[[str, Invocation], Awaitable[Outcome]],
        send_record: Callable[[str, dict[str, Any], str], Awaitable[None]],
        checkpoints: Checkpoints,
        clock: Clock,
        stopping: asyncio.Event,
    ) -> None:
        self._name = name
        self._position = position
        self._mapping = mapping
        self._aws = aws
        self._invoke = invoke
        self._send_record = send_record
        self._checkpoints = checkpoints
        self._clock = clock
        self._stopping = stopping
        self._progress: Progress[str] = Progress()
        self._lanes = [_Lane() for _ in range(mapping.parallelization_factor)]
        self._room = asyncio.Event()
        self._waiting_bytes = 0

    async def run(self) -> None:
        """Read and work until stopped, or until the shard has ended and all of it is done."""
        workers = [asyncio.create_task(self._work(lane)) for lane in self._lanes]
        try:
            ended = await self._read()
            for lane in self._lanes:
                lane.close()
            await asyncio.gather(*workers)
            if ended and not self._stopping.is_set():
                await self._checkpoints.put(self._name, FINISHED)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _read(self) -> bool:
        """Read until stopped; return whether the shard has ended."""
        iterator: str | None = None
        failures = 0
        while not self._stopping.is_set():
            if self._waiting_bytes >= MAX_WAITING_BYTES or len(self._progress) >= MAX_OPEN_RECORDS:
                self._room.clear()
                await self._pause_for(self._room, POLL_SECONDS)
                continue
            try:
                iterator = iterator or await self._iterator()
                answer = await self._aws.call("kinesis", "get_records", ShardIterator=iterator, Limit=READ_RECORDS)
                failures = 0
            except DeliveryError as error:
                logger.warning("cannot read %s: %s", self._name, error)
                iterator = None
                failures += 1
                await self._pause_for(self._stopping, backoff(failures))
                continue
            self._distribute(answer["Records"])
            iterator = answer.get("NextShardIterator")
            if iterator is None:
                return True
            if not answer["Records"]:
                await self._pause_for(self._stopping, POLL_SECONDS)
        return False

    async def _iterator(self) -> str:
        kind, _, moment = self._position.partition(":")
        more: dict[str, Any]
        if kind == "AT_TIMESTAMP":
            more = {"ShardIteratorType": kind, "Timestamp": float(moment)}
        elif kind == "TRIM_HORIZON":
            more = {"ShardIteratorType": kind}
        else:
            more = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": kind}
        answer = await self._aws.call(
            "kinesis", "get_shard_iterator", StreamARN=self._mapping.source_arn, ShardId=self._name, **more
        )
        iterator: str = answer["ShardIterator"]
        return iterator

    def _distribute(self, records: list[dict[str, Any]]) -> None:
        now = self._clock.now()
        self._progress.begin(record["SequenceNumber"] for record in records)
        for record in records:
            self._position = record["SequenceNumber"]
            data = events.kinesis_record(record, self._name, self._mapping.source_arn)
            key = record["PartitionKey"]
            lane = self._lanes[zlib.crc32(key.encode()) % len(self._lanes)]
            size = events.size(data)
            self._waiting_bytes += size
            lane.add(StreamRecord(record["SequenceNumber"], key, events.arrival(record), data, size), now)

    async def _work(self, lane: _Lane) -> None:
        mapping = self._mapping
        while True:
            batch = lane.take(mapping.batch_size, mapping.window_seconds, self._clock.now())
            if batch:
                await self._handle(batch)
            elif lane.closed and (not lane.waiting or self._stopping.is_set()):
                return
            else:
                await self._clock.wait(lane.changed, lane.due(mapping.window_seconds))
                lane.changed.clear()

    async def _handle(self, records: tuple[StreamRecord, ...]) -> None:
        """Invoke with these records until each is done or given up, or the host stops."""
        to_do = deque([Piece(records)])
        while to_do and not self._stopping.is_set():
            piece = to_do.popleft()
            step = without_expired(piece, self._mapping, self._clock.now())
            if step.discarded:
                await self._discard(step.discarded, "")
            if not step.to_do:
                continue
            piece = step.to_do[0]
            request_id = str(uuid.uuid4())
            invocation = Invocation(request_id, events.payload([one.data for one in piece.records]), "")
            try:
                outcome = await self._invoke(self._mapping.function, invocation)
            except (ThrottledError, OSError) as error:
                if isinstance(error, OSError):
                    logger.error("cannot start an environment of %s: %s", self._mapping.function, error)
                to_do.appendleft(piece)
                await self._pause_for(self._stopping, POLL_SECONDS)
                continue
            step = after_invocation(piece, self._mapping, outcome)
            if step.done:
                await self._finish(step.done)
            if step.discarded:
                await self._discard(step.discarded, request_id)
            to_do.extendleft(reversed(step.to_do))
            if step.wait:
                await self._pause_for(self._stopping, step.wait)

    async def _discard(self, discarded: Discarded, request_id: str) -> None:
        """Tell the on-failure destination, if there is one, and go on behind these records."""
        piece, mapping = discarded.piece, self._mapping
        logger.warning(
            "%s gives up %d records of %s: %s", mapping.function, len(piece.records), self._name, discarded.condition
        )
        arn = function_arn(mapping.function, self._aws.region)
        record = batch_record(
            request_id=request_id or str(uuid.uuid4()),
            function_arn=arn,
            condition=discarded.condition,
            attempts=piece.attempts,
            failed=discarded.failed,
            batch=batch_info(piece.records, self._name, mapping.source_arn),
            now=self._clock.now(),
        )
        failures = 0
        while mapping.on_failure and not self._stopping.is_set():
            try:
                await self._send_record(mapping.on_failure, record, arn)
                break
            except DeliveryError as error:
                failures += 1
                logger.warning("records that are given up cannot be told of: %s; tried again", error)
                await self._pause_for(self._stopping, backoff(failures))
        else:
            if mapping.on_failure:
                return
        await self._finish(piece.records)

    async def _finish(self, records: tuple[StreamRecord, ...]) -> None:
        self._waiting_bytes -= sum(record.size for record in records)
        position = self._progress.finish(record.sequence for record in records)
        self._room.set()
        if position is not None:
            await self._checkpoints.put(self._name, position)

    async def _pause_for(self, event: asyncio.Event, seconds: float) -> None:
        await self._clock.wait(event, self._clock.now() + seconds)


class _Lane:
    """The records of some partition keys of a shard, in order."""

    def __init__(self) -> None:
        self.waiting: deque[StreamRecord] = deque()
        self.changed = asyncio.Event()
        self.closed = False
        self._since = 0.0

    def add(self, record: StreamRecord, now: float) -> None:
        if not self.waiting:
            self._since = now
        self.waiting.append(record)
        self.changed.set()

    def close(self) -> None:
        """No more will come: what waits is a batch."""
        self.closed = True
        self.changed.set()

    def due(self, window: float) -> float | None:
        """When what waits becomes a batch even if no more comes."""
        return self._since + window if self.waiting else None

    def take(self, most: int, window: float, now: float) -> tuple[StreamRecord, ...]:
        """The next batch, if there is one: it is full, its window is over, or no more will come."""
        if not self.waiting or (len(self.waiting) < most and now < self._since + window and not self.closed):
            return ()
        batch: list[StreamRecord] = []
        size = _ENVELOPE_BYTES
        while self.waiting and len(batch) < most:
            size += self.waiting[0].size
            if batch and size > MAX_SYNC_BYTES:
                break
            batch.append(self.waiting.popleft())
        self._since = now
        return tuple(batch)
