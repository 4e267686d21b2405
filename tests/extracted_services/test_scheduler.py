"""What the scheduler starts, how often, and what it does about time that it missed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from extracted_services.scheduler.config import ConfigError, Schedule, load_schedules
from extracted_services.scheduler.due import MAX_AT_ONCE, Missed, divide, due_between
from extracted_services.scheduler.expressions import parse_expression
from extracted_services.scheduler.store import KEPT, SILENT_AFTER, Run, Store
from extracted_services.scheduler.task import run_task
from extracted_services.scheduler.ticker import Ticker, run_command

REPOSITORY = Path(__file__).resolve().parents[2]
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
NIGHTLY = {"name": "nightly", "schedule_expression": "cron(0 5 * * ? *)", "command": ["true"]}


class ClockOfTest:
    """Stands still until it is set."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def wait(self, event: threading.Event, seconds: float) -> None:
        """A loop that waits has waited."""
        self._now += timedelta(seconds=max(seconds, 1))

    def set(self, now: datetime) -> None:
        self._now = now


class Machine:
    """A data folder on which schedulers run one after the other; notes what they start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[datetime] = []
        self._lock = threading.Lock()

    def task(self, schedule: Schedule, run: Run, stopping: threading.Event) -> int:
        with self._lock:
            self.started.append(run.scheduled_at)
        return 0

    def look(self, *instants: datetime, **schedule: Any) -> list[datetime]:
        """One scheduler looks at these instants and ends; return what it started."""
        before = len(self.started)
        with store_in(self.folder) as store:
            clock = ClockOfTest(MONDAY)
            ticker = Ticker([Schedule(**{**NIGHTLY, **schedule})], store, clock, self.task)
            for instant in instants:
                clock.set(instant)
                ticker.tick()
                ticker.join()
        return self.started[before:]


@contextmanager
def store_in(folder: Path) -> Iterator[Store]:
    store = Store(folder)
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def day(number: int, hour: int = 5, minute: int = 0, second: int = 0) -> datetime:
    """A moment of day 0, which is a Monday, or later."""
    return MONDAY + timedelta(days=number, hours=hour, minutes=minute, seconds=second)


def test_it_starts_at_five_and_once(machine: Machine) -> None:
    looks = [day(0, 4, 59, 59), day(0), day(0, 5, 0, 1), day(0, 6), day(1, 4), day(1, 5, 0, 30)]
    assert machine.look(*looks) == [day(0), day(1)]


def test_a_new_schedule_does_not_make_up_for_the_past(machine: Machine) -> None:
    assert machine.look(day(3, 12), day(3, 13), missed="all") == []


@pytest.mark.parametrize(
    ("missed", "caught_up", "states"),
    [
        pytest.param("skip", [], ["skipped", "skipped", "skipped"], id="skip: none"),
        pytest.param("last", [day(3)], ["skipped", "skipped", "succeeded"], id="last: the newest"),
        pytest.param("all", [day(1), day(2), day(3)], ["succeeded"] * 3, id="all: one after the other"),
    ],
)
def test_after_downtime(machine: Machine, missed: str, caught_up: list[datetime], states: list[str]) -> None:
    machine.look(day(0, 12), missed=missed)

    assert machine.look(day(3, 9), day(3, 10), missed=missed) == caught_up
    assert machine.look(day(3, 11), missed=missed) == []
    with store_in(machine.folder) as store:
        assert [state for _, state in store.states("nightly")] == states


def test_a_restart_within_the_minute_is_no_downtime(machine: Machine) -> None:
    machine.look(day(0, 4, 59), missed="skip")
    assert machine.look(day(0, 5, 0, 59), missed="skip") == [day(0)]


def test_a_clock_that_is_set_back_starts_nothing_again(machine: Machine) -> None:
    assert machine.look(day(0, 4), day(0), day(0, 4), day(0), day(0, 5, 0, 30)) == [day(0)]


def test_a_clock_that_was_a_year_ahead_does_not_silence_it(machine: Machine) -> None:
    """What ran by mistake has run; from tomorrow on it is as if nothing had been."""
    ahead = machine.look(day(0, 4), day(365, 9), missed="last")
    assert machine.look(day(0, 6), day(1), day(2), missed="last") == [day(1), day(2)]
    assert ahead == [day(365)]


def test_what_has_run_is_forgotten_some_day(machine: Machine) -> None:
    machine.look(day(0, 4), day(0))
    machine.look(day(0) + KEPT + timedelta(minutes=1), missed="skip")
    with store_in(machine.folder) as store:
        assert day(0).timestamp() not in dict(store.states("nightly"))


def test_another_expression_begins_anew(machine: Machine) -> None:
    machine.look(day(0, 12))
    hourly = {"schedule_expression": "cron(0 * * * ? *)", "missed": "all"}
    assert machine.look(day(1, 12, 30), day(1, 13), **hourly) == [day(1, 13)]


def test_a_rate_runs_at_once_and_keeps_its_beat_over_a_restart(machine: Machine) -> None:
    rate = {"schedule_expression": "rate(10 minutes)"}
    assert machine.look(day(0, 1, 3), day(0, 1, 12), **rate) == [day(0, 1, 3)]
    assert machine.look(day(0, 1, 13), **rate) == [day(0, 1, 13)]


def test_of_many_schedulers_on_one_file_one_starts_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.look(day(0, 4))
    together = threading.Barrier(6)

    def look() -> None:
        together.wait()
        machine.look(day(0), day(0, 5, 0, 1))

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert machine.started == [day(0)]


def test_a_run_whose_scheduler_was_killed_is_lost_and_not_repeated(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.look(day(0, 4))
    with store_in(machine.folder) as killed:
        killed.heard(day(0))
        (run,), _ = killed.claim("nightly", day(0), [day(0)], [])
        killed.started(run, day(0))

    assert machine.look(day(0) + SILENT_AFTER / 2, missed="all") == []
    assert "lost" not in capsys.readouterr().out
    assert machine.look(day(0) + SILENT_AFTER * 2, missed="all") == []
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["level"], line["run_id"]) == ("error", run.run_id)
    with store_in(machine.folder) as store:
        assert store.states("nightly") == [(day(0).timestamp(), "lost")]


def test_the_loop_sleeps_until_it_is_due(tmp_path: Path) -> None:
    """An hour of a machine's time, in none."""
    started: list[datetime] = []
    with store_in(tmp_path) as store:
        clock = ClockOfTest(day(0, 4, 30))

        def task(schedule: Schedule, run: Run, stopping: threading.Event) -> int:
            started.append(clock.now())
            ticker.stop()
            return 0

        ticker = Ticker([Schedule(**NIGHTLY)], store, clock, task)
        ticker.run()
    assert started[0] >= day(0)


def test_what_is_late_after_years_is_bounded() -> None:
    every_minute = parse_expression("cron(* * * * ? *)", "UTC", MONDAY)
    late = due_between(every_minute, MONDAY, MONDAY + timedelta(days=60))

    assert len(late) == MAX_AT_ONCE
    assert late[-1] == MONDAY + timedelta(days=60)


def test_every_due_instant_is_run_or_skipped() -> None:
    due = [MONDAY + timedelta(seconds=20 * number) for number in range(10)]
    for missed in Missed:
        to_run, skipped = divide(due, due[-1], missed)
        assert sorted(to_run + skipped) == due


# A task is a process.


def test_output_and_environment_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = "import os; print(os.environ['SCHEDULE_NAME'], os.environ['SCHEDULED_TIME'], os.environ['RUN_ID'])"
    schedule = Schedule(**{**NIGHTLY, "command": ["python", "-c", script]})

    assert run_command(schedule, Run("nightly", day(0), "a1"), threading.Event()) == 0

    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert line["message"] == "nightly 2026-01-05T05:00:00Z a1"
    assert (line["schedule"], line["run_id"], len(line["trace_id"])) == ("nightly", "a1", 32)


def run_python(
    script: str, timeout_seconds: float = 60, stopping: threading.Event | None = None
) -> tuple[int, list[str]]:
    lines: list[str] = []
    code = run_task(["python", "-c", script], {}, timeout_seconds, stopping or threading.Event(), lines.append)
    return code, lines


def test_its_exit_code_and_both_outputs() -> None:
    script = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
    assert run_python(script) == (3, ["out", "err"])


def test_one_that_takes_too_long_is_ended_with_its_children() -> None:
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)"
    )
    code, lines = run_python(script, timeout_seconds=1)

    assert code == -signal.SIGTERM
    assert not is_running(int(lines[0]))


def is_running(process_id: int) -> bool:
    """A killed orphan may stay as a zombie where nobody waits for it."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_stopping_ends_it() -> None:
    stopping = threading.Event()
    stopping.set()
    assert run_python("import time; time.sleep(600)", stopping=stopping)[0] == -signal.SIGTERM


def test_one_that_cannot_be_started_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schedule = Schedule(**{**NIGHTLY, "schedule_expression": "rate(1 day)", "command": ["no-such-program"]})
    with store_in(tmp_path) as store:
        ticker = Ticker([schedule], store, ClockOfTest(MONDAY))
        ticker.tick()
        ticker.join()
        assert [state for _, state in store.states("nightly")] == ["failed"]
    assert "cannot be started" in capsys.readouterr().out


# The process.


def schedules_file(folder: Path, text: str) -> Path:
    path = folder / "schedules.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("schedules: []", "schedules: List should have at least 1 item", id="none"),
        pytest.param("banana", "begin it with schedules:", id="no mapping"),
        pytest.param("", "begin it with schedules:", id="empty"),
        pytest.param("schedules: [", "while parsing", id="no YAML"),
        pytest.param(
            "schedules: [{name: a, schedule_expression: 'cron(0 24 * * ? *)', command: [x]}]",
            "schedules.0: Value error, cron(0 24 * * ? *): Invalid hour value '24'",
            id="bad expression",
        ),
        pytest.param(
            "schedules: [{name: a, schedule_expression: rate(1 day), command: [x], missed: some}]",
            "schedules.0.missed: Input should be 'skip', 'last' or 'all'",
            id="bad policy",
        ),
        pytest.param(
            "schedules: [{name: a, schedule_expression: rate(1 day), command: [x], tz: UTC}]",
            "schedules.0.tz: Extra inputs are not permitted",
            id="unknown key",
        ),
        pytest.param(
            "schedules: [&a {name: a, schedule_expression: rate(1 day), command: [x]}, *a]",
            "two schedules 'a'",
            id="twice the same name",
        ),
    ],
)
def test_a_file_with_a_problem(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_schedules(schedules_file(tmp_path, text))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "is_over"),
    [
        ("cron(0 5 31 2 ? *)", True),
        ("cron(0 5 * * ? 2020)", True),
        ("cron(0 5 29 2 ? *)", False),
        ("rate(1 day)", False),
    ],
)
def test_whether_a_schedule_is_ever_due(expression: str, is_over: bool) -> None:
    schedule = Schedule(name="a", schedule_expression=expression, command=["x"])
    assert schedule.is_over(datetime(2026, 3, 1, tzinfo=UTC)) is is_over


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_schedules(tmp_path / "none.yaml")


def test_the_report_is_scheduled_as_in_the_monolith() -> None:
    (schedule,) = load_schedules(REPOSITORY / "extracted_services" / "nightly_report" / "schedules.yaml")
    recurrence = parse_expression(schedule.schedule_expression, schedule.schedule_expression_timezone, MONDAY)

    assert next(recurrence.after(MONDAY)) == day(0)
    assert schedule.command[:2] == ["python", "-m"]


PAGE = (REPOSITORY / "docs" / "schedules.md").read_text()


def test_the_page_shows_the_file_and_every_key_and_state(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(schedules:\n.*?)```", PAGE, re.DOTALL)
    shipped = load_schedules(REPOSITORY / "extracted_services" / "nightly_report" / "schedules.yaml")

    assert load_schedules(schedules_file(tmp_path, example)) == shipped
    assert [name for name in Schedule.model_fields if f"`{name}`" not in PAGE] == []
    states = ("claimed", "started", "succeeded", "failed", "skipped", "lost")
    assert [state for state in states if f"`{state}`" not in PAGE] == []


@pytest.mark.parametrize("expression", sorted(set(re.findall(r"(?:cron|rate)\([^)a-z]*[^)]*\)", PAGE))))
def test_every_expression_on_the_page_is_one(expression: str) -> None:
    if "value" not in expression and "day-of-month" not in expression:
        assert next(parse_expression(expression, "UTC", MONDAY).after(MONDAY))


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_the_process_runs_a_task_and_ends_on_sigterm(tmp_path: Path) -> None:
    """SIGTERM reaches the task too, which may end in order."""
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('ended in order'), sys.exit(0)))\n"
        "print('at work', flush=True)\n"
        "time.sleep(600)"
    )
    file = schedules_file(
        tmp_path,
        json.dumps(
            {"schedules": [{"name": "a", "schedule_expression": "rate(1 day)", "command": ["python", "-c", script]}]}
        ),
    )
    log = tmp_path / "log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "extracted_services.scheduler", "--schedules", str(file)]
        process = subprocess.Popen([*command, "--data", str(tmp_path / "data")], cwd=REPOSITORY, stdout=output)
    try:
        assert eventually(lambda: "at work" in log.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    messages = [json.loads(line)["message"] for line in log.read_text().splitlines()]
    assert messages == ["scheduling", "started", "at work", "ended in order", "ended", "stopped"]


def test_the_process_refuses_a_bad_file_without_a_stack_trace(tmp_path: Path) -> None:
    file = schedules_file(tmp_path, "schedules: 5")
    command = [sys.executable, "-m", "extracted_services.scheduler", "--schedules", str(file)]
    done = subprocess.run(
        [*command, "--data", str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "schedules: Input should be a valid list" in done.stderr
    assert "Traceback" not in done.stderr
