"""Reads one shard: records go to lanes by their partition key, each lane keeps the order, the checkpoint follows."""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
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
from proxy.functions.filters import Filters
from proxy.functions.lane import Lane
from proxy.functions.mappings import mapping_id
from proxy.functions.model import (
    MAX_SYNC_BYTES,
    Invocation,
    MappingConfig,
    Outcome,
    ThrottledError,
    function_arn,
)
from proxy.functions.records import batch_record
from proxy.functions.windows import MAX_STATE_BYTES, Window, checkpoint, from_checkpoint, state_of

FINISHED: Final = "FINISHED"
"""The checkpoint of a shard that has ended and is done."""
POLL_SECONDS = 1.0
"""Between two reads of a shard that had nothing (Lambda guide)."""
READ_RECORDS = 1000
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_OPEN_RECORDS = 100_000
"""With more records that wait behind one that fails, or are done but behind it, the shard is read no further."""

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
        send_record: Callable[[str, dict[str, Any], str, str], Awaitable[None]],
        checkpoints: Checkpoints,
        clock: Clock,
        stopping: asyncio.Event,
    ) -> None:
        self._name = name
        self._position, self._window = from_checkpoint(position, mapping.tumbling_seconds)
        self._done_position = self._position
        self._all_read_at = 0.0
        self._mapping = mapping
        self._filters = Filters(mapping.filters, mapping.service)
        self._aws = aws
        self._invoke = invoke
        self._send_record = send_record
        self._checkpoints = checkpoints
        self._clock = clock
        self._stopping = stopping
        self._progress: Progress[str] = Progress()
        self._lanes = [Lane() for _ in range(mapping.parallelization_factor)]
        self._room = asyncio.Event()
        self._waiting_bytes = 0

    async def run(self) -> None:
        """Read and work until stopped, or until the shard has ended and all of it is done."""
        reading = asyncio.create_task(self._read_to_the_end())
        workers = [asyncio.create_task(self._work(lane)) for lane in self._lanes]
        try:
            # A lane that fails ends the reading too, else nobody would work on what is read.
            await asyncio.gather(reading, *workers)
            if reading.result() and not self._stopping.is_set():
                await self._checkpoints.put(self._name, FINISHED)
        finally:
            for task in (reading, *workers):
                task.cancel()
            await asyncio.gather(reading, *workers, return_exceptions=True)

    async def _read_to_the_end(self) -> bool:
        ended = await self._read()
        for lane in self._lanes:
            lane.close()
        return ended

    async def _read(self) -> bool:
        """Read until stopped; return whether the shard has ended."""
        iterator: str | None = None
        failures = 0
        while not self._stopping.is_set():
            if self._waiting_bytes >= MAX_WAITING_BYTES or len(self._progress) >= MAX_OPEN_RECORDS:
                self._room.clear()
                await self._pause_for(self._room, POLL_SECONDS)
                continue
            asked = self._clock.now()
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
            await self._distribute(answer["Records"])
            iterator = answer.get("NextShardIterator")
            if iterator is None:
                return True
            if not answer["Records"]:
                self._all_read(asked)
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

    async def _distribute(self, records: list[dict[str, Any]]) -> None:
        """Give the records to their lanes; those that no filter lets pass are done."""
        now = self._clock.now()
        self._progress.begin(record["SequenceNumber"] for record in records)
        skipped: list[str] = []
        for record in records:
            self._position = record["SequenceNumber"]
            data = events.kinesis_record(record, self._name, self._mapping.source_arn)
            if not self._filters.pass_(data):
                skipped.append(record["SequenceNumber"])
                continue
            key = record["PartitionKey"]
            lane = self._lanes[zlib.crc32(key.encode()) % len(self._lanes)]
            size = events.size(data)
            self._waiting_bytes += size
            lane.add(StreamRecord(record["SequenceNumber"], key, events.arrival(record), data, size), now)
        if skipped:
            await self._done(skipped)

    async def _work(self, lane: Lane) -> None:
        mapping = self._mapping
        while True:
            if self._is_window_over(lane):
                await self._end_window()
                continue
            batch = lane.take(
                mapping.batch_size,
                mapping.window_seconds,
                self._clock.now(),
                most_bytes=MAX_SYNC_BYTES - (MAX_STATE_BYTES if mapping.tumbling_seconds else 0),
                before=self._window_of(lane.waiting[0]).end if mapping.tumbling_seconds and lane.waiting else math.inf,
            )
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
            members = {}
            if self._mapping.tumbling_seconds:
                self._window = self._window_of(piece.records[0])
                members = self._window.members(self._name, self._mapping.source_arn)
            payload = events.payload([one.data for one in piece.records], members)
            outcome = await self._invoke_if_there_is_room(Invocation(request_id, payload, ""))
            if outcome is None:
                to_do.appendleft(piece)
                continue
            state = state_of(outcome) if members else None
            if members and state is None:
                outcome = replace(outcome, failed=True)
            step = after_invocation(piece, self._mapping, outcome)
            if step.done:
                if self._window is not None and state is not None:
                    self._window = replace(self._window, state=state)
                await self._finish(step.done)
                if self._window is not None and self._window.is_too_large:
                    await self._end_window(early=True)
            if step.discarded:
                await self._discard(step.discarded, request_id)
            to_do.extendleft(reversed(step.to_do))
            if step.wait:
                await self._pause_for(self._stopping, step.wait)

    async def _invoke_if_there_is_room(self, invocation: Invocation) -> Outcome | None:
        """Invoke; None, after a pause, if that cannot be now."""
        try:
            return await self._invoke(self._mapping.function, invocation)
        except (ThrottledError, OSError) as error:
            if isinstance(error, OSError):
                logger.error("cannot start an environment of %s: %s", self._mapping.function, error)
            await self._pause_for(self._stopping, POLL_SECONDS)
            return None

    def _window_of(self, record: StreamRecord) -> Window:
        """The window that is open, or the one that the record opens; one that comes late goes into the open one."""
        return self._window or Window.of(record.arrived, self._mapping.tumbling_seconds)

    def _all_read(self, moment: float) -> None:
        """What had come until then has been read: a window that is over now gets no more."""
        self._all_read_at = moment
        if self._window is not None:
            for lane in self._lanes:
                lane.changed.set()

    def _is_window_over(self, lane: Lane) -> bool:
        if self._window is None or self._stopping.is_set():
            return False
        if lane.waiting:
            return lane.waiting[0].arrived >= self._window.end
        return lane.closed or self._all_read_at >= self._window.end

    async def _end_window(self, *, early: bool = False) -> None:
        """Give the function the state for the last time, until it succeeds or the host stops (Lambda guide)."""
        failures = 0
        while self._window is not None and not self._stopping.is_set():
            members = self._window.members(self._name, self._mapping.source_arn, final=True, early=early)
            invocation = Invocation(str(uuid.uuid4()), events.payload([], members), "")
            outcome = await self._invoke_if_there_is_room(invocation)
            if outcome is None:
                continue
            if outcome.failed:
                failures += 1
                await self._pause_for(self._stopping, backoff(failures))
                continue
            self._window = replace(self._window, state={}) if early else None
            await self._checkpoints.put(self._name, checkpoint(self._done_position, self._window))
            return

    async def _discard(self, discarded: Discarded, request_id: str) -> None:
        """Tell the on-failure destination, if there is one, and go on behind these records."""
        piece, mapping = discarded.piece, self._mapping
        logger.warning(
            "%s gives up %d records of %s: %s", mapping.function, len(piece.records), self._name, discarded.condition
        )
        arn = function_arn(mapping.function, self._aws.region)
        is_bucket = mapping.on_failure.split(":")[2:3] == ["s3"]
        record = batch_record(
            request_id=request_id or str(uuid.uuid4()),
            function_arn=arn,
            condition=discarded.condition,
            attempts=piece.attempts,
            failed=discarded.failed,
            batch=batch_info(piece.records, self._name, mapping.source_arn),
            now=self._clock.now(),
            payload=events.payload([one.data for one in piece.records]) if is_bucket else None,
        )
        failures = 0
        while mapping.on_failure and not self._stopping.is_set():
            try:
                await self._send_record(mapping.on_failure, record, arn, f"{mapping_id(mapping)}/{self._name}")
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
        await self._done([record.sequence for record in records])

    async def _done(self, sequences: list[str]) -> None:
        position = self._progress.finish(sequences)
        self._room.set()
        if position is not None:
            self._done_position = position
            await self._checkpoints.put(self._name, checkpoint(position, self._window))

    async def _pause_for(self, event: asyncio.Event, seconds: float) -> None:
        await self._clock.wait(event, self._clock.now() + seconds)
