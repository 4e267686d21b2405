"""Card details reach the payments service and nothing else: no file, log line or metric of any process has them."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from running_process import running
from served import serving

from extracted_services.payments.cards import Card, fingerprint, load_card_key, tokenize

NUMBER, HOLDER, CODE = "4012888888881881", "Grace Brewster", "7391"
CARD = {"number": NUMBER, "expiry_month": 11, "expiry_year": 2091, "cvc": CODE, "holder": HOLDER}
TABLE = """
version: 1
listeners:
- port: PORT
  name: web
  default: {forward: monolith}
  rules:
  - name: payments
    priority: 10
    conditions: [{path-pattern: [/api/payments, /api/payments/*]}]
    forward: {monolith: 0, payments: 100}
target_groups:
  monolith: {targets: ["%s"], health_check: {path: /health}}
  payments: {targets: ["%s"], health_check: {path: /health}}
"""
SPELLED = re.compile(r"4012[ -]?8888[ -]?8888[ -]?1881")


@pytest.mark.parametrize("log_format", ["json", "alb"])
def test_a_card_is_seen_by_nobody_else(tmp_path: Path, log_format: str) -> None:
    """Accepted, refused, cut off, or sent in the wrong field."""
    access_log = tmp_path / "gateway" / "access.log"
    (tmp_path / "gateway").mkdir()
    with (
        running("monolith_stub", tmp_path / "monolith") as monolith,
        running("extracted_services.payments", tmp_path / "payments") as payments,
        serving(
            tmp_path / "gateway",
            TABLE % (monolith.http.base_url, payments.http.base_url),
            "--access-log",
            str(access_log),
            "--access-log-format",
            log_format,
        ) as served,
    ):
        order = {"order_id": 8500, "card": CARD}
        answers = [
            served.client.post("/api/payments", json=order),
            served.client.post("/api/payments", json=order),
            served.client.post("/api/payments", json={**order, "order_id": 8501, "card": {**CARD, "cvc": "x"}}),
            served.client.post("/api/payments", json={"order_id": NUMBER, "card": NUMBER}),
            served.client.post("/api/payments", content=f'{{"card": {{"number": "{NUMBER}", "cvc": "{CODE}'),
            served.client.post("/api/payments", json={"order_id": 8501, "card": {**CARD, "holder": NUMBER + "\nx"}}),
        ]
        read = served.client.get(answers[0].headers["Location"])
        served.eventually(lambda: served.metric("strangler_requests_total") >= 7, "requests are not counted")
        served.eventually(lambda: access_log.read_text().count("\n") >= 7, "lines are missing")
        metrics, log = served.admin.get("/metrics").text, served.log.read_text()
        pages = "".join(served.admin.get(path).text for path in ("/", "/api/config"))

    assert [answer.status_code for answer in answers] == [201, 409, 422, 422, 422, 422]
    assert {answer.headers["X-Served-By"] for answer in answers} == {"payments"}
    assert read.json()["last4"] == NUMBER[-4:]
    places = {"metrics": metrics, "gateway log": log, "admin": pages, "access log": access_log.read_text()}
    places |= {"answers": "".join(answer.text for answer in [*answers, read])}
    for file in [*tmp_path.rglob("*")]:
        if file.is_file():
            places[str(file)] = file.read_bytes().decode("latin-1")
    found = [
        f"{secret} in {place}"
        for place, text in places.items()
        for secret in (NUMBER, HOLDER, f"cvc: {CODE}", f'"{CODE}"')
        if secret in text or SPELLED.search(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    "path",
    [f"/api/payments/{NUMBER}", "/api/payments/4012-8888-8888-1881", f"/api/payments/1?number={NUMBER}"],
    ids=["as a number", "spelled with hyphens", "in the query"],
)
def test_a_card_in_the_path_is_in_no_line_of_the_service(tmp_path: Path, path: str) -> None:
    """Of the gateway it is in the access log, which has paths as they are: no client may be made to put it there."""
    with running("extracted_services.payments", tmp_path / "payments") as payments:
        payments.http.get(path)
    log = payments.log.read_text()
    # The query is left out as a whole.
    assert ("/api/payments/1" if "?" in path else "[redacted]") in log
    assert not SPELLED.search(log)


def test_a_token_leads_nowhere(tmp_path: Path) -> None:
    """Two payments with one card have one fingerprint, two tokens; and with another key another fingerprint."""
    card = Card.model_validate(CARD)
    key, other = load_card_key(tmp_path / "a"), load_card_key(tmp_path / "b")
    one, again, elsewhere = tokenize(card, key), tokenize(card, key), tokenize(card, other)

    assert load_card_key(tmp_path / "a") == key
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0
    assert one.fingerprint == again.fingerprint == fingerprint(NUMBER, key) != elsewhere.fingerprint
    assert one.token != again.token
    assert (one.brand, one.last4) == ("visa", "1881")
    assert NUMBER not in repr((card, one))


def test_payments_begin_where_the_monoliths_never_come(tmp_path: Path) -> None:
    """So that a rule can tell by the path whose payment is read: /api/payments/900000000000."""
    with running("extracted_services.payments", tmp_path / "payments") as payments:
        numbers = [
            payments.http.post("/api/payments", json={"order_id": order, "card": CARD}).json()["id"]
            for order in (8001, 8002)
        ]
    connection = sqlite3.connect(tmp_path / "payments" / "payments.sqlite3")
    columns = [row[1] for row in connection.execute("PRAGMA table_info(payments)")]
    connection.close()
    assert numbers == [900_000_000_000, 900_000_000_001]
    assert not {"number", "holder", "cvc", "expiry_month"} & set(columns)
