"""Structured logs: one JSON object a line on standard output."""

from __future__ import annotations

import json
import sys
import threading
from datetime import UTC, datetime

from extracted_services.scheduler.tracing import current_trace

_lock = threading.Lock()


def log(level: str, message: str, **fields: object) -> None:
    """Write one line: time, level, message and the fields."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    trace = current_trace()
    of_trace = {"trace_id": trace.trace_id} if trace else {}
    line = json.dumps({"time": time, "level": level, "message": message, **of_trace, **fields}, default=str)
    with _lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
