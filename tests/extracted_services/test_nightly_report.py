"""The nightly report as a task that is started, and ends."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from running_process import REPOSITORY, running

from extracted_services.nightly_report.report import QUESTIONS, SourceError, compute_report
from extracted_services.nightly_report.store import Store
from extracted_services.nightly_report.task import scheduled_day
from monolith_stub.database import Database
from monolith_stub.reports import write_report


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop's database on its first day."""
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite3"
    database = Database(path)
    database.prepare()
    database.close()
    return path


def task(data: Path, source: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "extracted_services.nightly_report.task"]
    return subprocess.run(
        [*command, "--data", str(data), "--source", str(source)],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_the_monolith_s_report(shop: Path) -> None:
    database = Database(shop)
    control = write_report(database)
    database.close()

    assert compute_report(shop, date.fromisoformat(control["day"])) == control
    assert set(QUESTIONS) == set(control) - {"day"}


def test_the_task_keeps_the_report_of_the_day_it_was_due(shop: Path, tmp_path: Path) -> None:
    """A report that is caught up the day after is yesterday's."""
    done = task(tmp_path, shop, {"SCHEDULED_TIME": "2026-01-31T23:30:00-02:00", "RUN_ID": "r1"})

    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert (line["message"], line["day"], line["run_id"]) == ("report written", "2026-02-01", "r1")
    assert Store(tmp_path).days() == ["2026-02-01"]


def test_a_second_run_of_the_day_replaces_the_first(shop: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert task(tmp_path, shop, {"SCHEDULED_TIME": "2026-01-31T05:00:00Z"}).returncode == 0
    assert Store(tmp_path).days() == ["2026-01-31"]


def test_the_source_is_only_read(shop: Path) -> None:
    with closing(sqlite3.connect(shop)) as connection:
        before = list(connection.iterdump())
        compute_report(shop, date(2026, 1, 31))
        assert list(connection.iterdump()) == before


@pytest.mark.parametrize("content", [None, b"", b"no database"], ids=["not there", "empty", "something else"])
def test_a_source_that_cannot_be_read(content: bytes | None, tmp_path: Path) -> None:
    source = tmp_path / "shop.sqlite3"
    if content is not None:
        source.write_bytes(content)

    with pytest.raises(SourceError, match=r"the shop's database .*shop\.sqlite3"):
        compute_report(source, date(2026, 1, 31))
    done = task(tmp_path / "data", source, {"RUN_ID": "r1"})
    assert done.returncode == 1
    assert json.loads(done.stderr)["run_id"] == "r1"
    assert source.exists() == (content is not None)


def test_the_api_answers_503_without_its_source(tmp_path: Path) -> None:
    source = {"NIGHTLY_REPORT_SOURCE": str(tmp_path / "none")}
    with running("extracted_services.nightly_report", tmp_path / "data", source) as process:
        assert process.http.post("/api/reports/nightly").status_code == 503
        assert process.http.get("/api/reports/nightly").json() == {"days": []}


def test_a_bad_scheduled_time_is_named() -> None:
    with pytest.raises(ValueError, match=r"SCHEDULED_TIME: 'tomorrow' is no time; write"):
        scheduled_day("tomorrow")


def test_the_monolith_leaves_it_to_others(tmp_path: Path) -> None:
    """With its schedule off, and the rest as before."""
    with running("monolith_stub", tmp_path / "data", {"MONOLITH_REPORT_AT": "off"}) as process:
        assert process.http.post("/api/reports/nightly").status_code == 201
