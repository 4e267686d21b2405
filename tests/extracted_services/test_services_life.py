"""What the services do better than the monolith, and that they stand alone."""

import ast
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from running_process import REPOSITORY, running
from smtp_server import SmtpServer, unused_port

from extracted_services.recommendations.index import Index
from extracted_services.users.events import Event
from extracted_services.users.outbox import retry_delay
from extracted_services.users.store import LEASE_SECONDS, Store

SIGNUP = {"email": "ada@example.org", "name": "Ada", "password": "correct horse", "city": "London"}
USERS = "extracted_services.users"


def eventually(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Wait until the condition holds; False if it does not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize(
    "service",
    [
        *("users", "recommendations", "uploads", "clicks", "contacts", "payments"),
        *("email", "nightly_report", "scheduler"),
    ],
)
def test_services_import_nothing_of_others(service: str) -> None:
    """A carved-out service has no line of the monolith or of another service in its process."""
    folder = REPOSITORY / "extracted_services" / service
    imported = {
        name
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    ours = {name for name in imported if name.startswith(("monolith_stub", "extracted_services", "proxy"))}

    assert all(name.startswith(f"extracted_services.{service}") for name in ours)


def test_mail_is_delivered_after_the_answer(tmp_path: Path) -> None:
    """Signup answers at once; the mail arrives once."""
    with running(USERS, tmp_path / "data") as process:
        assert process.http.post("/api/users", json=SIGNUP).status_code == 201
        assert eventually(lambda: len(process.mail) == 1)
        assert "To: ada@example.org" in process.mail[0]


def test_signup_does_not_need_the_mail_server(tmp_path: Path) -> None:
    """The monolith refuses a signup without its mail server; the service accepts it and delivers later."""
    port = unused_port()
    with running(USERS, tmp_path / "data", {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port)}) as process:
        assert process.http.post("/api/users", json=SIGNUP).status_code == 201
        assert eventually(lambda: "not delivered" in process.log.read_text())
        assert "ada@example.org" not in process.log.read_text()
        with SmtpServer(port) as server:
            assert eventually(lambda: len(server.messages) == 1)


def test_accepted_mail_survives_a_restart(tmp_path: Path) -> None:
    """What one process could not deliver, the next one does."""
    data, port = tmp_path / "data", unused_port()
    with running(USERS, data, {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port)}) as process:
        user = process.http.post("/api/users", json=SIGNUP).json()
        assert eventually(lambda: "not delivered" in process.log.read_text())
    with running(USERS, data) as process:
        assert eventually(lambda: len(process.mail) == 1)
        assert process.http.get(f"/api/users/{user['id']}").json() == user


def test_replicas_may_share_a_folder(tmp_path: Path) -> None:
    """Two processes on one data folder serve the same users and deliver each mail once."""
    with ExitStack() as stack:
        one, other = (stack.enter_context(running(USERS, tmp_path / "data")) for _ in range(2))
        for number in range(6):
            client = (one if number % 2 else other).http
            body = {**SIGNUP, "email": f"user.{number}@example.org"}
            assert client.post("/api/users", json=body).status_code == 201
        first, second = (process.http.get("/api/users?after=2000").json() for process in (one, other))
        assert eventually(lambda: len(one.mail) == 6)

    assert len(first["users"]) == 6
    assert first == second
    assert len(one.mail) == 6


def test_a_leased_event_is_not_taken_twice(tmp_path: Path) -> None:
    """Until it is finished or its lease is over, an event belongs to one worker."""
    with closing(Store(tmp_path)) as store:
        store.prepare()
        store.add_user(("a@example.org", "A", None, "Oslo", "now", "hash"), lambda user: Event("{}", {}))
        now = time.time()
        leased = store.lease_event(now)
        assert leased is not None

        assert store.lease_event(now + 1) is None
        assert store.lease_event(now + LEASE_SECONDS + 1) == leased._replace(attempts=2)
        store.postpone_event(leased.id, now + 5)
        assert store.lease_event(now + 4) is None
        assert store.lease_event(now + 6) == leased._replace(attempts=3)
        store.finish_event(leased.id)
        assert store.lease_event(now + 1000) is None


def test_retries_slow_down() -> None:
    """Doubling, up to five minutes, however often it failed."""
    assert [retry_delay(attempts) for attempts in (1, 2, 3, 9, 10, 5000)] == [1, 2, 4, 256, 300, 300]


def test_index_on_a_graph_small_enough_to_check_by_hand() -> None:
    """1 knows 2; 2 knows 3 and 4; 3 and 4 know each other; 1 and 3 have bought product 10."""
    pairs = [(1, 2), (2, 3), (2, 4), (3, 4)]
    both_ways = [pair for one, other in pairs for pair in ((one, other), (other, one))]
    index = Index([1, 2, 3, 4, 5], [(1, 10), (3, 10), (3, 11)], both_ways)

    # Walks of three from 1: to 3 over 2-4, to 4 over 2-3, each one. 2 has three friends.
    assert index.friends_for(1, 10) == [(3, 1, 333_333 + 100 + 10_000), (4, 1, 333_333 + 100)]
    assert index.friends_for(1, 1) == [(3, 1, 343_433)]
    assert index.friends_for(5, 10) == []
    assert index.products_for(1, 10) == [(11, 500_000)]
    assert index.products_for(5, 10) == [(10, 2), (11, 1)]
    assert not index.has_user(6)
