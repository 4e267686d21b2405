"""`python -m extracted_services.scheduler --schedules FILE --data DIR`."""

from __future__ import annotations

import argparse
import os
import signal
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from extracted_services.scheduler.config import ConfigError, load_schedules
from extracted_services.scheduler.logs import log
from extracted_services.scheduler.store import Store
from extracted_services.scheduler.ticker import SystemClock, Ticker


def main() -> None:
    """Run schedules until SIGTERM or SIGINT; tasks get SIGTERM then, too."""
    parser = argparse.ArgumentParser(prog="python -m extracted_services.scheduler", description=__doc__)
    parser.add_argument("--schedules", type=Path, default=os.environ.get("SCHEDULER_SCHEDULES", "schedules.yaml"))
    parser.add_argument("--data", type=Path, default=os.environ.get("SCHEDULER_DATA", "./scheduler-data"))
    flags = parser.parse_args()
    try:
        schedules = load_schedules(flags.schedules)
    except ConfigError as error:
        parser.error(str(error))
    with closing(Store(flags.data)) as store:
        ticker = Ticker(schedules, store, SystemClock())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ticker.stop())
        log("info", "scheduling", schedules=[schedule.name for schedule in schedules])
        for schedule in schedules:
            if schedule.is_over(datetime.now(UTC)):
                log("warning", f"{schedule.schedule_expression} is never due", schedule=schedule.name)
        ticker.run()
    log("info", "stopped")


if __name__ == "__main__":
    main()
