"""Starts, restarts and bad neighbours: the data folder, the seed, the mail server."""

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from running_process import Running, running
from smtp_server import SmtpServer, unused_port

from monolith_stub.database import Database

SIGNUP = {"email": "ada@example.org", "name": "Ada", "password": "correct horse", "city": "London"}
PATHS = (
    "/api/users?limit=100",
    "/api/products?limit=100",
    "/api/orders/1",
    "/api/orders/10000",
    "/api/search?q=quiet+mug",
    "/api/recommendations/users/42/friends",
    "/api/recommendations/users/42/products",
)


def answers(process: Running) -> dict[str, object]:
    """Return what the process says at each of the paths."""
    return {path: process.http.get(path).json() for path in PATHS}


def test_two_fresh_shops_are_equal(tmp_path: Path) -> None:
    """The seed is fixed: another data folder gives the same answers, row for row."""
    with running("monolith_stub", tmp_path / "one") as one:
        first = answers(one)
    with running("monolith_stub", tmp_path / "two") as two:
        assert answers(two) == first


def test_restart_keeps_data(tmp_path: Path) -> None:
    """What was signed up and ordered is there after a restart, and nothing is seeded twice."""
    data = tmp_path / "data"
    with running("monolith_stub", data) as before:
        user = before.http.post("/api/users", json=SIGNUP).json()
        order = before.http.post(
            "/api/orders", json={"user_id": user["id"], "lines": [{"product_id": 7, "quantity": 2}]}
        ).json()
        stock = before.http.get("/api/products/7").json()["stock"]
    with running("monolith_stub", data) as after:
        assert after.http.get(f"/api/users/{user['id']}").json() == user
        assert after.http.get(f"/api/orders/{order['id']}").json() == order
        assert after.http.get("/api/products/7").json()["stock"] == stock
        again = after.http.post("/api/users", json={**SIGNUP, "email": "other@example.org"}).json()

    assert again["id"] == user["id"] + 1


def test_two_processes_may_start_on_one_folder(tmp_path: Path) -> None:
    """The first seeds, the other waits; then both see one shop."""
    with ExitStack() as stack:
        one = stack.enter_context(running("monolith_stub", tmp_path / "data"))
        other = stack.enter_context(running("monolith_stub", tmp_path / "data"))
        user = one.http.post("/api/users", json=SIGNUP).json()

        assert other.http.get(f"/api/users/{user['id']}").json() == user


def test_interrupted_seeding_starts_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first start that fails half-way leaves nothing that the next one would trip over."""

    def fail(_: sqlite3.Connection) -> None:
        raise RuntimeError("killed half-way")

    with closing(Database(tmp_path / "shop.sqlite3")) as database:
        with monkeypatch.context() as patch:
            patch.setattr("monolith_stub.seed.fill", fail)
            with pytest.raises(RuntimeError, match="killed half-way"):
                database.prepare()
        database.prepare()
        with database.read() as connection:
            assert connection.execute("SELECT COUNT(*) FROM users").fetchone()[0] == 2000


def test_mail_goes_over_smtp_when_there_is_a_server(tmp_path: Path) -> None:
    """The message has arrived at the server when the signup is answered."""
    with SmtpServer() as server:
        environment = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.port)}
        with running("monolith_stub", tmp_path / "data", environment) as process:
            status = process.http.post("/api/users", json=SIGNUP).status_code
            received = list(server.messages)

    assert status == 201
    assert len(received) == 1
    assert "To: ada@example.org" in received[0]


def test_signup_fails_with_the_mail_server(tmp_path: Path) -> None:
    """The coupling of a monolith: no mail server, no new users, and no half user left behind."""
    port = unused_port()
    with running("monolith_stub", tmp_path / "data", {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port)}) as process:
        refused = process.http.post("/api/users", json=SIGNUP)
        with SmtpServer(port):
            accepted = process.http.post("/api/users", json=SIGNUP)

    assert refused.status_code == 503
    assert "mail" in refused.json()["detail"]
    assert accepted.status_code == 201
