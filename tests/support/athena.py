"""Log lines read as the table definitions that AWS documents for Athena read them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from live_gateway import wait_until

ACCESS_LOG = re.compile(
    r"([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*):([0-9]*) ([^ ]*)[:-]([0-9]*) ([-.0-9]*) ([-.0-9]*) ([-.0-9]*)"
    r" (|[-0-9]*) (-|[-0-9]*) ([-0-9]*) ([-0-9]*) \"([^ ]*) (.*) (- |[^ ]*)\" \"([^\"]*)\" ([A-Z0-9-_]+)"
    r" ([A-Za-z0-9.-]*) ([^ ]*) \"([^\"]*)\" \"([^\"]*)\" \"([^\"]*)\" ([-.0-9]*) ([^ ]*) \"([^\"]*)\""
    r" \"([^\"]*)\" \"([^ ]*)\" \"([^\s]+?)\" \"([^\s]+)\" \"([^ ]*)\" \"([^ ]*)\" ?([^ ]*)? ?( .*)?"
)
"""`input.regex` of the documented table; Hive's RegexSerDe wants it to match the whole line."""

COLUMNS = (
    "type",
    "time",
    "elb",
    "client_ip",
    "client_port",
    "target_ip",
    "target_port",
    "request_processing_time",
    "target_processing_time",
    "response_processing_time",
    "elb_status_code",
    "target_status_code",
    "received_bytes",
    "sent_bytes",
    "request_verb",
    "request_url",
    "request_proto",
    "user_agent",
    "ssl_cipher",
    "ssl_protocol",
    "target_group_arn",
    "trace_id",
    "domain_name",
    "chosen_cert_arn",
    "matched_rule_priority",
    "request_creation_time",
    "actions_executed",
    "redirect_url",
    "lambda_error_reason",
    "target_port_list",
    "target_status_code_list",
    "classification",
    "classification_reason",
    "conn_trace_id",
)

CONNECTION_LOG = re.compile(
    r"([^ ]*) ([^ ]*) ([0-9]*) ([0-9]*) ([A-Za-z0-9.-]*) ([^ ]*) ([-.0-9]*) \"([^\"]*)\""
    r" ([^ ]*) ([^ ]*) ([^ ]*) ?([^ ]*)?( .*)?"
)

CONNECTION_COLUMNS = (
    "time",
    "client_ip",
    "client_port",
    "listener_port",
    "tls_protocol",
    "tls_cipher",
    "tls_handshake_latency",
    "leaf_client_cert_subject",
    "leaf_client_cert_validity",
    "leaf_client_cert_serial_number",
    "tls_verify_status",
    "conn_trace_id",
)

FIELD = re.compile(r'"[^"]*"|[^ ]+')
"""One field of either log: quoted, or up to the next blank."""

TRANSFORM_COLUMNS = ("transformed_host", "transformed_uri", "request_transform_status")


def access_log_row(line: str) -> dict[str, str]:
    """The columns of an access-log line, and the three newest fields that the table has in one last column."""
    match = ACCESS_LOG.fullmatch(line)
    assert match is not None, f"Athena would make this line a row of nulls: {line!r}"
    row = dict(zip(COLUMNS, match.groups()[:-1], strict=True))
    rest = [field.strip('"') for field in FIELD.findall(match.groups()[-1])]
    return row | dict(zip(TRANSFORM_COLUMNS, rest, strict=True))


def connection_log_row(line: str) -> dict[str, str]:
    """The columns of a connection-log line."""
    match = CONNECTION_LOG.fullmatch(line)
    assert match is not None, f"Athena would make this line a row of nulls: {line!r}"
    assert match.groups()[-1] is None
    return dict(zip(CONNECTION_COLUMNS, match.groups()[:-1], strict=True))


_BEFORE: dict[Path, int] = {}


def begin_rows(*paths: Path) -> None:
    """Let `row_of_client` look at the lines from now on: an earlier client may have had the same port."""
    for path in paths:
        _BEFORE[path] = path.stat().st_size if path.exists() else 0


def row_of_client(path: Path, port: int, read: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """Wait for the line of the client that has this port, the last one if there are several.

    Args:
        read: `access_log_row` or `connection_log_row`.
    """
    found: list[dict[str, str]] = []

    def is_there() -> bool:
        text = path.read_bytes()[_BEFORE.get(path, 0) :].decode() if path.exists() else ""
        whole = text.rpartition("\n")[0]
        found[:] = [row for each in whole.splitlines() if (row := read(each))["client_port"] == str(port)]
        return bool(found)

    wait_until(is_there, lambda: f"{path.name} has no line for port {port}")
    return found[-1]
