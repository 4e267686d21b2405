"""Names of transactions, from outside: kept over a restart, pinned in the file, told by a target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_target import ScriptedTarget
from served import Served, serving

TABLE = """\
version: 1
listeners: [{{port: PORT, default: {{forward: only}}}}]
target_groups:
  only: {{targets: ["http://127.0.0.1:{port}"], health_check: {{interval_seconds: 5, timeout_seconds: 2}}}}
"""


@pytest.fixture
def target() -> Iterator[ScriptedTarget]:
    target = ScriptedTarget()
    yield target
    target.close()


def counted(served: Served, name: str) -> float:
    return served.metric("strangler_transaction_requests_total", transaction=name)


def test_names_are_kept_over_a_restart(tmp_path: Path, target: ScriptedTarget) -> None:
    with serving(tmp_path, TABLE.format(port=target.port)) as served:
        for number in range(8):
            served.client.get(f"/orders/{number}")
        served.eventually(lambda: counted(served, "GET /orders/{id}") == 8, "the requests have no name")
        assert served.stop() == 0
    assert (tmp_path / ".strangler" / "transactions.json").exists()

    with serving(tmp_path, TABLE.format(port=target.port)) as served:
        served.client.get("/orders/99")
        assert counted(served, "GET /orders/{id}") == 1


def test_a_learned_name_is_pinned_in_the_file(tmp_path: Path, target: ScriptedTarget) -> None:
    with serving(tmp_path, TABLE.format(port=target.port), "--state-dir", "none") as served:
        for number in range(8):
            served.client.get(f"/orders/{number}")
        served.eventually(lambda: counted(served, "GET /orders/{id}") == 8, "the requests have no name")
        answer = served.admin.post("/api/transactions/names", json={"names": ["GET /orders/{id}"]})
        assert answer.json() == {"ok": True, "problems": [], "changed": True}
        names = served.admin.get("/api/transactions/names").json()["names"]
        assert (names[0]["name"], names[0]["source"]) == ("GET /orders/{id}", "pinned")
        assert served.table.read_text().endswith('\ntransactions:\n  names:\n    - "GET /orders/{id}"\n')
        served.client.get("/orders/1")
        assert counted(served, "GET /orders/{id}") == 9
    assert not (tmp_path / ".strangler").exists()


HINT = b"HTTP/1.1 200 OK\r\nX-Transaction-Name: query orders\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("trusted", [True, False])
def test_a_target_names_a_request_if_it_may(tmp_path: Path, trusted: bool) -> None:
    target = ScriptedTarget()
    target.script = target.answering(HINT)
    table = TABLE.format(port=target.port) + ("transactions: {hint_header: X-Transaction-Name}\n" if trusted else "")
    with serving(tmp_path, table) as served:
        answer = served.client.post("/graphql")
        assert ("x-transaction-name" in answer.headers) is not trusted, "clients do not get what is for the gateway"
        assert answer.text == "ok"
        assert counted(served, "query orders") == (1 if trusted else 0)
    target.close()
