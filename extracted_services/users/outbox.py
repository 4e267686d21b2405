"""The background worker: mail that was accepted with a signup is delivered after the answer.

Delivery is at least once: a process killed between sending and forgetting sends again after the lease.
"""

import logging
import threading
import time

from extracted_services.users.mail import Mailer, MailError
from extracted_services.users.store import Store

_log = logging.getLogger("uvicorn.error")

POLL_SECONDS = 1.0
MAX_DELAY_SECONDS = 300.0


def retry_delay(attempts: int) -> float:
    """Return the seconds to wait after so many failed attempts: 1, 2, 4 ... up to five minutes."""
    return min(2.0 ** (min(attempts, 16) - 1), MAX_DELAY_SECONDS)


class OutboxWorker:
    """A thread that empties the outbox; `wake` makes it look at once instead of at the next poll."""

    def __init__(self, store: Store, mailer: Mailer) -> None:
        self._store = store
        self._mailer = mailer
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="outbox")

    def start(self) -> None:
        """Start the thread; it begins with what an earlier process has left."""
        self._thread.start()

    def wake(self) -> None:
        """Tell that a message was added."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread after the message it is sending."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            if not self._deliver_next():
                self._wake.wait(POLL_SECONDS)
                self._wake.clear()

    def _deliver_next(self) -> bool:
        mail = self._store.lease_mail(time.time())
        if mail is None:
            return False
        try:
            self._mailer.send(mail.message)
        except MailError as error:
            delay = retry_delay(mail.attempts)
            self._store.postpone_mail(mail.id, time.time() + delay)
            _log.warning("mail %d not delivered, next attempt in %.0f s: %s", mail.id, delay, error)
        else:
            self._store.finish_mail(mail.id)
        return True
