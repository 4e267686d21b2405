"""Transactions on the admin API: what they cost, how they are named, pinning."""

from __future__ import annotations

from admin_fakes import FakeGateway, get, post

from proxy.admin.app import create_admin
from proxy.carveout.workload import TransactionLoad, WindowLoad


def test_what_transactions_cost_has_the_documented_fields() -> None:
    gateway = FakeGateway()
    load = TransactionLoad("GET /orders/{id}", "monolith", windows={0: WindowLoad(10, 2.0, 5, 0.5)}, last_hit=5.0)
    load.counts[10] = 10
    gateway.measured.transactions = [load]
    app = create_admin(gateway)
    document = get(app, "/openapi.json").json()["components"]["schemas"]["Transaction"]

    (entry,) = get(app, "/api/transactions").json()["transactions"]

    assert set(entry) == set(document["properties"])
    assert (entry["name"], entry["requests"], entry["mean"], entry["quiet_mean"]) == ("GET /orders/{id}", 10, 0.2, 0.1)
    assert entry["database_share"] is None


def test_no_transactions() -> None:
    assert get(create_admin(FakeGateway()), "/api/transactions").json()["transactions"] == []


def test_names_are_shown_for_review() -> None:
    answer = get(create_admin(FakeGateway()), "/api/transactions/names").json()
    assert answer == {
        "names": [{"name": "GET /orders/{id}", "source": "pinned", "requests": 0, "regex": "/orders/[^/]+/?"}],
        "overflow": 0,
        "renames": [],
    }


def test_a_name_is_pinned() -> None:
    gateway = FakeGateway()
    answer = post(create_admin(gateway), "/api/transactions/names", json={"names": ["GET /orders/{id}"]})
    assert answer.status_code == 200
    assert gateway.pinned == ["GET /orders/{id}"]


def test_what_is_no_name_is_not_pinned() -> None:
    gateway = FakeGateway()
    answer = post(create_admin(gateway), "/api/transactions/names", json={"names": ["orders"]})
    assert answer.status_code == 422
    assert "GET /orders/{id}" in answer.json()["error"]
    assert post(create_admin(gateway), "/api/transactions/names", json={"names": []}).status_code == 422
    assert gateway.reloads == 0


def test_pinning_needs_the_token() -> None:
    gateway = FakeGateway()
    app = create_admin(gateway, token="secret")
    assert post(app, "/api/transactions/names", json={"names": ["GET /a"]}).status_code == 401
    assert gateway.pinned == []
