"""What becomes of an event in the asynchronous queue; pure (Lambda guide)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from proxy.functions.model import AsyncConfig, Outcome

RETRY_SECONDS: Final = (60.0, 120.0)
"""The wait before the second and before the third attempt."""
MAX_THROTTLE_SECONDS: Final = 300.0
MAX_DELIVERIES: Final = 12
"""Attempts to reach a destination, some 30 minutes in all, before its record is dropped."""

SUCCESS: Final = "Success"
RETRIES_EXHAUSTED: Final = "RetriesExhausted"
EVENT_AGE_EXCEEDED: Final = "EventAgeExceeded"


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An accepted asynchronous invocation.

    Attributes:
        accepted, due: Seconds since the epoch: when it came, and when it is to be looked at next.
        attempts: Invocations that have ended.
        throttles: Attempts in a row for which there was no environment.
        condition: Why it is over, in the words of the invocation record; empty while it is not.
        response: What the last attempt answered; None before the first.
        failed: Whether that was a function error.
        deliveries: Attempts to tell a destination.
    """

    request_id: str
    function: str
    payload: bytes
    trace_id: str
    accepted: float
    due: float
    attempts: int = 0
    throttles: int = 0
    condition: str = ""
    response: bytes | None = None
    failed: bool = False
    deliveries: int = 0


def accepted(event: QueuedEvent, reserved: int | None) -> QueuedEvent:
    """The event as it is stored: over at once when its function may never run (reserved concurrency 0)."""
    return replace(event, condition=RETRIES_EXHAUSTED) if reserved == 0 else event


def before_attempt(event: QueuedEvent, config: AsyncConfig, now: float) -> QueuedEvent:
    """The event as it is when its time has come: over when it is too old."""
    if now - event.accepted >= config.maximum_event_age_seconds:
        return replace(event, condition=EVENT_AGE_EXCEEDED)
    return event


def after_attempt(event: QueuedEvent, config: AsyncConfig, outcome: Outcome, now: float) -> QueuedEvent:
    """The event after an invocation: over, or due again after a minute and then two."""
    event = replace(
        event, attempts=event.attempts + 1, throttles=0, response=outcome.payload, failed=outcome.failed, due=now
    )
    if not outcome.failed:
        return replace(event, condition=SUCCESS)
    if event.attempts > config.maximum_retry_attempts:
        return replace(event, condition=RETRIES_EXHAUSTED)
    return _due_after(event, config, RETRY_SECONDS[min(event.attempts, len(RETRY_SECONDS)) - 1], now)


def after_throttle(event: QueuedEvent, config: AsyncConfig, now: float) -> QueuedEvent:
    """The event after an attempt for which there was no environment: it waits 1 s, then twice as long each time."""
    wait = min(2.0 ** min(event.throttles, 16), MAX_THROTTLE_SECONDS)
    return _due_after(replace(event, throttles=event.throttles + 1), config, wait, now)


def after_delivery_failed(event: QueuedEvent, now: float) -> QueuedEvent | None:
    """The event after a destination could not be told; None when it is given up."""
    if event.deliveries + 1 >= MAX_DELIVERIES:
        return None
    wait = min(2.0**event.deliveries, MAX_THROTTLE_SECONDS)
    return replace(event, deliveries=event.deliveries + 1, due=now + wait)


def _due_after(event: QueuedEvent, config: AsyncConfig, wait: float, now: float) -> QueuedEvent:
    """Not later than it is too old: then it is looked at once more, and is over."""
    return replace(event, due=min(now + wait, event.accepted + config.maximum_event_age_seconds))
