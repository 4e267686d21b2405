"""From a signup to its mail: topic, queue and worker for real, with the AWS endpoint of this machine."""

from __future__ import annotations

import http.server
import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from aws_endpoint import unique
from email_team import Teams, command, eventually, teams, worker
from running_process import running
from smtp_server import SmtpServer, unused_port

from extracted_services.users import seed, store
from extracted_services.users.delivery import DeliveryError, TopicDelivery, delivery_from_environment
from extracted_services.users.events import Event, user_signed_up
from extracted_services.users.mail import welcome_mail
from extracted_services.users.store import SCHEMA, Store
from extracted_services.users.tracing import Trace, trace_of
from proxy.functions.embedded_aws import aws_environment

USERS = "extracted_services.users"
SIGNUP = {"email": "ada@example.org", "name": "Ada", "password": "correct horse", "city": "London"}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.fixture
def both(aws_endpoint: str) -> Iterator[Teams]:
    with teams(aws_endpoint) as made:
        yield made


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
        {"X-Amzn-Trace-Id": f"Root=1-{TRACE[:8]}-{TRACE[8:]};Sampled=1"},
    ],
    ids=["traceparent", "X-Amzn-Trace-Id"],
)
def test_the_mail_comes_from_the_email_team_in_the_same_trace(
    headers: dict[str, str], both: Teams, tmp_path: Path
) -> None:
    with running(USERS, tmp_path / "users", both.environment) as users, worker(both, tmp_path / "email") as email:
        assert users.http.post("/api/users", json=SIGNUP, headers=headers).status_code == 201
        assert eventually(lambda: len(email.said("mail sent")) == 1)

        (mail,), (line,) = email.mail, email.said("mail sent")
        assert "To: ada@example.org" in mail
        assert f"Message-ID: <{line['event_id']}@mycompany.com>" in mail
        assert line["trace_id"] == TRACE
        assert not users.mail
        assert eventually(lambda: TRACE in users.log.read_text())
        assert "ada@example.org" not in email.log.read_text() + users.log.read_text()
        assert eventually(lambda: both.counts() == (0, 0))


def test_signup_does_not_need_the_topic(both: Teams, tmp_path: Path) -> None:
    """What was acknowledged while nothing could be published is published by the next process that can."""
    nowhere = {**both.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{unused_port()}"}
    with running(USERS, tmp_path / "users", nowhere) as users:
        for number in range(3):
            body = {**SIGNUP, "email": f"user.{number}@example.org"}
            assert users.http.post("/api/users", json=body).status_code == 201
        assert eventually(lambda: "not delivered" in users.log.read_text())
    with running(USERS, tmp_path / "users", both.environment), worker(both, tmp_path / "email") as email:
        assert eventually(lambda: len(email.mail) == 3)


def test_a_topic_that_is_gone_is_named(both: Teams, tmp_path: Path) -> None:
    missing = {**both.environment, "USERS_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:none"}
    with running(USERS, tmp_path / "users", missing) as users:
        assert users.http.post("/api/users", json=SIGNUP).status_code == 201
        assert eventually(lambda: "none: NotFound" in users.log.read_text())


def test_only_what_the_filter_policy_takes_arrives(both: Teams, tmp_path: Path) -> None:
    both.publish("e1", event_type="user.left")
    both.publish_text("{}")
    both.publish("e2")
    with worker(both, tmp_path / "email") as email:
        assert eventually(lambda: len(email.mail) == 1)
        assert eventually(lambda: both.counts() == (0, 0))
    assert [line["event_id"] for line in email.lines if "message_id" in line] == ["e2"]


def test_an_event_that_is_published_twice_sends_one_mail(both: Teams, tmp_path: Path) -> None:
    for event in ("e1", "e1", "e2", "e1"):
        both.publish(event)
    with worker(both, tmp_path / "email") as email:
        assert eventually(lambda: len(email.said("duplicate")) == 2)
        assert eventually(lambda: both.counts() == (0, 0))
    assert len(email.mail) == 2


def test_poison_ends_with_the_dead_letters_and_comes_back_by_redrive(aws_endpoint: str, tmp_path: Path) -> None:
    with teams(aws_endpoint, "--max-receive-count", "2") as both, worker(both, tmp_path / "email") as email:
        both.publish_text("poison", event_type="user.signed_up", note="kept")
        both.publish("e1")
        assert eventually(lambda: len(email.mail) == 1)
        assert eventually(lambda: both.counts(both.dead_letters_url) == (1, 0))
        assert len(email.said("malformed")) == 2
        assert eventually(lambda: both.counts() == (0, 0))

        moved = command("email.redrive", environment=both.environment)
        assert moved.stdout == "1 messages moved\n", moved.stderr
        assert eventually(lambda: both.counts(both.dead_letters_url) == (1, 0))
        assert len(email.said("malformed")) == 4
        answer = both.sqs.receive_message(QueueUrl=both.dead_letters_url, MessageAttributeNames=["All"])
        assert answer["Messages"][0]["MessageAttributes"]["note"]["StringValue"] == "kept"


def test_sigterm_ends_a_long_poll(both: Teams, tmp_path: Path) -> None:
    with worker(both, tmp_path / "email") as email:
        assert email.terminate() == 0
        assert email.lines[-1]["message"] == "stopped"


def test_sigterm_finishes_the_mail_in_hand_and_gives_back_the_rest(both: Teams, tmp_path: Path) -> None:
    for number in range(5):
        both.publish(f"e{number}")
    assert eventually(lambda: both.counts() == (5, 0))
    port = unused_port()
    # A mail server that accepts connections and says nothing yet: the mail is in hand.
    with closing(_silent(port)) as listening:
        smtp = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port)}
        with worker(both, tmp_path / "email", smtp) as email:
            connection, _ = listening.accept()
            with connection:
                assert email.terminate() == 0
    assert len(email.said("mail not sent")) == 1
    assert eventually(lambda: both.counts()[0] >= 4)
    with SmtpServer(port) as server, worker(both, tmp_path / "email", smtp):
        assert eventually(lambda: len(server.messages) >= 4)


def test_what_a_killed_worker_had_in_hand_is_sent_by_another(aws_endpoint: str, tmp_path: Path) -> None:
    port = unused_port()
    with teams(aws_endpoint, "--visibility-seconds", "2") as both:
        both.publish("e1")
        with closing(_silent(port)) as listening:
            smtp = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port)}
            with worker(both, tmp_path / "email", smtp) as killed:
                connection, _ = listening.accept()
                with connection:
                    killed.process.kill()
                    killed.process.wait()
        with worker(both, tmp_path / "email") as email:
            assert eventually(lambda: len(email.mail) == 1)
            assert eventually(lambda: both.counts() == (0, 0))


def _silent(port: int):  # type: ignore[no-untyped-def]
    import socket

    return socket.create_server(("127.0.0.1", port))


def test_setup_may_be_run_again_and_brings_things_up_to_date(both: Teams) -> None:
    flags = ("--topic-arn", both.topic_arn, "--visibility-seconds", "7", "--max-receive-count", "3")
    again = command("email.setup", *flags, environment=both.environment)
    assert again.stdout.strip() == both.queue_url, again.stderr

    attributes = both.sqs.get_queue_attributes(QueueUrl=both.queue_url, AttributeNames=["All"])["Attributes"]
    dead = both.sqs.get_queue_attributes(QueueUrl=both.dead_letters_url, AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "7"
    redrive = json.loads(attributes["RedrivePolicy"])
    assert (redrive["deadLetterTargetArn"], int(redrive["maxReceiveCount"])) == (dead["QueueArn"], 3)
    assert int(dead["MessageRetentionPeriod"]) > int(attributes["MessageRetentionPeriod"])
    (statement,) = json.loads(attributes["Policy"])["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": both.topic_arn}}
    (subscription,) = both.sns.list_subscriptions_by_topic(TopicArn=both.topic_arn)["Subscriptions"]
    of_subscription = both.sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])[
        "Attributes"
    ]
    assert json.loads(of_subscription["FilterPolicy"]) == {"event_type": ["user.signed_up"]}
    assert of_subscription["RawMessageDelivery"] == "true"


def test_the_topic_s_setup_may_be_run_again(aws_endpoint: str) -> None:
    name = unique("users")
    made = [command("users.setup", "--topic", name, environment=aws_environment(aws_endpoint)) for _ in range(2)]
    assert made[0].stdout == made[1].stdout == f"arn:aws:sns:us-east-1:000000000000:{name}\n"


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("users.setup", []),
        ("email.setup", ["--topic-arn", "arn:aws:sns:us-east-1:000000000000:users"]),
        ("email.redrive", []),
        ("email", []),
    ],
    ids=["users.setup", "email.setup", "email.redrive", "email"],
)
def test_a_command_without_its_endpoint_says_so(module: str, arguments: list[str], tmp_path: Path) -> None:
    nowhere = {**aws_environment(f"http://127.0.0.1:{unused_port()}"), "EMAIL_DATA": str(tmp_path)}
    nowhere["AWS_MAX_ATTEMPTS"] = "1"
    done = command(module, *arguments, environment=nowhere)

    assert done.returncode == 1
    assert "Could not connect" in done.stderr or "EndpointConnectionError" in done.stdout
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize("module", ["users.setup", "email.setup", "email.redrive", "email", "users"])
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param({"AWS_ENDPOINT_URL": "banana"}, "banana", id="an endpoint that is no address"),
        pytest.param({"AWS_PROFILE": "banana"}, "The config profile (banana) could not be found", id="no such profile"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    environment: dict[str, str], said: str, module: str, tmp_path: Path
) -> None:
    topic = "arn:aws:sns:us-east-1:000000000000:users"
    data = {"EMAIL_DATA": str(tmp_path), "USERS_DATA": str(tmp_path), "USERS_PORT": "0"}
    topics = {"USERS_TOPIC_ARN": topic, "EMAIL_TOPIC_ARN": topic}
    region = {"AWS_DEFAULT_REGION": "us-east-1"}
    done = command(module, environment={**region, **data, **topics, **environment})

    assert done.returncode in (1, 2)
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


# The user team's side.


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        pytest.param(200, b"<html>welcome</html>", "KeyError", id="a page"),
        pytest.param(200, b"", "ResponseParserError", id="nothing"),
        pytest.param(200, b"<a><PublishResult/></a>", "without the id", id="a result without an id"),
        pytest.param(200, b"<a", "ResponseParserError", id="no XML"),
        pytest.param(502, b"<html>bad gateway</html>", "502", id="an error that is not the topic's"),
    ],
)
def test_an_answer_that_is_not_the_topic_s_is_no_delivery(
    status: int, body: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a proxy may give it. The event stays in the outbox."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        for name, value in aws_environment(f"http://127.0.0.1:{server.server_port}").items():
            monkeypatch.setenv(name, value)
        try:
            topic = TopicDelivery("arn:aws:sns:us-east-1:000000000000:users")
            with pytest.raises(DeliveryError, match=said):
                topic.deliver(Event("{}", {}))
        finally:
            server.shutdown()
            thread.join()
            topic._sns.close()


@pytest.mark.parametrize(
    ("headers", "trace"),
    [
        pytest.param({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, Trace(TRACE, SPAN, True), id="W3C, sampled"),
        pytest.param(
            {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-00"}, Trace(TRACE, SPAN, False), id="W3C, not sampled"
        ),
        pytest.param(
            {"traceparent": f"01-{TRACE}-00f067aa0ba902b7-01-x"}, Trace(TRACE, SPAN, True), id="a later version"
        ),
        pytest.param(
            {"traceparent": "bad", "x-amzn-trace-id": f"Self=1;Root=1-{TRACE[:8]}-{TRACE[8:]};Sampled=1"},
            Trace(TRACE, "", True),
            id="X-Amzn-Trace-Id, when the other is malformed",
        ),
        pytest.param(
            {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "x-amzn-trace-id": "Root=1-00000000-" + "1" * 24},
            Trace(TRACE, SPAN, True),
            id="W3C first",
        ),
    ],
)
def test_which_trace_a_request_belongs_to(headers: dict[str, str], trace: Trace) -> None:
    assert trace_of(headers) == trace
    own = trace._replace(parent_id="00000000000000aa")
    for name, value in own.headers().items():
        assert trace_of({name.lower(): value}) == own


@pytest.mark.parametrize(
    "traceparent",
    [
        f"00-{TRACE}-00f067aa0ba902b7-01-x",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        "",
    ],
    ids=["version 00 with more", "version ff", "no trace", "no parent", "capitals", "empty"],
)
def test_a_malformed_traceparent_begins_a_new_trace(traceparent: str) -> None:
    found = trace_of({"traceparent": traceparent})
    assert found.trace_id != TRACE
    assert (found.parent_id, found.sampled) == ("", None)
    assert trace_of({}) != trace_of({})


def test_the_event_tells_no_more_than_it_must() -> None:
    user = {"id": 7, "email": "a@b.c", "name": "A", "city": "Oslo", "phone": "+47", "created_at": "t", "x": "secret"}
    event = user_signed_up(user, {"traceparent": "t"})

    content = json.loads(event.body)
    assert content["data"] == {"user_id": 7, "email": "a@b.c", "name": "A", "city": "Oslo"}
    assert event.attributes == {"event_type": "user.signed_up", "traceparent": "t"}


def test_a_bad_topic_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"USERS_TOPIC_ARN=users: 'users' is not the ARN of a topic"):
        delivery_from_environment({"USERS_TOPIC_ARN": "users"}, tmp_path)


def test_a_topic_takes_over_when_a_file_names_it_and_hands_back_when_it_is_gone(
    aws_endpoint: str, tmp_path: Path
) -> None:
    """Without a restart, by what the topic's setup leaves: no event becomes a mail here and a message there."""
    note, environment = tmp_path / "topic-arn", aws_environment(aws_endpoint)
    with running(USERS, tmp_path / "users", {**environment, "USERS_TOPIC_ARN_FILE": str(note)}) as users:

        def signed_up(name: str, delivered: int) -> int:
            users.http.post("/api/users", json={**SIGNUP, "email": f"{name}@example.org"}).raise_for_status()
            assert eventually(lambda: len(re.findall(r"event \d+ delivered", users.log.read_text())) == delivered)
            return len(users.mail)

        assert signed_up("before", 1) == 1
        setup = command("users.setup", "--topic", unique("users"), "--note", str(note), environment=environment)
        assert note.read_text() == setup.stdout.strip()
        assert signed_up("with", 2) == 1
        note.unlink()
        assert signed_up("after", 3) == 2


@pytest.mark.parametrize("content", [b"users", b"\xff", None], ids=["no ARN", "no text", "a folder"])
def test_a_note_that_cannot_be_used_sends_no_mail(content: bytes | None, tmp_path: Path) -> None:
    note = tmp_path / "topic-arn"
    if content is None:
        note.mkdir()
    else:
        note.write_bytes(content)
    delivery = delivery_from_environment({"USERS_TOPIC_ARN_FILE": str(note)}, tmp_path)

    with pytest.raises(DeliveryError, match="topic-arn"):
        delivery.deliver(Event("{}", {}))
    assert not (tmp_path / "mail").exists()


def test_mail_that_an_older_version_has_left_is_delivered(tmp_path: Path) -> None:
    """Version 1 kept whole mails in its outbox."""
    with closing(sqlite3.connect(tmp_path / "users.sqlite3")) as connection, connection:
        for statement in SCHEMA:
            connection.execute(statement)
        user = (1, "a@example.org", "A", None, "Oslo", "now", seed.PASSWORD_HASH)
        connection.execute("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)", user)
        connection.execute(
            "CREATE TABLE outbox (id INTEGER PRIMARY KEY, message BLOB NOT NULL, attempts INTEGER, due_at REAL)"
        )
        mail = welcome_mail("old", "a@example.org", "A").as_bytes()
        connection.execute("INSERT INTO outbox (message, due_at) VALUES (?, 0)", (mail,))
        connection.execute("PRAGMA user_version = 1")

    with closing(Store(tmp_path)) as opened:
        opened.prepare()
        pending = opened.lease_event(10**10)
        assert pending is not None
        assert json.loads(pending.event.body)["data"]["email"] == "a@example.org"
    with closing(Store(tmp_path)) as opened:
        opened.prepare()
        assert opened.lease_event(10**11) is not None
    assert store.SCHEMA_VERSION == 2
