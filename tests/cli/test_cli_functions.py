"""`strangler functions` as a process of its own: start, drain, and every way not to start."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
CODE = """\
import pathlib, time

def greet(event, context):
    print("greeting")
    return "hello " + event["name"]

def slow(event, context):
    pathlib.Path(event["begun"]).touch()
    while not pathlib.Path(event["go_on"]).exists():
        time.sleep(0.01)
    return "done"
"""
FUNCTIONS = """\
version: 1
functions:
  greet: {handler: app.greet, code: code}
  slow: {handler: app.slow, code: code, timeout: 60}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text(CODE)
    (tmp_path / "functions.yaml").write_text(FUNCTIONS)
    return tmp_path


def strangler(folder: Path, *flags: str, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "proxy", "functions", *flags]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    port = free_port()
    process = strangler(folder, STRANGLER_FUNCTIONS_PORT=str(port))
    base = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base, trust_env=False, timeout=PATIENCE) as client:
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(httpx.TransportError):
                if client.get("/health").text == "ok\n":
                    break
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        try:
            yield process, client
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def test_it_runs_functions_and_writes_their_logs(folder: Path) -> None:
    with serving(folder) as (process, client):
        answer = client.post("/2015-03-31/functions/greet/invocations", json={"name": "you"})
        assert (answer.status_code, answer.json()) == (200, "hello you")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    records = [json.loads(line) for line in out.splitlines()]
    assert [one["message"] for one in records if one.get("request_id")][1] == "greeting"
    assert "running 2 functions" in err


def test_sigterm_waits_for_what_is_in_progress(folder: Path) -> None:
    begun, go_on = folder / "begun", folder / "go on"
    answers: list[httpx.Response] = []
    with serving(folder) as (process, client):
        event = {"begun": str(begun), "go_on": str(go_on)}
        thread = threading.Thread(
            target=lambda: answers.append(client.post("/2015-03-31/functions/slow/invocations", json=event))
        )
        thread.start()
        deadline = time.monotonic() + PATIENCE
        while not begun.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        while "draining" not in process.stderr.readline():
            assert time.monotonic() < deadline
        go_on.touch()
        thread.join(PATIENCE)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert [answer.json() for answer in answers] == ["done"]


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def test_a_bad_file_is_told_of_with_its_place(folder: Path) -> None:
    (folder / "functions.yaml").write_text(FUNCTIONS.replace("timeout: 60", "timeout: 0"))
    code, _, err = ended(strangler(folder))
    assert code == 2
    assert "functions.yaml:4:50: error: 0 is not a whole number from 1 to 900 (seconds) [out-of-range]\n" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--functions", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (["--idle-seconds", "0"], "--idle-seconds 0.0 is not above 0"),
        (["--idle-seconds", "nan"], "--idle-seconds nan is not above 0"),
    ],
    ids=["no file", "no time", "no number"],
)
def test_usage_errors(folder: Path, flags: list[str], words: str) -> None:
    code, _, err = ended(strangler(folder, *flags))
    assert code == 2
    assert words in err


def test_only_checking(folder: Path) -> None:
    assert ended(strangler(folder, "--check"))[:2] == (0, "functions.yaml: good, 2 functions\n")


@pytest.mark.parametrize(
    ("code", "words"),
    [("elsewhere.zip", "elsewhere.zip does not exist"), ("functions.yaml", "functions.yaml cannot be unpacked")],
    ids=["not there", "no archive"],
)
def test_checking_looks_at_the_code(folder: Path, code: str, words: str) -> None:
    (folder / "functions.yaml").write_text(FUNCTIONS.replace("code: code", f"code: {code}"))
    returncode, out, err = ended(strangler(folder, "--check"))
    assert (returncode, out) == (2, "")
    assert words in err
    assert not (folder / ".functions").exists()


@pytest.mark.parametrize(
    ("flags", "exit_code", "words"),
    [
        (["--functions-port", "65536"], 2, "'65536' is not a port from 0 to 65535"),
        (["--functions-port", "-1"], 2, "'-1' is not a port from 0 to 65535"),
        (["--functions-folder", "functions.yaml"], 1, "functions.yaml: File exists"),
        (["--functions-log", "nowhere/functions.log"], 1, "nowhere/functions.log: No such file or directory"),
    ],
    ids=["port too high", "port too low", "a folder that is a file", "a log in no folder"],
)
def test_what_cannot_be_opened_is_named(folder: Path, flags: list[str], exit_code: int, words: str) -> None:
    port = [] if "--functions-port" in flags else ["--functions-port", "0"]
    code, _, err = ended(strangler(folder, *port, *flags))
    assert code == exit_code
    assert words in err
    assert "Traceback" not in err


def test_code_that_is_not_there(folder: Path) -> None:
    (folder / "functions.yaml").write_text(FUNCTIONS.replace("code: code", "code: elsewhere.zip"))
    code, _, err = ended(strangler(folder, "--functions-port", str(free_port())))
    assert code == 1
    assert "elsewhere.zip does not exist" in err
    assert "Traceback" not in err


def test_a_port_that_is_taken(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = ended(strangler(folder, "--functions-port", str(taken.getsockname()[1])))
    assert code == 1
    assert "choose another port" in err


def test_a_folder_that_is_in_use(folder: Path) -> None:
    with serving(folder):
        code, _, err = ended(strangler(folder, "--functions-port", str(free_port())))
    assert code == 1
    assert "is another function host running on it" in err
