"""The table definition that AWS documents for the load balancer's access logs (Athena user guide, "Query Application
Load Balancer logs"), and what its types are in Python."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from proxy.carveout.logs.problems import LogError

COLUMNS: Final = {
    "type": "string",
    "time": "string",
    "elb": "string",
    "client_ip": "string",
    "client_port": "int",
    "target_ip": "string",
    "target_port": "int",
    "request_processing_time": "double",
    "target_processing_time": "double",
    "response_processing_time": "double",
    "elb_status_code": "int",
    "target_status_code": "string",
    "received_bytes": "bigint",
    "sent_bytes": "bigint",
    "request_verb": "string",
    "request_url": "string",
    "request_proto": "string",
    "user_agent": "string",
    "ssl_cipher": "string",
    "ssl_protocol": "string",
    "target_group_arn": "string",
    "trace_id": "string",
    "domain_name": "string",
    "chosen_cert_arn": "string",
    "matched_rule_priority": "string",
    "request_creation_time": "string",
    "actions_executed": "string",
    "redirect_url": "string",
    "lambda_error_reason": "string",
    "target_port_list": "string",
    "target_status_code_list": "string",
    "classification": "string",
    "classification_reason": "string",
    "conn_trace_id": "string",
}

LINE: Final = (
    r'([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*):([0-9]*) ([^ ]*)[:-]([0-9]*) ([-.0-9]*) ([-.0-9]*) ([-.0-9]*) '
    r'(|[-0-9]*) (-|[-0-9]*) ([-0-9]*) ([-0-9]*) \"([^ ]*) (.*) (- |[^ ]*)\" \"([^\"]*)\" ([A-Z0-9-_]+) '
    r'([A-Za-z0-9.-]*) ([^ ]*) \"([^\"]*)\" \"([^\"]*)\" \"([^\"]*)\" ([-.0-9]*) ([^ ]*) \"([^\"]*)\" '
    r'\"([^\"]*)\" \"([^ ]*)\" \"([^\s]+?)\" \"([^\s]+)\" \"([^ ]*)\" \"([^ ]*)\" ?([^ ]*)? ?( .*)?'
)  # fmt: skip
"""`input.regex`: the whole of a line."""

TYPES: Final[Mapping[str, Callable[[str], Any]]] = {
    "bigint": int,
    "integer": int,
    "int": int,
    "double": float,
    "decimal": float,
    "boolean": lambda text: text == "true",
}

_LOCATION: Final = re.compile(r"s3://[a-z0-9.-]{3,63}/[^'\s]*")


def table_for(location: str) -> str:
    """A name for the table over a place in S3, always the same for it."""
    return f"strangler_alb_logs_{hashlib.sha256(location.encode()).hexdigest()[:12]}"


def create_table(table: str, location: str) -> str:
    """The statement that defines the table, unless it is there; nothing is read or copied by it.

    Args:
        location: `s3://bucket/prefix/AWSLogs/account/elasticloadbalancing/region/`, or a folder of a day in it.

    Raises:
        LogError: The location is none.
    """
    if not _LOCATION.fullmatch(location):
        raise LogError(
            f"{location!r} is not where a load balancer writes its logs: give "
            "s3://BUCKET/PREFIX/AWSLogs/ACCOUNT/elasticloadbalancing/REGION/, or a folder in it"
        )
    columns = ",\n  ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    pattern = LINE.replace("\\", "\\\\").replace("'", "\\'")
    return f"""CREATE EXTERNAL TABLE IF NOT EXISTS {table} (
  {columns}
)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.RegexSerDe'
WITH SERDEPROPERTIES ('serialization.format' = '1', 'input.regex' = '{pattern}')
LOCATION '{location if location.endswith("/") else location + "/"}'"""
