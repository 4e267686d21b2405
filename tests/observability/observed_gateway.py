"""The real gateway with small targets, some of them bad, and steady traffic through it."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).resolve().parents[2]
PATHS = ("/", "/api/users/1", "/cut", "/fails", "/dead", "/moved", "/bots")
"""What the traffic asks for, one after the other."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def wait_for(what: str, seconds: float, condition: Callable[[], object]) -> None:
    """Return when `condition()` is true; what cannot be asked yet counts as false."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


@contextmanager
def running(arguments: list[str], log: Path, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a program until the block ends, its output in `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments, cwd=REPOSITORY, env={**os.environ, **(environment or {})}, stdout=output, stderr=output
        )
        try:
            yield
        finally:
            code = process.poll()
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
    assert code is None, f"{arguments[0]} ended by itself with {code}:\n{log.read_text()}"


class _Target(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"hello"
        self.send_response(500 if self.path == "/fails" else 200)
        self.send_header("Content-Length", "1000" if self.path == "/cut" else str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/cut":
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def target() -> Iterator[int]:
    """A target: /fails is a 500, /cut ends too early, the rest is well. Its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Target)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def table(port: int, monolith: int, users: int, dead: int, weights: tuple[int, int]) -> str:
    return f"""\
version: 1
listeners:
  - name: web
    port: {port}
    default: {{forward: monolith}}
    rules:
      - {{name: users, priority: 10, conditions: [path-pattern: /api/users/*],
         forward: {{monolith: {weights[0]}, users: {weights[1]}}}}}
      - {{name: cut, priority: 20, conditions: [path-pattern: /cut], forward: monolith}}
      - {{name: fails, priority: 30, conditions: [path-pattern: /fails], forward: users}}
      - {{name: dead, priority: 40, conditions: [path-pattern: /dead], forward: dead}}
      - {{name: moved, priority: 50, conditions: [path-pattern: /moved], redirect: {{path: /, status_code: HTTP_302}}}}
      - {{name: bots, priority: 60, conditions: [path-pattern: /bots], fixed-response: {{status_code: 403}}}}
target_groups:
  monolith: {{targets: ["http://127.0.0.1:{monolith}"], health_check: {{interval_seconds: 5, timeout_seconds: 2}}}}
  users: {{targets: ["http://127.0.0.1:{users}"], health_check: {{interval_seconds: 5, timeout_seconds: 2}}}}
  dead: {{targets: ["http://127.0.0.1:{dead}"], health_check: {{interval_seconds: 5, timeout_seconds: 2}}}}
"""


@dataclass
class LiveGateway:
    """A running gateway: its table's file and its ports."""

    routes: Path
    port: int
    admin_port: int
    monolith: int
    users: int
    dead: int

    def write_table(self, weights: tuple[int, int]) -> None:
        self.routes.write_text(table(self.port, self.monolith, self.users, self.dead, weights))

    def answers(self) -> bool:
        return httpx.get(f"http://127.0.0.1:{self.admin_port}/readyz", trust_env=False).status_code == 200


@contextmanager
def live_gateway(folder: Path) -> Iterator[LiveGateway]:
    """Start the gateway with weights 90 and 10 and wait until it is ready."""
    with target() as monolith, target() as users:
        gateway = LiveGateway(folder / "routes.yaml", free_port(), free_port(), monolith, users, free_port())
        gateway.write_table((90, 10))
        environment = {
            "STRANGLER_CONFIG": str(gateway.routes),
            "STRANGLER_ADMIN_PORT": str(gateway.admin_port),
            "STRANGLER_ACCESS_LOG": str(folder / "access.log"),
        }
        log = folder / "gateway.log"
        with running([sys.executable, "-m", "proxy", "serve"], log, environment):
            wait_for("the gateway is ready", 20, gateway.answers)
            yield gateway


@contextmanager
def traffic(port: int) -> Iterator[None]:
    """Ask for every path again and again, some 70 requests a second, until the block ends."""
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            while not stop.is_set():
                for path in PATHS:
                    try:
                        client.get(path)
                    except httpx.RemoteProtocolError:
                        assert path == "/cut"
                stop.wait(0.1)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
