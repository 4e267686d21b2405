"""Loads and targets of the benchmarks, over real sockets and on both sides."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import body_load, open_loop, verify
from bench.certificate import make
from bench.echo_target import answer_to, shape
from bench.processes import free_ports, running, wait_for_port
from bench.sink_target import serve_connection
from bench.table import Request


@contextlib.contextmanager
def target_of(kind: str, folder: Path) -> Iterator[int]:
    [port] = free_ports(1)
    log = folder / f"{kind}.log"
    with running([sys.executable, "-m", f"bench.{kind}_target", str(port)], log=log) as process:
        wait_for_port(port, process, log)
        yield port


@pytest.mark.parametrize("size", [0, 1, 16 << 10, 200_000])
def test_the_echo_target_sends_the_body_back(size: int, tmp_path: Path) -> None:
    with target_of("echo", tmp_path) as port:
        for _ in range(2):
            verify.check_echo(verify.Door(port), Request("POST", "/upload", body_bytes=size))


def test_the_echo_target_takes_requests_sent_at_once(tmp_path: Path) -> None:
    message = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc"
    with target_of("echo", tmp_path) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(message * 3)
        received = b""
        while len(received) < 3 * len(answer):
            received += connection.recv(4096)

    assert received == answer * 3


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\nA: b\r\n\r\n", 5),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0),
    ],
    ids=["any case", "no body"],
)
def test_the_length_that_the_echo_target_reads(head: bytes, expected: int) -> None:
    assert answer_to(shape(head))[1] == expected


def test_the_sink_takes_uploads_over_kept_connections(tmp_path: Path) -> None:
    head = Request("PUT", "/large", body_bytes=300_000).head.encode()
    with target_of("sink", tmp_path) as port:
        load = body_load.Load(port, head, download=0, upload=300_000)
        result = load.move(2, 0.2)

    assert result.failure is None
    assert result.bodies >= 2
    assert result.bytes == result.bodies * 300_000


def test_the_sink_refuses_a_body_of_unknown_length() -> None:
    here, there = socket.socketpair()
    with here:
        here.sendall(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        serve_connection(there)

        assert here.recv(100).startswith(b"HTTP/1.1 411 ")


def test_an_answer_of_another_length_is_no_download(tmp_path: Path) -> None:
    with target_of("sink", tmp_path) as port:
        result = body_load.Load(port, Request().head.encode(), download=5, upload=0).move(1, 0.2)

    assert result.failure == "answered 200 with 2 bytes"


@pytest.mark.parametrize("options", [[], ["--parse"]], ids=["copy", "parse"])
def test_a_floor_forwards_requests_and_answers(options: list[str], tmp_path: Path) -> None:
    with target_of("echo", tmp_path) as target_port:
        [port] = free_ports(1)
        log = tmp_path / "floor.log"
        command = [sys.executable, "-m", "bench.floor", str(port), str(target_port), *options]
        with running(command, log=log) as process:
            wait_for_port(port, process, log)
            for size in (0, 5, 100_000):
                verify.check_echo(verify.Door(port), Request("POST", "/upload", body_bytes=size))


def test_a_certificate_comes_with_its_key_and_as_a_bundle(tmp_path: Path) -> None:
    files = make(tmp_path)

    assert files.bundle.read_bytes() == files.certificate.read_bytes() + files.key.read_bytes()


@pytest.mark.system
def test_the_open_load_answers_what_is_due(tmp_path: Path) -> None:
    program = open_loop.build(tmp_path)
    with target_of("echo", tmp_path) as port:
        result = open_loop.run(program, [Request()], port, tmp_path, rate=200, seconds=1, connections=4, core=None)

    assert result.unanswered == 0
    # Two seconds of Poisson arrivals with a fixed seed.
    assert 300 < result.answered < 500
    assert 0 < result.p50_seconds <= result.p99_seconds


@pytest.mark.system
def test_the_open_load_counts_from_when_a_request_was_due(tmp_path: Path) -> None:
    """One connection and a target that takes 50 ms: whoever comes meanwhile waits, and the wait is counted."""
    program = open_loop.build(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                pause = threading.Event()
                while connection.recv(4096):
                    pause.wait(0.05)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        result = open_loop.run(program, [Request()], port, tmp_path, rate=30, seconds=1, connections=1, core=None)
        thread.join()

    # At 30/s of at most 20/s the backlog grows to far more than one answer takes.
    assert result.p99_seconds > 0.2
