"""The background worker: events that were accepted with a signup are delivered after the answer.

Delivery is at least once: a process killed between handing over and forgetting does it again after the lease.
"""

import logging
import threading
import time

from extracted_services.users.delivery import Delivery, DeliveryError
from extracted_services.users.store import Store
from extracted_services.users.tracing import span, trace_of

_log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
MAX_DELAY_SECONDS = 300.0


def retry_delay(attempts: int) -> float:
    """Return the seconds to wait after so many failed attempts: 1, 2, 4 ... up to five minutes."""
    return min(2.0 ** (min(attempts, 16) - 1), MAX_DELAY_SECONDS)


class OutboxWorker:
    """A thread that empties the outbox; `wake` makes it look at once instead of at the next poll."""

    def __init__(self, store: Store, delivery: Delivery) -> None:
        self._store = store
        self._delivery = delivery
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="outbox")

    def start(self) -> None:
        """Start the thread; it begins with what an earlier process has left."""
        self._thread.start()

    def wake(self) -> None:
        """Tell that an event was added."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread after the event it is delivering."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            if not self._deliver_next():
                self._wake.wait(POLL_SECONDS)
                self._wake.clear()

    def _deliver_next(self) -> bool:
        pending = self._store.lease_event(time.time())
        if pending is None:
            return False
        event = pending.event
        trace = trace_of({name.lower(): value for name, value in event.attributes.items()})
        with span("send user.signed_up", "producer", trace, messaging__operation__type="send") as sending:
            try:
                # Whoever receives it goes on from here.
                self._delivery.deliver(event._replace(attributes={**event.attributes, **sending.trace.headers()}))
            except DeliveryError as error:
                delay = retry_delay(pending.attempts)
                self._store.postpone_event(pending.id, time.time() + delay)
                sending.error = type(error).__name__
                _log.warning("event %d not delivered, next attempt in %.0f s: %s", pending.id, delay, error)
            else:
                self._store.finish_event(pending.id)
                _log.info("event %d delivered", pending.id)
        return True
