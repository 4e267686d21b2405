"""Records as a gateway would leave them."""

from __future__ import annotations

from typing import Any

from proxy.observe.record import RequestRecord
from proxy.rules.request import RequestView

RECEIVED_AT = 1000.0


def forwarded(**changes: Any) -> RequestRecord:
    """A GET that the target answered with 200: sent after 1 ms, head after 21 ms, ended after 22 ms."""
    record = RequestRecord()
    record.started_at = 1_700_000_000.25
    record.received_at = RECEIVED_AT
    record.sent_at = RECEIVED_AT + 0.001
    record.head_at = RECEIVED_AT + 0.021
    record.ended_at = RECEIVED_AT + 0.022
    record.overhead = 0.00004
    record.listener, record.rule, record.priority = "web", "users", 10
    record.target_group, record.target_id = "users", "10.0.0.1:8000"
    record.view = RequestView.of(
        "GET", "/api/users?x=1", [("Host", "api.mycompany.com"), ("User-Agent", "curl/8")], peer="192.0.2.7"
    )
    record.client, record.client_port = "192.0.2.7", 40000
    record.method, record.protocol = b"GET", b"HTTP/1.1"
    record.status = record.target_status = 200
    record.request_bytes, record.response_bytes = 300, 500
    record.trace_id = b"Root=1-65000000-000000000000000000000001"
    return _changed(record, changes)


def refused(**changes: Any) -> RequestRecord:
    """A malformed request: no view, no rule, answered 400."""
    record = RequestRecord()
    record.started_at = 1_700_000_000.0
    record.received_at = RECEIVED_AT
    record.ended_at = RECEIVED_AT + 0.0005
    record.listener, record.client, record.client_port = "web", "192.0.2.7", 40000
    record.status, record.reason = 400, "Client.BadRequest"
    record.request_bytes, record.response_bytes = 20, 300
    return _changed(record, changes)


def _changed(record: RequestRecord, changes: dict[str, Any]) -> RequestRecord:
    for name, value in changes.items():
        setattr(record, name, value)
    return record
