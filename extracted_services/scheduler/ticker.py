"""The loop: look what is due, claim it, start it, wait."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from extracted_services.scheduler.config import Schedule
from extracted_services.scheduler.due import divide, due_between
from extracted_services.scheduler.expressions import parse_expression
from extracted_services.scheduler.logs import log
from extracted_services.scheduler.store import Run, Store
from extracted_services.scheduler.task import run_task
from extracted_services.scheduler.tracing import current_trace, span, trace_of

LONGEST_WAIT = timedelta(seconds=30)
"""The machine's clock may be set, and the others want to hear of this scheduler."""


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """The present instant, UTC."""

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Wait for the event, but no longer than this."""


class SystemClock:
    """The machine's."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    def wait(self, event: threading.Event, seconds: float) -> None:
        event.wait(seconds)


class Task(Protocol):
    """Runs a schedule's command and returns its exit code."""

    def __call__(self, schedule: Schedule, run: Run, stopping: threading.Event) -> int: ...


def run_command(schedule: Schedule, run: Run, stopping: threading.Event) -> int:
    """Run the command with what it may want to know in its environment; its output becomes log lines of the run."""
    scheduled_time = run.scheduled_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    trace = current_trace() or trace_of({})._replace(parent_id=secrets.token_hex(8))
    variables = {
        "SCHEDULE_NAME": schedule.name,
        "SCHEDULED_TIME": scheduled_time,
        "RUN_ID": run.run_id,
        "TRACEPARENT": trace.headers()["traceparent"],
    }

    def on_line(line: str) -> None:
        log("info", line, schedule=schedule.name, run_id=run.run_id, trace_id=trace.trace_id)

    return run_task(schedule.command, variables, schedule.timeout_seconds, stopping, on_line)


class Ticker:
    """Runs schedules until `stop` is called."""

    def __init__(self, schedules: Sequence[Schedule], store: Store, clock: Clock, task: Task = run_command) -> None:
        self._schedules = schedules
        self._store = store
        self._clock = clock
        self._task = task
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def stop(self) -> None:
        """End the loop; tasks get SIGTERM. May be called by a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Look and wait in turn until stopped, then wait for the tasks to end."""
        while not self._stopping.is_set():
            next_due = self.tick()
            wait = min(next_due - self._clock.now(), LONGEST_WAIT) if next_due else LONGEST_WAIT
            self._clock.wait(self._stopping, max(wait.total_seconds(), 0))
        self.join()

    def join(self) -> None:
        """Wait for the runs that have begun."""
        for thread in self._threads:
            thread.join()

    def tick(self) -> datetime | None:
        """Start what is due now; return when the next run is."""
        now = self._clock.now()
        for run in self._store.heard(now):
            log("error", "lost: its scheduler ended before it did; it is not run again", **_fields(run))
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        upcoming = [self._start_due(schedule, now) for schedule in self._schedules]
        return min((instant for instant in upcoming if instant), default=None)

    def _start_due(self, schedule: Schedule, now: datetime) -> datetime | None:
        expression = f"{schedule.schedule_expression} {schedule.schedule_expression_timezone}"
        progress = self._store.progress(schedule.name, expression, now)
        recurrence = parse_expression(
            schedule.schedule_expression, schedule.schedule_expression_timezone, progress.start
        )
        after = max(progress.checked_until, progress.start - timedelta(microseconds=1))
        to_run, skipped = divide(due_between(recurrence, after, now), now, schedule.missed)
        runs, left_out = self._store.claim(schedule.name, now, to_run, skipped)
        for run in left_out:
            log("warning", "skipped: it came due while no scheduler was there", **_fields(run))
        if runs:
            thread = threading.Thread(target=self._run_in_turn, args=(schedule, runs), name=schedule.name)
            self._threads.append(thread)
            thread.start()
        return next(recurrence.after(now), None)

    def _run_in_turn(self, schedule: Schedule, runs: Sequence[Run]) -> None:
        for run in runs:
            if self._stopping.is_set():
                log("error", "not started: the scheduler is stopping", **_fields(run))
                self._store.ended(run, self._clock.now(), None)
                continue
            with span(f"run {schedule.name}", "internal", trace_of({})) as running:
                self._store.started(run, self._clock.now())
                log("info", "started", **_fields(run))
                exit_code = self._attempt(schedule, run)
                running.error = "" if exit_code == 0 else "_OTHER"
                self._store.ended(run, self._clock.now(), exit_code)
                log("info" if exit_code == 0 else "error", "ended", exit_code=exit_code, **_fields(run))

    def _attempt(self, schedule: Schedule, run: Run) -> int | None:
        try:
            return self._task(schedule, run, self._stopping)
        except OSError as error:
            log("error", f"cannot be started: {error}", **_fields(run))
            return None


def _fields(run: Run) -> dict[str, str]:
    return {"schedule": run.schedule, "run_id": run.run_id, "scheduled_at": run.scheduled_at.isoformat()}
