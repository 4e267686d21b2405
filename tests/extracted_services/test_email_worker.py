"""The email team's worker: one mail for an event, however often its message comes and whoever dies meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path

import pytest

from extracted_services.email.mail import MaildirMailer, MailError, welcome_mail
from extracted_services.email.message import MalformedError, Message, message_of, signed_up_of
from extracted_services.email.queue import QueueError
from extracted_services.email.stop import Stop, Stopped
from extracted_services.email.store import Claim, Store
from extracted_services.email.tracing import Trace, trace_of
from extracted_services.email.worker import KEPT_SECONDS, Worker, retry_delay

BODY = '{"id": "%s", "type": "user.signed_up", "data": {"email": "a@example.org", "name": "Ada"}}'
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class QueueOfTest:
    """Notes what the worker does with its messages."""

    def __init__(self, visibility_seconds: int = 30) -> None:
        self.visibility_seconds = visibility_seconds
        self.deleted: list[str] = []
        self.hidden: list[tuple[str, int]] = []
        self.batches: list[list[Message] | QueueError] = []
        self.on_empty: Callable[[], None] = lambda: None

    def receive(self) -> list[Message]:
        if not self.batches:
            self.on_empty()
            return []
        batch = self.batches.pop(0)
        if isinstance(batch, QueueError):
            raise batch
        return batch

    def delete(self, messages: Sequence[Message]) -> list[str]:
        self.deleted += [message.message_id for message in messages]
        return []

    def hide(self, messages: Sequence[Message], seconds: int) -> None:
        self.hidden += [(message.message_id, seconds) for message in messages]


class MailerOfTest:
    """Notes what is sent; `on_send` may fail or wait."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.on_send: Callable[[], None] = lambda: None

    def send(self, key: str, message: EmailMessage) -> None:
        self.on_send()
        self.sent.append(key)


class Bench:
    """A worker with everything around it replaced, except its store."""

    def __init__(self, folder: Path, visibility_seconds: int = 30) -> None:
        self.store = Store(folder)
        self.queue = QueueOfTest(visibility_seconds)
        self.mailer = MailerOfTest()
        self.stop = Stop()
        self.worker = Worker(self.queue, self.store, self.mailer, self.stop)  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.store.close()


def message(message_id: str, event_id: str | None = None, body: str | None = None, receive_count: int = 1) -> Message:
    return Message(
        message_id, f"receipt of {message_id}", body or BODY % (event_id or message_id), receive_count, Trace(TRACE)
    )


def test_what_is_sent_is_deleted(bench: Bench) -> None:
    bench.worker.work_on([message("m1"), message("m2")])
    assert (bench.mailer.sent, bench.queue.deleted, bench.queue.hidden) == (["m1", "m2"], ["m1", "m2"], [])


def test_a_message_that_comes_twice_sends_one_mail(bench: Bench) -> None:
    bench.worker.work_on([message("m1"), message("m1")])
    bench.worker.work_on([message("m1", receive_count=2)])
    assert (bench.mailer.sent, bench.queue.deleted) == (["m1"], ["m1"] * 3)


def test_an_event_that_is_published_twice_sends_one_mail(bench: Bench) -> None:
    """Its messages have ids of their own: it is the event's that counts."""
    bench.worker.work_on([message("m1", "e"), message("m2", "e")])
    assert (bench.mailer.sent, bench.queue.deleted) == (["e"], ["m1", "m2"])


def test_an_event_in_other_hands_is_left_to_them(bench: Bench) -> None:
    bench.store.claim("m1", time.time(), 60)
    bench.worker.work_on([message("m1")])
    assert (bench.mailer.sent, bench.queue.deleted, bench.queue.hidden) == ([], [], [("m1", 30)])


def test_a_mail_that_fails_comes_again_later_and_stops_nothing(bench: Bench) -> None:
    def fail() -> None:
        bench.mailer.on_send = lambda: None
        raise MailError("mail server: refused")

    bench.mailer.on_send = fail
    bench.worker.work_on([message("m1", receive_count=3), message("m2")])
    assert (bench.mailer.sent, bench.queue.deleted, bench.queue.hidden) == (["m2"], ["m2"], [("m1", 60)])
    bench.worker.work_on([message("m1", receive_count=4)])
    assert bench.mailer.sent == ["m2", "m1"]


def test_a_malformed_message_is_put_back_at_once(bench: Bench) -> None:
    """The queue moves it to the dead letters after some receipts."""
    bench.worker.work_on([message("m1", body="{"), message("m2")])
    assert (bench.mailer.sent, bench.queue.deleted, bench.queue.hidden) == (["m2"], ["m2"], [("m1", 0)])


def test_a_stop_finishes_the_message_in_hand_and_gives_back_the_others(bench: Bench) -> None:
    bench.mailer.on_send = bench.stop.on_signal
    bench.queue.batches = [[message("m1"), message("m2"), message("m3")], [message("m4")]]
    bench.worker.run()
    assert (bench.mailer.sent, bench.queue.deleted, bench.queue.hidden) == (["m1"], ["m1"], [("m2", 0), ("m3", 0)])


def test_a_queue_that_fails_is_asked_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(bench.stop, "sleep", pauses.append)
    bench.queue.batches = [*(QueueError("no connection") for _ in range(7)), [message("m1")], QueueError("again")]
    bench.queue.on_empty = bench.stop.on_signal
    bench.worker.run()
    assert bench.mailer.sent == ["m1"]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 1]


def test_what_is_in_hand_stays_hidden_however_long_it_takes(tmp_path: Path) -> None:
    """The mail takes until both messages have been hidden three times more, and the lease of the event was extended."""
    bench = Bench(tmp_path, visibility_seconds=1)
    with closing(bench.store):

        def wait() -> None:
            deadline = time.monotonic() + 60
            while [bench.queue.hidden.count((each, 1)) for each in ("m1", "m2")] < [3, 3]:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            bench.mailer.on_send = lambda: None
            extended.append(bench.store.claim("m1", time.time(), 1))

        extended: list[Claim] = []
        bench.mailer.on_send = wait
        bench.worker.work_on([message("m1"), message("m2")])
        assert extended == [Claim.IN_OTHER_HANDS]
        assert bench.queue.deleted == ["m1", "m2"]


def test_it_forgets_after_a_month(bench: Bench) -> None:
    for event, sent_at in (("old", time.time() - KEPT_SECONDS - 60), ("new", time.time() - KEPT_SECONDS + 3600)):
        bench.store.claim(event, sent_at, 1)
        bench.store.sent(event, sent_at)
    bench.queue.on_empty = bench.stop.on_signal
    bench.worker.run()
    assert bench.store.totals()[0] == 1
    assert bench.store.claim("new", time.time(), 1) is Claim.SENT_BEFORE


def test_retries_slow_down() -> None:
    """From 15 seconds, doubling, up to a quarter of an hour, however often it was received."""
    assert [retry_delay(count) for count in (1, 2, 3, 6, 7, 5000)] == [15, 30, 60, 480, 900, 900]


def test_an_event_belongs_to_one_worker_at_a_time(tmp_path: Path) -> None:
    with closing(Store(tmp_path)) as one, closing(Store(tmp_path)) as other:
        assert one.claim("e", 100, 10) is Claim.SEND
        assert other.claim("e", 105, 10) is Claim.IN_OTHER_HANDS
        assert other.claim("e", 111, 10) is Claim.SEND
        one.release("e")
        assert one.claim("e", 112, 10) is Claim.SEND
        one.sent("e", 113)
        assert other.claim("e", 500, 10) is Claim.SENT_BEFORE
        assert other.totals() == (1, 5)


def test_of_many_workers_one_claims_it(tmp_path: Path) -> None:
    together, claims = threading.Barrier(6), []

    def claim() -> None:
        with closing(Store(tmp_path)) as store:
            together.wait()
            claims.append(store.claim("e", 100, 10))

    Store(tmp_path).close()
    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.name for each in claims) == ["IN_OTHER_HANDS"] * 5 + ["SEND"]


def test_the_maildir_has_a_mail_once_though_it_is_sent_twice(tmp_path: Path) -> None:
    """So that a worker killed between sending and noting it does no harm here."""
    mailer, mail = MaildirMailer(tmp_path), welcome_mail("e1", "a@example.org", "Ada")
    mailer.send("e1", mail)
    mailer.send("e1", mail)
    (file,) = (tmp_path / "new").iterdir()
    assert "Message-ID: <e1@mycompany.com>" in file.read_text()
    assert not list((tmp_path / "tmp").iterdir())


def test_a_signal_ends_a_wait_and_not_the_work() -> None:
    stop = Stop()
    with pytest.raises(Stopped), stop.interruptible():
        stop.on_signal()
    stop.on_signal()
    with pytest.raises(Stopped):
        stop.sleep(600)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param("", "no JSON", id="empty"),
        pytest.param("{", "no JSON", id="half"),
        pytest.param("[" * 100_000, "no JSON", id="deep"),
        pytest.param("[]", "lacks a field", id="a list"),
        pytest.param("5", "lacks a field", id="a number"),
        pytest.param("{}", "lacks a field", id="no field"),
        pytest.param('{"type": "user.left"}', "another type", id="another type"),
        pytest.param('{"type": "user.signed_up", "id": "e", "data": 5}', "lacks a field", id="no data"),
        pytest.param(BODY % "../../etc/passwd", "event's id", id="an id that is a path"),
        pytest.param(BODY % ("e" * 65), "event's id", id="a long id"),
        pytest.param((BODY % "e").replace("a@example.org", "a"), "event's email", id="no address"),
        pytest.param((BODY % "e").replace("a@", "a@b\\nBcc: c@"), "event's email", id="an address with a header in it"),
        pytest.param((BODY % "e").replace('"Ada"', "5"), "event's name", id="a name that is a number"),
        pytest.param((BODY % "e").replace("Ada", "A\\u0000"), "event's name", id="a name with a control character"),
    ],
)
def test_malformed(body: str, said: str) -> None:
    with pytest.raises(MalformedError, match=said):
        signed_up_of(body)


def test_fields_that_are_new_are_no_problem() -> None:
    body = (
        '{"id": "e", "type": "user.signed_up", "version": 2, "data": {"email": "a@b.c", "name": "Ä", "x": 1}, "y": 2}'
    )
    assert signed_up_of(body) == ("e", "a@b.c", "Ä")


@pytest.mark.parametrize(
    ("attributes", "trace_id"),
    [
        pytest.param({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE, id="traceparent"),
        pytest.param({"x-amzn-trace-id": f"Root=1-{TRACE[:8]}-{TRACE[8:]};Sampled=1"}, TRACE, id="X-Amzn-Trace-Id"),
    ],
)
def test_which_trace_it_is(attributes: dict[str, str], trace_id: str) -> None:
    assert trace_of(attributes).trace_id == trace_id


def test_numbers_of_a_message_are_texts() -> None:
    received = {
        "MessageId": "m1",
        "ReceiptHandle": "r1",
        "Body": "b",
        "Attributes": {"ApproximateReceiveCount": "3", "AWSTraceHeader": f"Root=1-{TRACE[:8]}-{TRACE[8:]}"},
        "MessageAttributes": {"traceparent": {"StringValue": "bad", "DataType": "String"}},
    }
    assert message_of(received) == Message("m1", "r1", "b", 3, Trace(TRACE))
