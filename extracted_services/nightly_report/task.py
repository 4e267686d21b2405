"""`python -m extracted_services.nightly_report.task`: write one report and end. This is what the schedule starts.

The day is that of `SCHEDULED_TIME` (UTC), which the scheduler sets: a report that is caught up has the day it was due.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

from extracted_services.nightly_report.report import SourceError, compute_report
from extracted_services.nightly_report.store import Store
from extracted_services.nightly_report.tracing import span, trace_of


def main() -> int:
    """Return 0 when the report is kept, 1 when the shop's database cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.nightly_report.task", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("NIGHTLY_REPORT_DATA", "./nightly-report-data"))
    parser.add_argument(
        "--source",
        type=Path,
        default=os.environ.get("NIGHTLY_REPORT_SOURCE", "./monolith-data/shop.sqlite3"),
        help="the shop's database, only read",
    )
    flags = parser.parse_args()
    try:
        day = scheduled_day(os.environ.get("SCHEDULED_TIME"))
    except ValueError as error:
        parser.error(str(error))
    began = time.monotonic()
    trace = trace_of({"traceparent": os.environ.get("TRACEPARENT", "")})
    run = {"trace_id": trace.trace_id}
    if run_id := os.environ.get("RUN_ID"):
        run["run_id"] = run_id
    with span("write the nightly report", "internal", trace) as work:
        try:
            report = compute_report(flags.source, day)
        except SourceError as error:
            work.error = "SourceError"
            print(json.dumps({"level": "error", "message": str(error), **run}), file=sys.stderr)
            return 1
        Store(flags.data).keep(report)
    seconds = round(time.monotonic() - began, 3)
    print(json.dumps({"level": "info", "message": "report written", "day": report["day"], "seconds": seconds, **run}))
    return 0


def scheduled_day(scheduled_time: str | None) -> date:
    """The day (UTC) of an ISO 8601 time, today without one; ValueError names a bad value."""
    if not scheduled_time:
        return datetime.now(UTC).date()
    try:
        return datetime.fromisoformat(scheduled_time).astimezone(UTC).date()
    except ValueError:
        raise ValueError(f"SCHEDULED_TIME: {scheduled_time!r} is no time; write 2026-01-31T05:00:00Z") from None


if __name__ == "__main__":
    sys.exit(main())
