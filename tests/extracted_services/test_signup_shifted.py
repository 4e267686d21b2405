"""Signup moves to the service and back by two numbers in routes.yaml, and both ways every user gets a mail."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from email_team import Worker, eventually, teams, worker
from live_gateway import LiveGateway
from running_process import REPOSITORY, Running, running

from proxy.config.edit import set_weights
from proxy.config.load import load_with_warnings
from proxy.runtime import build

TABLE = (REPOSITORY / "routes.yaml").read_text()
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Shop:
    """The monolith and users behind a gateway with the table of the repository, and the email team's worker."""

    def __init__(self, live: LiveGateway, monolith: Running, users: Running, email: Worker) -> None:
        self.live = live
        self.monolith = monolith
        self.users = users
        self.email = email

    def give_signup_to(self, group: str) -> None:
        """Shift the rule `signup` as a whole."""
        text = TABLE.replace("port: 8080 ", f"port: {self.live.port} ")
        for name, process in (("MONOLITH", self.monolith), ("USERS", self.users)):
            text = text.replace(f"${{{name}_URL:-http://{name.lower()}:8000}}", str(process.http.base_url).rstrip("/"))
        weights = {name: 100 if name == group else 0 for name in ("monolith", "users")}
        config, _ = load_with_warnings(set_weights(text, "signup", weights).encode(), {})
        gateway = self.live.gateway
        self.live.call(lambda: gateway.replace(build(config, gateway.metrics)))

    def sign_up(self, name: str, **headers: str) -> str:
        """Return who answered."""
        user = {"email": f"{name}@example.org", "name": name, "password": "correct horse", "city": "London"}
        url = f"http://127.0.0.1:{self.live.port}/api/users"
        answer = httpx.post(url, json=user, headers=headers, timeout=30, trust_env=False)
        assert answer.status_code == 201, answer.text
        return answer.headers["X-Served-By"]


@pytest.fixture
def shop(aws_endpoint: str, tmp_path: Path) -> Iterator[Shop]:
    with contextlib.ExitStack() as stack:
        both = stack.enter_context(teams(aws_endpoint))
        monolith = stack.enter_context(running("monolith_stub", tmp_path / "monolith"))
        users = stack.enter_context(running("extracted_services.users", tmp_path / "users", both.environment))
        email = stack.enter_context(worker(both, tmp_path / "email"))
        live = LiveGateway()
        stack.callback(live.close)
        yield Shop(live, monolith, users, email)


def test_there_and_back(shop: Shop) -> None:
    for group, name in (("monolith", "ada"), ("users", "grace"), ("monolith", "hedy")):
        shop.give_signup_to(group)
        assert shop.sign_up(name) == group

    assert sorted(mail.partition("To: ")[2].partition("\n")[0] for mail in shop.monolith.mail) == [
        "ada@example.org",
        "hedy@example.org",
    ]
    assert eventually(lambda: len(shop.email.mail) == 1)
    assert "To: grace@example.org" in shop.email.mail[0]
    assert not shop.users.mail


def test_the_worker_logs_the_trace_that_the_gateway_logs(shop: Shop) -> None:
    """A client without a trace: the gateway begins one, as the load balancer does."""
    shop.give_signup_to("users")
    shop.sign_up("ada")
    assert eventually(lambda: len(shop.email.said("mail sent")) == 1)
    assert eventually(lambda: len(shop.live.records.all) == 1)
    root = shop.live.records.all[0].trace_id.decode().partition("Root=1-")[2].partition(";")[0]
    assert root
    assert shop.email.said("mail sent")[0]["trace_id"] == root.replace("-", "")

    shop.sign_up("grace", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    assert eventually(lambda: len(shop.email.said("mail sent")) == 2)
    assert shop.email.said("mail sent")[1]["trace_id"] == TRACE
