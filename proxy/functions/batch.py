"""What becomes of a batch of records after an invocation; pure (Lambda guide)."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from proxy.functions.logs import timestamp
from proxy.functions.model import MappingConfig, Outcome

K = TypeVar("K", bound=Hashable)

MAX_BACKOFF_SECONDS: Final = 60.0
RETRIES_EXHAUSTED: Final = "RetryAttemptsExhausted"
RECORD_AGE_EXCEEDED: Final = "RecordAgeExceeded"

EVERYTHING: Final = None
"""In place of a set of failed ids: the whole batch has failed."""


def failed_items(outcome: Outcome, ids: Collection[str], *, reports: bool) -> frozenset[str] | None:
    """Which records of a batch have failed; `EVERYTHING` when it failed as a whole.

    Whole success: nothing, null or `{}`, and a list of failures that is empty, null or missing. Whole failure: a
    function error, an answer that is not an object, and an item whose identifier is missing, empty, null, not a string
    or not of this batch. Without ReportBatchItemFailures only a function error is a failure.
    """
    if outcome.failed:
        return EVERYTHING
    if not reports:
        return frozenset()
    try:
        answer = json.loads(outcome.payload) if outcome.payload.strip() else None
    except (ValueError, RecursionError):
        return EVERYTHING
    if answer is None or answer == "":
        return frozenset()
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else EVERYTHING
    if isinstance(answer, dict) and failures is None:
        return frozenset()
    if not isinstance(failures, list):
        return EVERYTHING
    failed: set[str] = set()
    for item in failures:
        identifier = item.get("itemIdentifier") if isinstance(item, dict) else None
        if not isinstance(identifier, str) or identifier not in ids:
            return EVERYTHING
        failed.add(identifier)
    return frozenset(failed)


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """A record of a shard, as far as deciding needs it; `data` is handed on, `size` is how many bytes it adds."""

    sequence: str
    partition_key: str
    arrived: float
    data: dict[str, Any] = field(compare=False)
    size: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Records of a shard that are invoked together, and how often that has failed."""

    records: tuple[StreamRecord, ...]
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Discarded:
    """A piece that is given up, and why; `failed` when its last attempt was a function error."""

    piece: Piece
    condition: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What an attempt leads to: records that are done, pieces still to do in order, and what is given up."""

    done: tuple[StreamRecord, ...] = ()
    to_do: tuple[Piece, ...] = ()
    discarded: Discarded | None = None
    wait: float = 0.0


def without_expired(piece: Piece, mapping: MappingConfig, now: float) -> Step:
    """Before an attempt: what is too old is given up."""
    limit = mapping.maximum_record_age_seconds
    if limit < 0:
        return Step(to_do=(piece,))
    expired = tuple(record for record in piece.records if now - record.arrived > limit)
    if not expired:
        return Step(to_do=(piece,))
    left = tuple(record for record in piece.records if record not in expired)
    to_do = (Piece(left, piece.attempts),) if left else ()
    return Step(to_do=to_do, discarded=Discarded(Piece(expired, piece.attempts), RECORD_AGE_EXCEEDED))


def after_invocation(piece: Piece, mapping: MappingConfig, outcome: Outcome) -> Step:
    """After an attempt.

    From the lowest sequence number that is reported on, everything is tried again. A batch that is split does not count
    as tried: with a report that leaves something behind, the report is the split; else it is in the middle.
    """
    ids = [record.sequence for record in piece.records]
    failed = failed_items(outcome, ids, reports=mapping.reports_failures)
    if failed is not EVERYTHING and not failed:
        return Step(done=piece.records)
    first = 0 if failed is EVERYTHING else min(ids.index(one) for one in failed)
    done, left = piece.records[:first], piece.records[first:]
    if mapping.bisects and done:
        return Step(done, (Piece(left, piece.attempts),))
    if mapping.bisects and len(left) > 1:
        middle = len(left) // 2
        return Step((), (Piece(left[:middle], piece.attempts), Piece(left[middle:], piece.attempts)))
    again = Piece(left, piece.attempts + 1)
    if 0 <= mapping.maximum_retry_attempts < again.attempts:
        return Step(done, (), Discarded(again, RETRIES_EXHAUSTED, failed=outcome.failed))
    return Step(done, (again,), wait=backoff(again.attempts))


def backoff(failures: int) -> float:
    """Seconds before the next attempt: 1, 2, 4 and so on up to a minute."""
    return float(min(2.0 ** min(failures - 1, 16), MAX_BACKOFF_SECONDS))


def batch_info(records: Sequence[StreamRecord], shard: str, stream_arn: str) -> dict[str, Any]:
    """Where records are, for an on-failure destination (KinesisBatchInfo)."""

    return {
        "shardId": shard,
        "startSequenceNumber": records[0].sequence,
        "endSequenceNumber": records[-1].sequence,
        "approximateArrivalOfFirstRecord": timestamp(records[0].arrived),
        "approximateArrivalOfLastRecord": timestamp(records[-1].arrived),
        "batchSize": len(records),
        "streamArn": stream_arn,
    }


class Progress(Generic[K]):
    """How far a shard is done when its lanes are at different places: up to the first that is not."""

    def __init__(self) -> None:
        self._open: deque[K] = deque()
        self._done: set[K] = set()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, keys: Iterable[K]) -> None:
        """These come next."""
        self._open.extend(keys)

    def finish(self, keys: Iterable[K]) -> K | None:
        """These are done; return the last before which everything is, or None if that has not moved."""
        self._done.update(keys)
        last: K | None = None
        while self._open and self._open[0] in self._done:
            last = self._open.popleft()
            self._done.discard(last)
        return last
