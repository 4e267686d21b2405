"""`strangler shift`: two numbers change in the file and nothing else, or the file stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli import main

TABLE = """\
version: 1
listeners:
  - name: web   # the shop
    port: 8080
    default: {forward: {monolith: 100, users: 0}}
    rules:
      - name: users
        priority: 10
        conditions: [{path-pattern: /api/users*}]
        forward: {monolith: 90, users: 10}   # shifting
      - name: old
        priority: 20
        conditions: [{path-pattern: /old}]
        redirect: {path: /new, status_code: HTTP_301}
target_groups:
  monolith: {targets: [http://localhost:8000]}
  users: {targets: [http://localhost:8001]}
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize(
    ("arguments", "before", "after", "said"),
    [
        pytest.param(
            ["users", "monolith=50", "users=50"],
            "{monolith: 90, users: 10}",
            "{monolith: 50, users: 50}",
            "users: monolith 90 -> 50\nusers: users 10 -> 50\n",
            id="both weights",
        ),
        pytest.param(
            ["users", "users=0"],
            "{monolith: 90, users: 10}",
            "{monolith: 90, users: 0}",
            "users: monolith 90\nusers: users 10 -> 0\n",
            id="one weight, the other stays",
        ),
        pytest.param(
            ["default", "users=999"],
            "{monolith: 100, users: 0}",
            "{monolith: 100, users: 999}",
            "default: monolith 100\ndefault: users 0 -> 999\n",
            id="the default",
        ),
    ],
)
def test_weights_change_and_nothing_else(
    arguments: list[str], before: str, after: str, said: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["shift", "--config", str(table), *arguments]) == 0
    assert table.read_text() == TABLE.replace(before, after)
    assert capsys.readouterr() == (said, "")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["nobody", "users=1"], 2, "nobody", id="no such rule"),
        pytest.param(["old", "users=1"], 2, "does not forward", id="a rule without weights"),
        pytest.param(["users", "users"], 2, "GROUP=WEIGHT", id="no weight"),
        pytest.param(["users", "users=1000"], 2, "from 0 to 999", id="a weight over 999"),
        pytest.param(["users", "users=-1"], 2, "from 0 to 999", id="a weight below 0"),
        pytest.param(["users", "users=1", "users=2"], 2, "users has two weights, 1 and 2", id="two weights of a group"),
        pytest.param(["users", "orders=1"], 1, "no target group 'orders'", id="no such target group"),
        pytest.param(["--listener", "api", "users", "users=1"], 2, "api", id="no such listener"),
    ],
)
def test_what_cannot_be_leaves_the_file_as_it_was(
    arguments: list[str], code: int, says: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["shift", "--config", str(table), *arguments]) == code
    out, err = capsys.readouterr()
    assert (out, table.read_text()) == ("", TABLE)
    assert says in err


def test_a_bad_table_is_not_edited(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = TABLE.replace("port: 8080", "port: 0")
    table.write_text(bad)
    assert main(["shift", "--config", str(table), "users", "users=1"]) == 1
    assert table.read_text() == bad
    assert "left as it was" in capsys.readouterr().err


def test_without_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shift", "--config", str(tmp_path / "none"), "users", "users=1"]) == 2
    assert "cannot read" in capsys.readouterr().err
