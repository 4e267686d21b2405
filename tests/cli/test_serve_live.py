"""`strangler serve` and `strangler demo` as processes: exit codes, signals, what they print."""

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
from pathlib import Path

import pytest
from scripted_target import ScriptedTarget
from served import REPOSITORY, free_port, serving
from wire import Wire

TABLE = """
version: 1
listeners: [{{port: PORT, name: web, default: {{forward: only}}}}]
target_groups:
  only: {{targets: ["http://127.0.0.1:{target}"], health_check: {{interval_seconds: 5, timeout_seconds: 2}}}}
"""


def strangler(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


USAGE = {
    "no source of CPU time": (("--target-cpu", "only=x"), "GROUP=pid:NUMBER"),
    "CPU time of no target group": (("--target-cpu", "other=pid:1"), "there is no target group 'other'"),
    "a state folder that cannot be": (("--state-dir", "/dev/null/x"), "--state-dir /dev/null/x"),
}


@pytest.mark.parametrize(("flags", "says"), USAGE.values(), ids=USAGE)
def test_flags_of_the_carve_out_that_cannot_be(flags: tuple[str, ...], says: str, tmp_path: Path) -> None:
    table = tmp_path / "routes.yaml"
    table.write_text(TABLE.format(target=9).replace("PORT", str(free_port())))
    ended = strangler("serve", "--config", str(table), "--admin-port", str(free_port()), *flags)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture
def target() -> ScriptedTarget:
    target = ScriptedTarget()
    yield target
    target.close()


@pytest.fixture
def table(target: ScriptedTarget) -> str:
    return TABLE.format(target=target.port)


def test_a_bad_first_table_ends_the_process(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    path.write_text("version: 1\nlisteners: [{port: 8080, default: {forward: nobody}}]\n")

    ended = strangler("serve", "--config", str(path))

    assert ended.returncode == 2
    assert "there is no target group 'nobody'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_missing_table_ends_the_process() -> None:
    ended = strangler("serve", "--config", "/nowhere/routes.yaml")

    assert ended.returncode == 2
    assert "cannot read /nowhere/routes.yaml: No such file or directory" in ended.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_ends_the_process(tmp_path: Path, table: str, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = tmp_path / "routes.yaml"
        path.write_text(table.replace("PORT", str(port)))

        ended = strangler("serve", "--config", str(path), "--host", "127.0.0.1", "--workers", workers)

    assert ended.returncode == 1
    assert "choose another port" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_lets_the_request_in_hand_end(tmp_path: Path, target: ScriptedTarget, table: str, workers: str) -> None:
    """A drain answers what is in hand, takes no new connection, is not ready and exits with 0."""
    asked, go_on = threading.Event(), threading.Event()

    def slowly(wire: Wire) -> None:
        if target.take(wire).target == b"/slow":
            asked.set()
            go_on.wait(30)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")

    target.script = slowly
    with (
        serving(tmp_path, table, "--workers", workers) as gateway,
        socket.create_connection(("127.0.0.1", gateway.port), 10) as client,
    ):
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        assert asked.wait(10)
        gateway.process.send_signal(signal.SIGTERM)
        gateway.eventually(lambda: _refuses(gateway.port), "still accepts")
        assert not gateway.is_ready
        # Counts are asked for each second, and a worker that drains must not be taken for one that hangs.
        with pytest.raises(subprocess.TimeoutExpired):
            gateway.process.wait(2.5)
        go_on.set()
        answer = client.makefile("rb").read()

        assert gateway.process.wait(20) == 0

    assert answer.endswith(b"done")
    assert b"Connection: close\r\n" in answer


def test_a_request_to_the_admin_port_has_no_head_without_end(tmp_path: Path, table: str) -> None:
    with serving(tmp_path, table) as gateway, socket.create_connection(("127.0.0.1", gateway.admin_port), 10) as client:
        client.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                client.sendall(b"x-more: " + b"a" * 10_000 + b"\r\n")
        with contextlib.suppress(ConnectionError):
            assert not client.makefile("rb").readline().startswith(b"HTTP/1.1 2")

        assert gateway.is_ready


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return True
    return False


def test_sighup_loads_the_table_and_reopens_the_log(tmp_path: Path, table: str) -> None:
    log = tmp_path / "access.log"
    with serving(tmp_path, table, "--access-log", str(log)) as gateway:
        gateway.client.get("/before")
        gateway.eventually(lambda: log.exists() and "/before" in log.read_text(), "no line")
        log.rename(tmp_path / "access.log.1")

        gateway.process.send_signal(signal.SIGHUP)
        gateway.eventually(log.exists, "the log was not opened again")
        gateway.client.get("/after")
        gateway.eventually(lambda: "/after" in log.read_text(), "no line after the rotation")

        assert gateway.metric("strangler_config_reloads_total", result="success") >= 2
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["target"], line["status"], line["rule"]) for line in lines] == [("/after", 200, "default")]


def test_saving_the_file_shifts_traffic_and_a_bad_one_changes_nothing(tmp_path: Path, table: str) -> None:
    fixed = "default: {fixed-response: {status_code: '418', message_body: tea}}"
    with serving(tmp_path, table) as gateway:
        assert gateway.client.get("/").status_code == 200
        good = gateway.table.read_text()

        gateway.table.write_text(good.replace("forward: only", "forward: nobody"))
        gateway.eventually(
            lambda: gateway.metric("strangler_config_last_reload_successful") == 0, "the bad table was not seen"
        )
        assert gateway.client.get("/").status_code == 200

        gateway.table.write_text(good.replace("default: {forward: only}", fixed.replace("'", "")))
        gateway.eventually(lambda: gateway.client.get("/").status_code == 418, "the good table was not taken up")


def test_the_demo_runs_by_itself(tmp_path: Path) -> None:
    """What `make demo` runs: it ends with 0, a table of latencies, what to carve out next and where to look."""
    ports = [f"{flag}={free_port()}" for flag in ("--port", "--https-port", "--admin-port")]
    ended = strangler("demo", "--seconds", "12", *ports, "--folder", str(tmp_path / "demo"))

    assert ended.returncode == 0, ended.stderr
    for rule in ("users", "recommendations", "default"):
        assert rule in ended.stdout
    candidates = ended.stdout.partition("What to carve out of the monolith")[2]
    assert "/api/recommendations/users/{id}/" in candidates
    assert "0 of them failed" in ended.stderr
    assert "strangler shift users monolith=10 users=90" in ended.stderr


def test_the_demo_with_aws_has_uploads_and_clicks(tmp_path: Path) -> None:
    ports = [f"{flag}={free_port()}" for flag in ("--port", "--https-port", "--admin-port")]
    ended = strangler("demo", "--aws", "--seconds", "8", *ports, "--folder", str(tmp_path / "demo"))

    assert ended.returncode == 0, ended.stderr
    assert "0 of them failed" in ended.stderr
    assert "strangler shift uploads monolith=0 uploads=100" in ended.stderr
    assert "name: clicks" in (tmp_path / "demo" / "routes.yaml").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "the terminal closes"])
def test_the_demo_leaves_no_process_behind(number: signal.Signals, tmp_path: Path) -> None:
    """Its processes are in sessions of their own, so nobody else ends them."""
    ports = [free_port() for _ in range(3)]
    flags = [f"{flag}={port}" for flag, port in zip(("--port", "--https-port", "--admin-port"), ports, strict=True)]
    command = [sys.executable, "-m", "proxy", "demo", *flags, "--folder", str(tmp_path / "demo")]
    # Under nohup, a child ignores the end of its terminal as well.
    before = signal.signal(number, signal.SIG_DFL)
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as demo:
        signal.signal(number, before)
        try:
            deadline = time.monotonic() + 60
            while not _is_open(ports[0]):
                assert demo.poll() is None, "it ended by itself"
                assert time.monotonic() < deadline, "the gateway did not start"
                time.sleep(0.1)
            demo.send_signal(number)
            _, said = demo.communicate(timeout=30)
        finally:
            demo.kill()

    assert (demo.returncode, said.splitlines()[-1]) == (0, "Stopped.")
    assert not any(map(_is_open, ports))


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_demo_names_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = strangler("demo", "--seconds", "4", "--port", port, "--admin-port", str(free_port()))

    assert ended.returncode == 1
    assert f"port {port} is in use: choose another one with --port" in ended.stderr
