"""Asynchronous invocation with real functions, a clock that is told how much time passes, and a real endpoint."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_endpoint import client, unique
from function_host import RunningHost, SteppedClock, eventually, function, notes, running_host

from proxy.functions.asynchronous import PAUSE_SECONDS
from proxy.functions.retry import MAX_DELIVERIES, QueuedEvent


def send(host: RunningHost, name: str, event: Any) -> str:
    """Invoke asynchronously; return the request id."""
    answer = host.call(name, event, InvocationType="Event")
    assert (answer["StatusCode"], answer["value"]) == (202, None)
    request_id: str = answer["ResponseMetadata"]["RequestId"]
    return request_id


def queue(endpoint: str) -> tuple[str, Callable[[], dict[str, Any]]]:
    """A new queue's ARN, and what receives its next message."""
    sqs = client("sqs", endpoint)
    url = sqs.create_queue(QueueName=unique("q"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def receive() -> dict[str, Any]:
        def look() -> list[dict[str, Any]]:
            messages: list[dict[str, Any]] = sqs.receive_message(
                QueueUrl=url, WaitTimeSeconds=1, MessageAttributeNames=["All"]
            ).get("Messages", [])
            return messages

        message: dict[str, Any] = eventually(look, "no message came")[0]
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        sqs.close()
        return message

    return arn, receive


def test_errors_are_tried_again_after_one_minute_and_then_two(tmp_path: Path) -> None:
    clock, file = SteppedClock(), tmp_path / "notes"
    functions = {"note": function("app.note", environment={"NOTES": str(file)})}
    with running_host(tmp_path, functions, clock=clock) as host:
        request_id = send(host, "note", {"fail": True})
        for runs, wait in ((1, 60), (2, 120)):
            eventually(lambda runs=runs: len(notes(file)) == runs, f"run {runs} does not begin")
            eventually(lambda wait=wait: _dues(host) == [clock.now() + wait], f"it is not due in {wait} s")
            clock.advance(wait - 1)
            assert len(notes(file)) == runs
            clock.advance(1)
        _depth(host, 0)
        clock.advance(100_000)
        assert [note["id"] for note in notes(file)] == [request_id] * 3


def _dues(host: RunningHost) -> list[float]:
    return [due for (due,) in host.host._store._db.execute("SELECT due FROM events").fetchall()]


def _depth(host: RunningHost, expected: int) -> None:
    store = host.host._store
    eventually(lambda: sum(store.depth().values()) == expected, f"not {expected} events wait")


def _settled(host: RunningHost) -> None:
    eventually(lambda: not any(host.host._queue._claimed.values()), "an event is still worked on")


def test_a_success_is_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    with running_host(tmp_path, {"note": function("app.note", environment={"NOTES": str(file)})}) as host:
        ids = {send(host, "note", number) for number in range(20)}
        _depth(host, 0)
    assert sorted(note["event"] for note in notes(file)) == list(range(20))
    assert {note["id"] for note in notes(file)} == ids


def test_what_was_accepted_outlives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    functions = {"note": function("app.note", environment={"NOTES": str(file)})}
    clock = SteppedClock()
    with running_host(tmp_path, functions, clock=clock) as host:
        request_id = send(host, "note", {"fail": True})
        eventually(lambda: len(notes(file)) == 1, "it does not run")
        _settled(host)
    clock.advance(60)
    with running_host(tmp_path, functions, clock=clock):
        eventually(lambda: len(notes(file)) == 2, "it is not run again")
    assert [note["id"] for note in notes(file)] == [request_id] * 2


def test_an_invocation_that_was_cut_off_runs_again(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    environment = {"NOTES": str(file)}
    with running_host(tmp_path, {"f": function("app.leave_a_child", timeout=100)}) as host:
        send(host, "f", {"file": str(tmp_path / "pid")})
        eventually((tmp_path / "pid").exists, "it does not run")
    with running_host(tmp_path, {"f": function("app.note", environment=environment)}):
        eventually(lambda: len(notes(file)) == 1, "it is not run again")


def test_what_cannot_be_kept_is_not_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(changes: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with running_host(tmp_path, {"echo": function("app.echo")}) as host:
        with monkeypatch.context() as patched:
            patched.setattr(host.host._store, "_transaction", full)
            with pytest.raises(host.client.exceptions.ServiceException, match="disk is full"):
                send(host, "echo", 1)
        send(host, "echo", 2)
        _depth(host, 0)


def test_two_hosts_cannot_share_a_folder(tmp_path: Path) -> None:
    functions = {"echo": function("app.echo")}
    with (
        running_host(tmp_path, functions),
        pytest.raises(Exception, match="is another function host running on it"),
        running_host(tmp_path, functions),
    ):
        pass


def test_events_wait_for_a_free_environment(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    note = function("app.note", environment={"NOTES": str(file)}, reserved_concurrency=1)
    with running_host(tmp_path, {"note": note}) as host:
        for number in range(30):
            send(host, "note", number)
        _depth(host, 0)
        assert host.host.cold_starts() == {"note": 1}
    assert sorted(one["event"] for one in notes(file)) == list(range(30))


@pytest.mark.parametrize("fails", [False, True], ids=["success", "failure"])
def test_destinations_are_told(aws: str, tmp_path: Path, fails: bool) -> None:
    (success, of_success), (failure, of_failure) = queue(aws), queue(aws)
    asynchronous = {"maximum_retry_attempts": 0, "on_success": success, "on_failure": failure}
    environment = {"NOTES": str(tmp_path / "notes")}
    with running_host(
        tmp_path, {"note": function("app.note", environment=environment, asynchronous=asynchronous)}
    ) as host:
        event = {"fail": fails}
        request_id = send(host, "note", event)
        record = json.loads((of_failure if fails else of_success)()["Body"])
        _depth(host, 0)
    assert record["requestContext"] == {
        "requestId": request_id,
        "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:note:$LATEST",
        "condition": "RetriesExhausted" if fails else "Success",
        "approximateInvokeCount": 1,
    }
    assert record["requestPayload"] == event
    assert record["responsePayload"]["errorType" if fails else "noted"] == ("RuntimeError" if fails else True)


def test_a_bucket_is_told(aws: str, tmp_path: Path) -> None:
    s3, bucket = client("s3", aws, s3={"addressing_style": "path"}), unique("failed")
    s3.create_bucket(Bucket=bucket)
    asynchronous = {"maximum_retry_attempts": 0, "on_failure": f"arn:aws:s3:::{bucket}"}
    with running_host(tmp_path, {"fail": function("app.fail", asynchronous=asynchronous)}) as host:
        send(host, "fail", {"order": 7})
        _depth(host, 0)
    (found,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    record = json.loads(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
    s3.close()

    assert found["Key"].startswith("aws/lambda/async/fail/")
    assert record["requestPayload"] == {"order": 7}


def test_a_dead_letter_is_the_bare_event(aws: str, tmp_path: Path) -> None:
    arn, receive = queue(aws)
    asynchronous = {"maximum_retry_attempts": 0, "dead_letter": arn}
    with running_host(tmp_path, {"fail": function("app.fail", asynchronous=asynchronous)}) as host:
        request_id = send(host, "fail", {"order": 7})
        message = receive()
    assert json.loads(message["Body"]) == {"order": 7}
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes == {"RequestID": request_id, "ErrorCode": "200", "ErrorMessage": "no such order"}


def test_a_function_that_is_switched_off_tells_its_destination(aws: str, tmp_path: Path) -> None:
    arn, receive = queue(aws)
    off = function("app.echo", reserved_concurrency=0, asynchronous={"on_failure": arn})
    with running_host(tmp_path, {"off": off}) as host:
        send(host, "off", 1)
        context = json.loads(receive()["Body"])["requestContext"]
    assert context["approximateInvokeCount"] == 0


def test_an_event_that_is_too_old_tells_its_destination(aws: str, tmp_path: Path) -> None:
    arn, receive = queue(aws)
    clock = SteppedClock()
    asynchronous = {"maximum_event_age_in_seconds": 90, "on_failure": arn}
    with running_host(tmp_path, {"fail": function("app.fail", asynchronous=asynchronous)}, clock=clock) as host:
        send(host, "fail", 1)
        for runs in (1, 2):
            eventually(lambda runs=runs: len(_starts(host)) == runs, f"run {runs} does not begin")
            _settled(host)
            clock.advance(60)
        record = json.loads(receive()["Body"])
    assert record["requestContext"]["condition"] == "EventAgeExceeded"
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["responsePayload"]["errorType"] == "ValueError"


def _starts(host: RunningHost) -> list[str]:
    return [one for one in host.messages("fail") if isinstance(one, str) and one.startswith("START")]


def test_a_function_is_a_destination(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    arn = "arn:aws:lambda:us-east-1:000000000000:function:note"
    functions = {
        "echo": function("app.echo", asynchronous={"on_success": arn}),
        "note": function("app.note", environment={"NOTES": str(file)}),
    }
    with running_host(tmp_path, functions) as host:
        send(host, "echo", {"order": 7})
        eventually(lambda: notes(file), "the destination is not invoked")
    assert notes(file)[0]["event"]["responsePayload"] == {"order": 7}


@pytest.mark.parametrize("kind", ["sns", "events"])
def test_topics_and_buses_are_destinations(aws: str, tmp_path: Path, kind: str) -> None:
    arn, receive = queue(aws)
    if kind == "sns":
        sns = client("sns", aws)
        destination = sns.create_topic(Name=unique("t"))["TopicArn"]
        sns.subscribe(TopicArn=destination, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
        sns.close()
    else:
        events = client("events", aws)
        bus = unique("bus")
        destination = events.create_event_bus(Name=bus)["EventBusArn"]
        pattern = json.dumps({"detail-type": ["Lambda Function Invocation Result - Success"]})
        events.put_rule(Name="done", EventBusName=bus, EventPattern=pattern)
        events.put_targets(Rule="done", EventBusName=bus, Targets=[{"Id": "1", "Arn": arn}])
        events.close()
    with running_host(tmp_path, {"echo": function("app.echo", asynchronous={"on_success": destination})}) as host:
        send(host, "echo", {"order": 7})
        body = json.loads(receive()["Body"])
    record = body["detail"] if kind == "events" else body
    assert record["responsePayload"] == {"order": 7}
    if kind == "events":
        assert body["source"] == "lambda"


def test_a_destination_that_is_not_there_is_tried_again(aws: str, tmp_path: Path) -> None:
    sqs = client("sqs", aws)
    name = unique("late")
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    clock = SteppedClock()
    with running_host(tmp_path, {"echo": function("app.echo", asynchronous={"on_success": arn})}, clock=clock) as host:
        send(host, "echo", 1)
        eventually(lambda: _deliveries(host) == 1, "it is not tried")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        # Each second again: the next try may be put off after the clock was read here.
        eventually(lambda: clock.advance(1) or not sum(host.host._store.depth().values()), "it is not tried again")
        assert json.loads(sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"])["responsePayload"] == 1
    sqs.close()


def _deliveries(host: RunningHost) -> int:
    rows = host.host._store._db.execute("SELECT deliveries FROM events").fetchall()
    return rows[0][0] if rows else 0


def test_a_result_that_cannot_be_kept_is_not_run_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock, file = SteppedClock(), tmp_path / "notes"

    def full(request_id: str) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with running_host(tmp_path, {"note": function("app.note", environment={"NOTES": str(file)})}, clock=clock) as host:
        with monkeypatch.context() as patched:
            patched.setattr(host.host._store, "remove", full)
            send(host, "note", 1)
            eventually(lambda: caplog.text.count("looked at again in") == 1, "it does not rest")
            clock.advance(PAUSE_SECONDS - 1)
            send(host, "note", 2)  # something else that wakes the queue
            eventually(lambda: caplog.text.count("looked at again in") == 2, "the other does not rest")
            assert len(notes(file)) == 2
        eventually(lambda: clock.advance(1) or not sum(host.host._store.depth().values()), "they are not run again")
    assert sorted(note["event"] for note in notes(file)) == [1, 1, 2, 2]


def test_a_destination_that_fails_unexpectedly_is_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    async def deliver(event: QueuedEvent, function: object) -> None:
        tries.append(event.request_id)
        raise UnicodeError("nobody expects it")

    clock, arn = SteppedClock(), "arn:aws:sqs:us-east-1:000000000000:q"
    with running_host(tmp_path, {"echo": function("app.echo", asynchronous={"on_success": arn})}, clock=clock) as host:
        monkeypatch.setattr(host.host._queue, "_deliver", deliver)
        send(host, "echo", 1)
        eventually(lambda: _deliveries(host) == 1, "it is not tried")
        _settled(host)
        assert len(tries) == 1
        eventually(lambda: clock.advance(100) or not sum(host.host._store.depth().values()), "it is never given up")
    assert len(tries) == MAX_DELIVERIES


def test_a_record_that_a_queue_cannot_take_comes_without_its_payloads(aws: str, tmp_path: Path) -> None:
    arn, receive = queue(aws)
    with running_host(tmp_path, {"big": function("app.big", asynchronous={"on_success": arn})}) as host:
        request_id = send(host, "big", {"size": 1024 * 1024})
        record = json.loads(receive()["Body"])
    assert (record["requestContext"]["requestId"], record["requestContext"]["condition"]) == (request_id, "Success")
    assert record.keys() == {"version", "timestamp", "requestContext", "responseContext"}
