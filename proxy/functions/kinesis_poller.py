"""Polls one stream for one function, each shard in order (Kinesis API; Lambda guide)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from proxy.functions.aws import Aws, DeliveryError
from proxy.functions.batch import backoff
from proxy.functions.clock import Clock
from proxy.functions.model import Invocation, MappingConfig, Outcome
from proxy.functions.shard import FINISHED, Checkpoints, Shard

DISCOVER_SECONDS = 10.0
"""How often new shards are looked for; a shard that ends has them looked for at once."""

logger = logging.getLogger(__name__)

SendRecord = Callable[[str, dict[str, Any], str, str], Awaitable[None]]


class KinesisPoller:
    """Reads every shard of a stream, children after their parents.

    Args:
        mapping: What is polled and how.
        aws: For the stream.
        invoke: Runs one invocation; may raise ThrottledError or OSError.
        send_record: Tells an on-failure destination, by ARN; raises DeliveryError.
        checkpoints: How far each shard is done.
        clock: For ages of records, and waits.
    """

    def __init__(
        self,
        mapping: MappingConfig,
        aws: Aws,
        invoke: Callable[[str, Invocation], Awaitable[Outcome]],
        send_record: SendRecord,
        checkpoints: Checkpoints,
        clock: Clock,
    ) -> None:
        self._mapping = mapping
        self._aws = aws
        self._invoke = invoke
        self._send_record = send_record
        self._checkpoints = checkpoints
        self._clock = clock
        self._stopping = asyncio.Event()
        self._wake = asyncio.Event()
        self._shards: dict[str, asyncio.Task[None]] = {}

    def stop(self) -> None:
        """Read no more; `run` returns when the batches in progress have ended."""
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Poll until stopped. Errors of the stream are logged and the poll is tried again, later each time."""
        failures = 0
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                await self._begin_shards()
                failures = 0
                pause = DISCOVER_SECONDS
            except DeliveryError as error:
                failures += 1
                logger.warning("cannot list the shards of %s: %s", self._mapping.source_arn, error)
                pause = backoff(failures)
            except Exception:
                failures += 1
                logger.exception("cannot begin the shards of %s", self._mapping.source_arn)
                pause = backoff(failures)
            await self._clock.wait(self._wake, self._clock.now() + pause)
        await asyncio.gather(*self._shards.values(), return_exceptions=True)

    async def _begin_shards(self) -> None:
        shards = await self._list_shards()
        positions = await self._checkpoints.all()
        is_first_look = not positions
        names = {shard["ShardId"] for shard in shards}
        for shard in shards:
            name = shard["ShardId"]
            if name in self._shards or positions.get(name) == FINISHED:
                continue
            parents = [shard[key] for key in ("ParentShardId", "AdjacentParentShardId") if key in shard]
            if any(parent in names and positions.get(parent) != FINISHED for parent in parents):
                continue
            position = positions.get(name) or await self._first_position(name, is_first_look=is_first_look)
            reader = Shard(
                name,
                position,
                self._mapping,
                self._aws,
                self._invoke,
                self._send_record,
                self._checkpoints,
                self._clock,
                self._stopping,
            )
            task = asyncio.create_task(reader.run())
            self._shards[name] = task
            task.add_done_callback(partial(self._shard_done, name))

    async def _first_position(self, shard: str, *, is_first_look: bool) -> str:
        """Where a shard begins that was never read. Shards that came later are read from their beginning.

        LATEST is kept as a time, so that what arrives while the host is down is not passed over.
        """
        mapping = self._mapping
        if not is_first_look or mapping.starting_position == "TRIM_HORIZON":
            return "TRIM_HORIZON"
        moment = mapping.starting_timestamp if mapping.starting_position == "AT_TIMESTAMP" else self._clock.now()
        position = f"AT_TIMESTAMP:{moment}"
        await self._checkpoints.put(shard, position)
        return position

    def _shard_done(self, name: str, task: asyncio.Task[None]) -> None:
        """One that failed is begun again at the next look, from its checkpoint."""
        del self._shards[name]
        if not task.cancelled() and (error := task.exception()):
            logger.error("%s of %s: %r", name, self._mapping.source_arn, error)
        else:
            self._wake.set()

    async def _list_shards(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = []
        more: dict[str, Any] = {"StreamARN": self._mapping.source_arn}
        while True:
            answer = await self._aws.call("kinesis", "list_shards", **more)
            shards += answer.get("Shards", [])
            if not answer.get("NextToken"):
                return shards
            more = {"NextToken": answer["NextToken"]}
