"""The logs that the flags of `serve` ask for, in this process or in a worker."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from proxy.observe.access_log import AccessLog
from proxy.observe.connection_log import ConnectionLog

LogOptions = Mapping[str, Any]


def log_options(args: argparse.Namespace) -> dict[str, Any]:
    """What `open_logs` has to know, as plain data that a worker can be told."""
    return {
        "access_log": args.access_log,
        "access_log_format": args.access_log_format,
        "elb_name": args.elb_name,
        "connection_log": args.connection_log,
    }


def open_logs(options: LogOptions) -> tuple[AccessLog | None, ConnectionLog | None]:
    """Open the access log and the connection log, each if it is wanted; raise OSError for a file that cannot be."""
    access_log, connection_log = options["access_log"], options["connection_log"]
    return (
        AccessLog.open(access_log, options["access_log_format"], options["elb_name"]) if access_log else None,
        ConnectionLog.open(connection_log) if connection_log else None,
    )
