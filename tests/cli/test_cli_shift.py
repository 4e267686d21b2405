"""`strangler shift`: what it writes, says and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli import main

TABLE = """version: 1
listeners:
  - name: web
    port: 8080
    default: {forward: monolith}
    rules:
      - {name: users, priority: 10, conditions: [{path-pattern: "/users/*"}], forward: {monolith: 90, users: 10}}
      - {name: www, priority: 20, conditions: [{host-header: w.com}], redirect: {host: a.com, status_code: HTTP_301}}
  - {name: other, port: 8081, default: {forward: monolith}}
target_groups:
  monolith: {targets: ["http://localhost:8000"]}
  users: {targets: ["http://localhost:8001"]}
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text(TABLE)
    return path


def shift(table: Path, *arguments: str) -> int:
    return main(["shift", *arguments, "--config", str(table)])


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        pytest.param(
            ["monolith=50", "users=50"],
            ["users: monolith 90 -> 50, 50 % of its requests", "users: users 10 -> 50, 50 % of its requests"],
            id="both",
        ),
        pytest.param(
            ["users=30"],
            ["users: monolith 90, 75 % of its requests", "users: users 10 -> 30, 25 % of its requests"],
            id="one; the other keeps its weight, not its share",
        ),
    ],
)
def test_it_says_what_changed_and_where(
    table: Path, capsys: pytest.CaptureFixture[str], weights: list[str], says: list[str]
) -> None:
    assert shift(table, "users", *weights) == 0

    assert capsys.readouterr().out.splitlines() == [
        *says,
        f"written to {table}: a gateway that serves this file follows",
    ]


def test_weights_that_leave_no_group_are_written_with_a_warning(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The load balancer takes them, too (alb.md 3.1)."""
    assert shift(table, "users", "monolith=0", "users=0") == 0

    printed = capsys.readouterr()
    assert "[all-weights-zero]" in printed.err
    assert "forward: {monolith: 0, users: 0}" in printed.err
    assert "users: users 10 -> 0, every request gets a 503" in printed.out


def test_a_warning_that_was_there_before_is_not_repeated(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shift(table, "users", "monolith=0", "users=0")
    capsys.readouterr()

    assert shift(table, "users", "monolith=0", "users=0") == 0

    assert capsys.readouterr().err == ""


def test_a_refused_edit_is_shown_as_it_would_have_been(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shift(table, "users", "userz=5") == 1

    error = capsys.readouterr().err
    assert "there is no target group 'userz'; did you mean users?" in error
    line = next(line for line in error.splitlines() if "forward:" in line)
    caret = error.splitlines()[error.splitlines().index(line) + 1].index("^")
    assert line[caret:].startswith("userz: 5")
    assert table.read_text() == TABLE


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["userz", "users=1"], "there is no rule 'userz'; did you mean users?", id="nearly a rule"),
        pytest.param(["zzz", "users=1"], "there is no rule 'zzz'; known: users, www, default", id="no rule"),
        pytest.param(["default", "users=1"], "name one with --listener: web, other", id="several rules"),
        pytest.param(["www", "users=1"], "rule 'www' does not forward", id="a redirect"),
        pytest.param(["users", "users=1000"], "'users=1000' is not GROUP=WEIGHT", id="too heavy"),
        pytest.param(["users", "users=1", "users=2"], "users has two weights, 1 and 2", id="two weights of a group"),
        pytest.param(["users", "users=1", "--config", "-"], "name a file", id="standard input"),
    ],
)
def test_what_it_refuses(table: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    arguments = arguments if "--config" in arguments else [*arguments, "--config", str(table)]

    assert main(["shift", *arguments]) == 2

    assert says in capsys.readouterr().err
    assert table.read_text() == TABLE


def test_a_file_that_is_no_text_is_left_alone(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_bytes(b"# caf\xe9\n" + TABLE.encode())

    assert shift(table, "users", "users=1") == 2

    assert f"cannot read {table}: byte 5 is not UTF-8" in capsys.readouterr().err
