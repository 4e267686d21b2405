"""Tumbling windows of a shard: a state that goes from batch to batch (Lambda guide, Kinesis); pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from proxy.functions.model import Outcome

MAX_STATE_BYTES: Final = 1024 * 1024
"""Of a state; one that is larger ends its window early (Lambda guide)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window that is open.

    Attributes:
        start: Seconds since the epoch, a multiple of its length.
        state: What the function has answered last.
    """

    start: int
    seconds: int
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, arrived: float, seconds: int) -> Window:
        """The window that a record belongs to, with nothing in it."""
        return cls(int(arrived // seconds) * seconds, seconds)

    @property
    def end(self) -> int:
        return self.start + self.seconds

    @property
    def is_too_large(self) -> bool:
        return len(json.dumps(self.state, ensure_ascii=False).encode()) > MAX_STATE_BYTES

    def members(self, shard: str, stream_arn: str, *, final: bool = False, early: bool = False) -> dict[str, Any]:
        """What an event has beside its records."""
        return {
            "window": {"start": _time(self.start), "end": _time(self.end)},
            "state": self.state,
            "shardId": shard,
            "eventSourceARN": stream_arn,
            "isFinalInvokeForWindow": final,
            "isWindowTerminatedEarly": early,
        }


def state_of(outcome: Outcome) -> dict[str, Any] | None:
    """The state that the function answers; None if there is none, which is a failed invocation (Lambda guide)."""
    try:
        answer = json.loads(outcome.payload)
    except (ValueError, RecursionError):
        return None
    state = answer.get("state") if isinstance(answer, dict) and not outcome.failed else None
    return state if isinstance(state, dict) else None


def checkpoint(position: str, window: Window | None) -> str:
    """How far a shard is done, with its open window: state and position are kept together, or not at all."""
    if window is None:
        return position
    return f"{position} {json.dumps({'start': window.start, 'seconds': window.seconds, 'state': window.state})}"


def from_checkpoint(text: str, seconds: int) -> tuple[str, Window | None]:
    """The position and the window of a checkpoint; the window is gone where their length has changed."""
    position, _, kept = text.partition(" ")
    window = Window(**json.loads(kept)) if kept else None
    return position, window if window is not None and window.seconds == seconds else None


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
