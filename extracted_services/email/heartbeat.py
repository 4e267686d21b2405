"""While messages are worked on they stay hidden, however long it takes."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Protocol, Self

from extracted_services.email.logs import log
from extracted_services.email.message import Message
from extracted_services.email.queue import QueueError


class _Queue(Protocol):
    visibility_seconds: int

    def hide(self, messages: list[Message], seconds: int) -> None: ...


class _Store(Protocol):
    def extend(self, event_id: str, until: float) -> None: ...


class Heartbeat:
    """A thread for the length of a `with` block: hides what is in hand again before it would come back."""

    def __init__(self, queue: _Queue, store: _Store, messages: list[Message]) -> None:
        self._queue = queue
        self._store = store
        self._in_hand = {message.receipt_handle: message for message in messages}
        self._event_id: str | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat")

    @property
    def lease_seconds(self) -> float:
        """How long an event is leased; over before its message comes back after a kill."""
        return self._queue.visibility_seconds / 2

    def working_on(self, event_id: str | None) -> None:
        """Keep the lease of this event, too."""
        with self._lock:
            self._event_id = event_id

    def settled(self, message: Message) -> None:
        """The message is not in hand any more."""
        with self._lock:
            self._in_hand.pop(message.receipt_handle, None)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._queue.visibility_seconds / 4):
            # Under the lock: a message that is put back meanwhile must not be hidden after that.
            with self._lock:
                try:
                    self._queue.hide(list(self._in_hand.values()), self._queue.visibility_seconds)
                except QueueError as error:
                    log("warning", f"visibility not extended: {error}")
                if self._event_id is not None:
                    self._store.extend(self._event_id, time.time() + self.lease_seconds)
