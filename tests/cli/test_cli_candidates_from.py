"""`strangler candidates --from`: what it prints where, and what it says when it cannot."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from log_reading import alb_line, write

from proxy.cli import main

TABLE = """
version: 1
listeners: [{port: 8080, name: web, default: {forward: monolith}}]
target_groups: {monolith: {targets: ["http://127.0.0.1:9000"]}}
transactions: {names: ["GET /reports/{name}"]}
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    lines = [
        alb_line(
            client=f"192.0.2.{number % 9}:1",
            created=f"2026-11-24T12:{number // 60 % 60:02d}:{number % 60:02d}.000000Z",
            time=f"2026-11-24T12:{number // 60 % 60:02d}:{number % 60:02d}.{200 + number % 3 * 100}000Z",
            request=f"GET https://shop:443/{('orders/7', 'reports/a', 'reports/b')[number % 3]} HTTP/2.0",
        )
        for number in range(600)
    ]
    return write(tmp_path, [*lines, "cut"])


def test_candidates_of_a_log(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The document on standard output and nothing else; what could not be read on standard error."""
    code = main(["candidates", "--from", str(log), "--json", "--threads", "1"])
    out, err = capsys.readouterr()
    document = json.loads(out)

    assert code == 0
    assert document["source"] == str(log)
    assert document["requests"] == 600
    assert document["candidates"]
    assert "601 lines (alb)" in err
    assert "1 line could not be read:" in err
    assert f"{log}:601: cut" in err


def test_the_tables_names_and_its_monolith_are_used(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "routes.yaml"
    table.write_text(TABLE)
    assert main(["candidates", "--from", str(log), "--json", "--config", str(table), "--threads", "1"]) == 0
    names = {name for one in json.loads(capsys.readouterr().out)["candidates"] for name in one["transactions"]}

    assert "GET /reports/{name}" in names


def test_a_table_for_people(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["candidates", "--from", str(log), "--threads", "1"]) == 0

    assert "/reports/" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--from", "nowhere.log"], "nowhere.log: there is no such file or folder", id="no such file"),
        pytest.param(["--from", "LOG", "--format", "jsn"], "unknown log format 'jsn'", id="no such format"),
        pytest.param(["--from", "LOG", "--config", "none.yaml"], "cannot read none.yaml", id="no such table"),
        pytest.param(["--from", "LOG", "--memory", "x"], "DuckDB does not start with x of memory", id="no memory"),
        pytest.param(
            ["--from", "LOG", "LOG", "--engine", "athena"], "Athena reads one place", id="two places for Athena"
        ),
        pytest.param(
            ["--engine", "athena", "--athena-table", "a b"], "no name of an Athena table", id="no table's name"
        ),
    ],
)
def test_what_is_wrong_is_said(
    log: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2 and one line."""
    monkeypatch.setattr("proxy.cli.log_workload._athena", lambda: None)
    code = main(["candidates", *[str(log) if argument == "LOG" else argument for argument in arguments]])

    assert code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "engine", "extra"),
    [("duckdb", "duckdb", "logs"), ("sqlglot", "duckdb", "logs"), ("boto3", "athena", "athena")],
)
def test_what_is_not_installed_is_said(
    log: Path, module: str, engine: str, extra: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the extra that brings it."""
    monkeypatch.setitem(sys.modules, module, None)
    for name in [name for name in sys.modules if name.startswith("proxy.carveout.logs.")]:
        if name.rpartition(".")[2] not in ("outcome", "problems"):
            monkeypatch.delitem(sys.modules, name)
    code = main(["candidates", "--from", str(log), "--engine", engine])

    assert code == 2
    assert f"{module} is not installed: pip install 'strangler-fig[" in (said := capsys.readouterr().err)
    assert extra in said


def test_the_environment_names_the_logs(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRANGLER_FROM", str(log))
    monkeypatch.setenv("STRANGLER_THREADS", "1")

    assert main(["candidates", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["requests"] == 600


def test_a_bar_is_drawn_on_a_terminal(
    log: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only there."""
    from proxy.cli import log_workload

    seen: list[Any] = []

    class Bar(log_workload.Progress):
        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            seen.append("end")

        def begin(self, total_bytes: int) -> None:
            seen.append(total_bytes)

        def read(self, count: int) -> None:
            seen.append(count)

        def step(self, what: str) -> None:
            seen.append(what)

    monkeypatch.setattr(log_workload, "_Bar", Bar)
    assert main(["candidates", "--from", str(log), "--json", "--threads", "1"]) == 0
    assert seen == []

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["candidates", "--from", str(log), "--json", "--threads", "1"]) == 0
    size = log.stat().st_size
    assert seen[0] == size
    assert sum(one for one in seen[1:] if isinstance(one, int)) == size
    assert "learning names" in seen
    assert seen[-1] == "end"
