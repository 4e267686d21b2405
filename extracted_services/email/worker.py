"""The loop: receive, send the mail, delete. At least once is the queue's promise, once is the store's."""

from __future__ import annotations

import time
from collections.abc import Sequence

from extracted_services.email.heartbeat import Heartbeat
from extracted_services.email.logs import log
from extracted_services.email.mail import Mailer, MailError, welcome_mail
from extracted_services.email.message import MalformedError, Message, SignedUp, signed_up_of
from extracted_services.email.queue import Queue, QueueError
from extracted_services.email.stop import Stop, Stopped
from extracted_services.email.store import Claim, Store
from extracted_services.email.tracing import span

FIRST_DELAY_SECONDS = 15
MAX_DELAY_SECONDS = 900
KEPT_SECONDS = 30 * 86_400
"""How long a mail is remembered: longer than queue and dead letters together keep a message (SQS API)."""
FORGET_EVERY_SECONDS = 3600
MAX_PAUSE_SECONDS = 30.0
"""Between two attempts to reach the queue."""


def retry_delay(receive_count: int) -> int:
    """Seconds until a message is tried again after a failure: 15, 30, 60 ... up to 15 minutes."""
    return min(FIRST_DELAY_SECONDS << min(receive_count - 1, 16), MAX_DELAY_SECONDS)


class Worker:
    """Works until `stop` is requested: then it finishes the message in hand and gives the others back."""

    def __init__(self, queue: Queue, store: Store, mailer: Mailer, stop: Stop) -> None:
        self._queue = queue
        self._store = store
        self._mailer = mailer
        self._stop = stop

    def run(self) -> None:
        """Return when a stop was requested."""
        pause = 1.0
        forget_at = 0.0
        try:
            while not self._stop.requested:
                if time.monotonic() >= forget_at:
                    self._store.forget_sent_before(time.time() - KEPT_SECONDS)
                    forget_at = time.monotonic() + FORGET_EVERY_SECONDS
                try:
                    with self._stop.interruptible():
                        messages = self._queue.receive()
                    self.work_on(messages)
                    pause = 1.0
                except QueueError as error:
                    log("error", f"{error}; next attempt in {pause:.0f} s")
                    self._stop.sleep(pause)
                    pause = min(pause * 2, MAX_PAUSE_SECONDS)
        except Stopped:
            pass

    def work_on(self, messages: Sequence[Message]) -> None:
        """Settle every message: deleted, or put back."""
        done = []
        with Heartbeat(self._queue, self._store, list(messages)) as heartbeat:
            for message in messages:
                back_in = 0 if self._stop.requested else self._work_on_one(message, heartbeat)
                if back_in is None:
                    done.append(message)
                    continue
                heartbeat.settled(message)
                self._queue.hide([message], back_in)
            left = self._queue.delete(done)
        for message_id in left:
            log("warning", "not deleted, so it comes again", message_id=message_id)

    def _work_on_one(self, message: Message, heartbeat: Heartbeat) -> int | None:
        """Return None if the message is done with, else the seconds until it may come again."""
        with span(
            "process user.signed_up",
            "consumer",
            message.trace,
            messaging__system="aws_sqs",
            messaging__operation__type="process",
            messaging__message__id=message.message_id,
        ) as work:
            back_in = self._process(message, heartbeat)
            if back_in is not None:
                work.error = "_OTHER"
            return back_in

    def _process(self, message: Message, heartbeat: Heartbeat) -> int | None:
        fields = {"message_id": message.message_id, "receipt": message.receive_count}
        try:
            event = signed_up_of(message.body)
        except MalformedError as error:
            # It stays as it is however often it comes, so the way to the dead letters is made short.
            log("error", f"malformed: {error}", **fields)
            return 0
        fields["event_id"] = event.event_id
        match self._store.claim(event.event_id, time.time(), heartbeat.lease_seconds):
            case Claim.SENT_BEFORE:
                log("info", "duplicate: the mail was sent before", **fields)
                return None
            case Claim.IN_OTHER_HANDS:
                log("info", "duplicate: another worker has it", **fields)
                return self._queue.visibility_seconds
        heartbeat.working_on(event.event_id)
        try:
            self._send(event)
        except MailError as error:
            self._store.release(event.event_id)
            delay = retry_delay(message.receive_count)
            log("error", f"mail not sent, next attempt in {delay} s: {error}", **fields)
            return delay
        finally:
            heartbeat.working_on(None)
        log("info", "mail sent", **fields)
        return None

    def _send(self, event: SignedUp) -> None:
        self._mailer.send(event.event_id, welcome_mail(event.event_id, event.email, event.name))
        self._store.sent(event.event_id, time.time())
