"""`strangler check` on rules that can never win, and the same warnings where a table is served."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.config.load import load_with_warnings
from proxy.config.problem import Place, Problem
from proxy.control import MOST_LOGGED, Control, log_warnings

SHADOWED = """\
version: 1
listeners:
- name: web
  port: 8080
  default: {forward: monolith}
  rules:
  - {name: users, priority: 20, conditions: [{host-header: "*.example.com"}, {path-pattern: /api/users}], forward: u}
  - {name: api, priority: 10, conditions: [{path-pattern: "/api/*"}], forward: monolith}
target_groups:
  monolith: {targets: [http://localhost:8000]}
  u: {targets: [http://localhost:8001]}
"""
UNDECIDED = SHADOWED.replace('{path-pattern: "/api/*"}', "{path-pattern: {regex: ^/api/.}}").replace(
    "{path-pattern: /api/users}", "{path-pattern: /api/users*}"
)
SAYS = (
    'rule "users" can never win: what satisfies it satisfies rule "api" (priority 10) first; GET '
    'http://a.example.com/api/users goes to rule "api" (priority 10); give it a priority below 10, or remove it'
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text(SHADOWED)
    return path


def test_for_people(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(table)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{table}:7:5: warning: {SAYS} [never-wins]",
        "    at listeners[0].rules[0]",
        f"    {SHADOWED.splitlines()[6]}",
        "        ^",
        f"{table}: good, 1 warning",
    ]


def test_as_json(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", str(table)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "ok": True,
        "problems": [
            {
                "severity": "warning",
                "code": "never-wins",
                "api_code": None,
                "line": 7,
                "column": 5,
                "path": "listeners[0].rules[0]",
                "message": SAYS,
            }
        ],
        "undecided": [],
    }


def test_what_a_regex_leaves_open_is_told_to_those_who_ask(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(UNDECIDED)
    reason = "a regular expression of an earlier rule may take everything"

    assert main(["check", str(table)]) == 0
    assert capsys.readouterr().out == f"{table}: good\n"
    assert main(["check", "--verbose", str(table)]) == 0
    assert capsys.readouterr().out == (
        f"{table}:7:5: not known whether 'users' can win: {reason} [undecided]\n{table}: good\n"
    )
    assert main(["check", "--json", str(table)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["problems"] == []
    assert document["undecided"] == [
        {
            "listener": "web",
            "rule": "users",
            "line": 7,
            "column": 5,
            "path": "listeners[0].rules[0]",
            "reason": reason,
        }
    ]


def test_a_secret_from_the_environment_is_not_printed(
    table: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORIGIN_KEY", "Hunter2-hunter2")
    condition = "{http-header: {X-Origin: '${ORIGIN_KEY}'}}, {path-pattern: /api/users}"
    table.write_text(SHADOWED.replace('{host-header: "*.example.com"}, {path-pattern: /api/users}', condition))

    assert main(["check", str(table)]) == 0
    out = capsys.readouterr().out
    assert "GET http://localhost/api/users with X-Origin: ${ORIGIN_KEY} goes to" in out
    assert "hunter2" not in out.lower()


def test_a_reload_tells_it_too(table: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In its result, in the state that the admin port shows, and in the log; the table is in force all the same."""
    good = SHADOWED.replace("priority: 10", "priority: 30")
    config, warnings = load_with_warnings(good, {})

    async def reload() -> None:
        control = Control(table, config, problems=warnings, environment={}, keeps_targets=False)
        with caplog.at_level(logging.INFO):
            result = await control.reload()

        assert (result.ok, result.changed) == (True, True)
        assert [problem.code for problem in result.problems] == ["never-wins"]
        assert list(result.problems) == list(control.reload_state.problems)
        assert control.runtime.config.listeners[0].rules[0].name == "api"
        await control.stop()

    asyncio.run(reload())

    assert f"{table}:7:5: warning: listeners[0].rules[0]: {SAYS} [never-wins]" in caplog.messages


def test_the_log_does_not_drown_in_warnings(caplog: pytest.LogCaptureFixture) -> None:
    warnings = [Problem("warning", "never-wins", Place(line, 1, ""), "x") for line in range(MOST_LOGGED + 5)]

    log_warnings(Path("routes.yaml"), warnings)

    assert len(caplog.messages) == MOST_LOGGED + 1
    assert caplog.messages[-1] == "routes.yaml: and 5 warnings more: see strangler check"
