"""Events through topic, queue and worker while the worker is killed: `python -m bench.events --help`.

Events are published to the user team's topic, some of them twice. The email team's worker is killed (SIGKILL) again and
again at moments spread over the run, and started anew. Every event must have its mail, none may have two, and nothing
may end with the dead letters.
"""

from __future__ import annotations

import argparse
import contextlib
import email
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import boto3

from bench.processes import BenchError, exit_on_sigterm, stop, tail
from extracted_services.email.setup import dead_letters_of, set_up
from extracted_services.email.store import Store
from extracted_services.users.events import USER_SIGNED_UP, user_signed_up
from proxy.functions.embedded_aws import REGION, aws_environment, embedded_aws

QUEUE = "email-welcome"
VISIBILITY_SECONDS = 10
"""Short: what a killed worker had in hand is hidden for so long."""
TWICE_EVERY = 20
"""Of so many events, one is published twice, as an outbox does that is killed before it can forget."""
BACKLOG = 2000
"""Events published and not yet mailed, at most: the emulator's queue grows slow with its length."""
BATCH = 10
STALLED_SECONDS = 180.0
"""Without any progress; longer than a machine is suspended for a moment."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run.

    Attributes:
        mails: By event, mails in the maildir, which has one file for an event: a second sending does not show in it.
        sendings: By event, sendings that the worker has noted and logged.
    """

    published: frozenset[str]
    copies: int
    kills: int
    mails: Counter[str]
    sendings: Counter[str]
    receipts: int
    dead_letters: int
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every event has its one mail, 1 if not, 2 without a result."""
    parser = argparse.ArgumentParser(prog="python -m bench.events", description=__doc__)
    parser.add_argument("events", type=int, nargs="?", default=2000, help="how many (2000)")
    parser.add_argument("--kills", type=int, default=20, help="how often the worker is killed (20)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which it is killed (1)")
    options = parser.parse_args(arguments)
    if not 0 <= options.kills < options.events:
        parser.error("there must be more events than kills")
    exit_on_sigterm()
    try:
        with (
            embedded_aws() as endpoint,
            _environment(aws_environment(endpoint)),
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
        ):
            result = measure(options.events, options.kills, random.Random(options.seed), Path(folder))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in lines_of(result):
        print(line)
    problems = problems_of(result)
    for problem in problems:
        print(f"problem: {problem}")
    print("FAIL" if problems else "PASS: no event was lost, every event has one mail")
    return 1 if problems else 0


def lines_of(result: Result) -> list[str]:
    """Return the run in figures."""
    count, sent = len(result.published), len(result.published) + result.copies
    rate = count / result.seconds
    return [
        f"{count} events, {result.copies} of them published twice, in {result.seconds:.0f} s ({rate:.0f} a second)",
        f"the worker was killed {result.kills} times",
        f"{result.mails.total()} mails; {result.receipts} receipts, so {result.receipts - count} duplicates absorbed, "
        f"{result.receipts - sent} of them by the kills",
    ]


def problems_of(result: Result) -> list[str]:
    """Return the promises that were broken."""
    lost = len(result.published - result.mails.keys())
    unknown = len(result.mails.keys() - result.published)
    repeated = sum(max(result.mails[event], result.sendings[event]) > 1 for event in result.mails)
    found = {
        f"{lost} events have no mail": lost,
        f"{repeated} events have more than one mail": repeated,
        f"{unknown} mails belong to no event": unknown,
        f"{result.dead_letters} messages ended with the dead letters": result.dead_letters,
        "duplicates were published and none was absorbed": result.receipts < len(result.published) + result.copies,
    }
    return [problem for problem, is_there in found.items() if is_there]


def measure(count: int, kills: int, moments: random.Random, folder: Path) -> Result:
    """Publish, kill, wait until every event is through, and count."""
    topic_arn = boto3.client("sns").create_topic(Name="users")["TopicArn"]
    set_up(topic_arn, QUEUE, VISIBILITY_SECONDS)
    sqs = boto3.client("sqs")
    mails = folder / "data" / "mail" / "new"
    began = time.monotonic()
    with closing(Store(folder / "data")) as store, _worker(folder) as worker:
        publisher = _Publisher(topic_arn, count, lambda: store.totals()[0])
        publisher.start()
        for at in sorted(moments.sample(range(1, count), kills)):
            _until(partial(_have_mail, at), store, worker, publisher)
            # Anywhere in its work, and not only after what the look above has seen.
            time.sleep(moments.random() * 0.05)
            worker.kill_and_restart()
        publisher.join()
        _until(lambda mails: mails >= count and _is_empty(sqs, QUEUE), store, worker, publisher)
        seconds = time.monotonic() - began
        receipts = store.totals()[1]
    dead_letters = _count(sqs, dead_letters_of(QUEUE))
    return Result(
        published=frozenset(publisher.published),
        copies=publisher.copies,
        kills=kills,
        mails=Counter(_event_of(file) for file in mails.iterdir()),
        sendings=Counter(_logged_sendings(worker.log)),
        receipts=receipts,
        dead_letters=dead_letters,
        seconds=seconds,
    )


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the block: the teams' own code is used, which reads its place from the environment."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _Worker:
    """The email team's worker as a process, again and again."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "worker.log"
        self._data = folder / "data"
        self.process = self._start()

    def kill_and_restart(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "extracted_services.email", "--queue", QUEUE, "--data", str(self._data)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


@contextmanager
def _worker(folder: Path) -> Iterator[_Worker]:
    worker = _Worker(folder)
    try:
        yield worker
    finally:
        stop(worker.process)


class _Publisher(threading.Thread):
    """Publishes events, some of them twice, not too far ahead of the mails."""

    def __init__(self, topic_arn: str, count: int, mailed: Callable[[], int]) -> None:
        super().__init__(name="publisher", daemon=True)
        self.published: list[str] = []
        self.copies = 0
        self.error: Exception | None = None
        self._topic_arn = topic_arn
        self._count = count
        self._mailed = mailed

    def run(self) -> None:
        try:
            self._publish_all()
        except Exception as error:  # noqa: BLE001 - reported by the thread that waits for this one
            self.error = error

    def _publish_all(self) -> None:
        sns = boto3.client("sns", region_name=REGION)
        entries = self._entries()
        mailed = 0
        while batch := list(islice(entries, BATCH)):
            while len(self.published) - mailed > BACKLOG and len(self.published) - (mailed := self._mailed()) > BACKLOG:
                time.sleep(0.2)
            answer = sns.publish_batch(TopicArn=self._topic_arn, PublishBatchRequestEntries=batch)
            if answer.get("Failed"):
                raise BenchError(f"the topic refused an event: {answer['Failed'][0]}")

    def _entries(self) -> Iterator[dict[str, Any]]:
        for number in range(self._count):
            user = {"id": number, "email": f"user.{number}@example.org", "name": "A User", "city": "Oslo"}
            trace = {"traceparent": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"}
            event = user_signed_up({**user, "created_at": "2026-01-01T00:00:00+00:00"}, trace)
            assert event.attributes["event_type"] == USER_SIGNED_UP
            self.published.append(json.loads(event.body)["id"])
            copies = 1 + (number % TWICE_EVERY == 0)
            self.copies += copies - 1
            values = {name: {"DataType": "String", "StringValue": value} for name, value in event.attributes.items()}
            for copy in range(copies):
                yield {"Id": f"{number}-{copy}", "Message": event.body, "MessageAttributes": values}


def _until(condition: Callable[[int], bool], store: Store, worker: _Worker, publisher: _Publisher) -> None:
    """Wait for a number of mails; no longer than while something moves.

    Raises:
        BenchError: The worker or the publisher has ended by itself.
    """
    last, since = store.totals(), time.monotonic()
    while True:
        began = time.monotonic()
        now = store.totals()
        if condition(now[0]):
            return
        if publisher.error is not None:
            raise BenchError(f"publishing failed: {publisher.error}")
        if worker.process.poll() is not None:
            raise BenchError(f"the worker ended: {tail(worker.log)}")
        if now != last:
            last, since = now, began
        if began - since > STALLED_SECONDS:
            return
        # The look counts all rows: it may not take more than a tenth of the time from the worker.
        time.sleep(max(0.02, 9 * (time.monotonic() - began)))


def _have_mail(count: int, mails: int) -> bool:
    return mails >= count


def _is_empty(sqs: Any, queue: str) -> bool:
    return _count(sqs, queue) == 0


def _count(sqs: Any, queue: str) -> int:
    """Messages of a queue, waiting and hidden."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def _logged_sendings(log: Path) -> Iterator[str]:
    """The ids of the events whose mail the worker says it has sent; a line that a kill cut off is left out."""
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            with contextlib.suppress(ValueError):
                logged = json.loads(line)
                if logged["message"] == "mail sent":
                    yield logged["event_id"]


def _event_of(file: Path) -> str:
    """The id of the event that a mail is about, from its Message-ID."""
    with file.open("rb") as content:
        return str(email.message_from_binary_file(content)["Message-ID"]).strip("<>").partition("@")[0]


if __name__ == "__main__":
    sys.exit(main())
