"""`strangler check`, `schema` and `version`: exit codes, and what stands on which stream."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import Authority
from jsonschema import Draft202012Validator

from proxy import __version__
from proxy.cli import VERBS, main
from proxy.cli.ports import tls_problems
from proxy.config.certificates import TableFiles
from proxy.config.load import load

GOOD = """\
version: 1
listeners: [{port: 8080, default: {forward: monolith}}]
target_groups: {monolith: {targets: [http://localhost:8000]}}
"""
BAD = GOOD.replace("forward: monolith", "forward: monolit")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "routes.yaml"
    path.write_text(GOOD)
    return path


def strangler(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STRANGLER_")}
    return subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env=clean | environment,
        check=False,
    )


def test_a_good_table_as_a_process(table: Path) -> None:
    done = strangler("check", str(table))

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{table}: good\n", "")


HTTPS = GOOD.replace(
    "port: 8080,",
    "port: 8443, protocol: HTTPS, certificates: [{certificate_file: web.pem, private_key_file: web.key}],",
)


def test_certificate_files_are_looked_for_beside_the_table(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(HTTPS)
    assert main(["check", str(table)]) == 1
    assert "[unreadable]" in capsys.readouterr().out

    Authority(table.parent).issue("web", "web.example.com")
    assert main(["check", str(table)]) == 0


def test_what_openssl_does_not_take_is_a_problem_of_its_listener(table: Path) -> None:
    authority = Authority(table.parent)
    authority.issue("web", "web.example.com")
    config = load(HTTPS, {}, files=TableFiles(table.parent))
    _, other = authority.issue("other", "other.example.com")
    (table.parent / "web.key").write_bytes(other.read_bytes())

    (problem,) = tls_problems(config)

    assert (problem.severity, problem.code, problem.place.path) == ("error", "tls-unavailable", "listeners[0]")
    assert "web.pem" in problem.message


def test_a_bad_table_as_a_process(table: Path) -> None:
    table.write_text(BAD)
    done = strangler("check", str(table))

    assert done.returncode == 1
    assert done.stdout.splitlines()[:4] == [
        f"{table}:2:45: error: there is no target group 'monolit'; did you mean monolith? "
        "[unknown-target-group; API: TargetGroupNotFound]",
        "    at listeners[0].default.forward",
        "    listeners: [{port: 8080, default: {forward: monolit}}]",
        " " * 48 + "^",
    ]
    assert done.stderr == ""


def test_json_as_a_process(table: Path) -> None:
    """One document on standard output and nothing else there."""
    table.write_text(BAD)
    done = strangler("check", "--json", str(table))
    document = json.loads(done.stdout)

    assert done.returncode == 1
    assert done.stderr == ""
    assert document["ok"] is False
    assert document["problems"][0] == {
        "severity": "error",
        "code": "unknown-target-group",
        "api_code": "TargetGroupNotFound",
        "line": 2,
        "column": 45,
        "path": "listeners[0].default.forward",
        "message": "there is no target group 'monolit'; did you mean monolith?",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["check", "/no/such/file"], id="no such file"),
        pytest.param(["check", "/"], id="a directory"),
        pytest.param(["check", "a\0b"], id="a name with a NUL"),
        pytest.param(["check", "--json", "/no/such/file"], id="no such file, as JSON"),
        pytest.param(["check", "a", "b"], id="two files"),
        pytest.param(["check", "--jso", "a"], id="an unknown flag"),
        pytest.param(["chekc"], id="an unknown verb"),
        pytest.param([], id="nothing"),
    ],
)
def test_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, nothing on standard output, and no trace."""
    code = main(arguments)
    out, err = capsys.readouterr()

    assert (code, out) == (2, "")
    assert "strangler" in err
    assert "Traceback" not in err


def test_a_warning_leaves_the_table_good(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(GOOD + "attributes: {deletion_protection.enabled: true}\n")

    assert main(["check", "--json", str(table)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is True
    assert [problem["severity"] for problem in document["problems"]] == ["warning"]
    assert main(["check", str(table)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{table}: good, 1 warning"


def test_standard_input() -> None:
    done = strangler("check", "-", stdin=GOOD)

    assert (done.returncode, done.stdout) == (0, "-: good\n")


def test_a_secret_in_the_file_is_not_printed(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither where it is wrong to have one, nor where something else in its line is wrong."""
    table.write_text(
        GOOD.replace("forward: monolith", "authenticate-oidc: {client_secret: hunter2, isuer: x}, forward: monolit")
    )

    assert main(["check", str(table)]) == 1
    out = capsys.readouterr().out
    assert "did you mean issuer?" in out
    assert "hunter2" not in out


def test_what_a_table_holds_cannot_move_the_cursor(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text('"\\e[31m\\u202e": 1\n' + GOOD)

    assert main(["check", str(table)]) == 1
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        pytest.param("STRANGLER_JSON", "1", 0, id="on"),
        pytest.param("STRANGLER_JSON", "TRUE", 0, id="on in capitals"),
        pytest.param("STRANGLER_JSON", "0", 0, id="off"),
        pytest.param("STRANGLER_JSON", "", 0, id="empty is unset"),
        pytest.param("STRANGLER_JSON", "yes", 2, id="not a boolean"),
    ],
)
def test_a_flag_from_the_environment(
    name: str, value: str, code: int, table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)

    assert main(["check", str(table)]) == code
    out, err = capsys.readouterr()
    assert out.startswith("{") is (value.lower() in ("1", "true"))
    assert ("STRANGLER_JSON='yes'" in err) is (code == 2)


def test_the_schema_is_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"strangler {__version__}\n"


def test_help_names_every_verb_without_importing_one() -> None:
    """Starting must stay quick: the gateway's modules load for `serve` only."""
    code = (
        "import sys; from proxy.cli import main; code = main(['--help']); "
        "sys.exit(code or any(name.startswith(('proxy.cli.check', 'yaml', 'uvicorn', 'fastapi', 'rich')) "
        "for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.strip().split(" ")[0] for line in done.stdout.splitlines() if line.startswith("    ")]
    assert [verb for verb in VERBS if verb not in lines] == []


def test_help_of_a_verb_names_the_variables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--help"]) == 0
    assert "STRANGLER_SOURCE_IP" in capsys.readouterr().out


def test_ctrl_c_ends_without_a_trace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("proxy.cli.version.run", interrupted)

    assert main(["version"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_goes_away_is_no_error() -> None:
    """As in `strangler schema | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "proxy", "schema"],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (141, "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("no_colour", "coloured"), [pytest.param("", True, id="colour"), pytest.param("1", False, id="NO_COLOR")]
)
def test_colour_on_a_terminal(no_colour: str, coloured: bool, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table.write_text(BAD)
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("NO_COLOR", no_colour)
    monkeypatch.setenv("TERM", "xterm")

    assert main(["check", str(table)]) == 1
    assert ("\x1b[31merror\x1b[0m" in terminal.getvalue()) is coloured
