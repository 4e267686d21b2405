"""`strangler demo`: a monolith, services carved out of it and the gateway, with traffic, on this machine.

Everything runs as processes of its own, as it would in containers. Halfway a weight is shifted, by editing the demo's
copy of `routes.yaml` as a person would.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from proxy.cli import demo_aws
from proxy.cli.candidates import print_candidates
from proxy.cli.demo_https import CERTIFICATE_FILE, REDIRECTED_HOST, with_https, write_certificate
from proxy.cli.demo_report import Latency, Route, comparison, difference, read_latencies
from proxy.cli.flags import UsageError, port_number
from proxy.cli.state import STATE_FOLDER
from proxy.config.edit import set_weights
from proxy.config.files import replace_file
from proxy.functions.embedded_aws import EmbeddedAwsError

REPOSITORY = Path(__file__).resolve().parents[2]
VISITORS = 6
"""Clients that send one request after the other."""
READY_SECONDS = 60.0
"""How long the processes may take to start; the shop fills its database at the first one."""
MIN_TABLE_WIDTH = 110
"""Columns; a pipe has no width of its own."""
CANDIDATES_TITLE = "What to carve out of the monolith, by what was measured before the shift"
CANDIDATES = 5
"""How many the end of the demo shows."""
SENSITIVE = "*/payments*"
"""What the demo's shop says of its data."""
HALF_SECONDS = 12.0
"""How long each half takes when the demo stays until Ctrl-C."""

SHIFTS = {
    "users": {"monolith": 10, "users": 90},
    "recommendations": {"monolith": 0, "recommendations": 100},
    "contacts": {"monolith": 0, "contacts": 100},
    "payments": {"monolith": 0, "payments": 100},
}
"""What is shifted halfway: rule to weights."""
BEFORE = {
    "users": {"monolith": 90, "users": 10},
    "recommendations": {"monolith": 100, "recommendations": 0},
    "contacts": {"monolith": 100, "contacts": 0},
    "payments": {"monolith": 100, "payments": 0},
}
MODULES = {
    "monolith": "monolith_stub",
    "users": "extracted_services.users",
    "recommendations": "extracted_services.recommendations",
    "contacts": "extracted_services.contacts",
    "payments": "extracted_services.payments",
}
"""What serves: target group to module."""


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--seconds", type=float, metavar="N", help="end after N seconds of traffic (until Ctrl-C)")
    parser.add_argument("--port", type=port_number, default=8080, help="the gateway's data port")
    parser.add_argument("--https-port", type=port_number, default=8443, help="its data port for HTTPS")
    parser.add_argument("--admin-port", type=port_number, default=9901, help="the gateway's admin port")
    parser.add_argument("--folder", metavar="DIR", default=".demo", help="for its table, data and logs")
    parser.add_argument(
        "--aws", action="store_true", help="uploads and clicks, too, with functions and an AWS endpoint on this machine"
    )


def run(args: argparse.Namespace) -> int:
    """Return 0 when it ran as meant, 1 if not."""
    if args.seconds is not None and not 2 <= args.seconds < math.inf:
        raise UsageError("--seconds is a number of at least 2")
    if not (REPOSITORY / "monolith_stub").is_dir():
        raise UsageError("the demo's monolith is not installed: run `make demo` in a checkout of the project")
    console = Console(stderr=True)
    _end_as_by_ctrl_c()
    try:
        with demo_aws.aws_for(args.aws) as aws, _processes() as start:
            asyncio.run(_Demo(args, Path(args.folder).resolve(), console, start, aws).run())
    except (DemoError, EmbeddedAwsError) as error:
        print(f"strangler demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
    return 0


def _end_as_by_ctrl_c() -> None:
    """Let SIGTERM, and the terminal that is closed, end the processes as well: they are in sessions of their own."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))


@dataclass(slots=True)
class _Process:
    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        code = self.process.poll()
        if code is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
            raise DemoError(f"{self.name} ended with exit code {code}; the end of {self.log}:\n{tail}")


Start = Callable[[str, list[str], Path, dict[str, str]], _Process]


@contextlib.contextmanager
def _processes() -> Iterator[Start]:
    """Give a function that starts a process; end all of them, gateway first, on the way out."""
    started: list[_Process] = []

    def start(name: str, command: list[str], log: Path, environment: dict[str, str]) -> _Process:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=REPOSITORY,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the demo, which then ends its processes in order.
                start_new_session=True,
            )
        started.append(_Process(name, process, log))
        return started[-1]

    try:
        yield start
    finally:
        for each in reversed(started):
            if each.process.poll() is None:
                each.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        for each in reversed(started):
            try:
                each.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                each.process.kill()
                each.process.wait()


@dataclass(slots=True)
class _Demo:
    args: argparse.Namespace
    folder: Path
    console: Console
    start: Start
    aws: Mapping[str, str]
    requests: int = 0
    failures: int = 0
    started: list[_Process] = field(default_factory=list)

    async def run(self) -> None:
        """The whole story."""
        table = self._prepare(self.folder)
        folder = self.folder
        await self._start_processes(folder, table)
        half = self.args.seconds / 2 if self.args.seconds else HALF_SECONDS
        async with httpx.AsyncClient(trust_env=False, timeout=10) as admin:
            traffic = [asyncio.create_task(self._visit(number)) for number in range(VISITORS)]
            try:
                start = await self._latencies(admin)
                await self._wait(half, "before: the monolith serves nearly everything")
                middle = await self._latencies(admin)
                candidates = await self._candidates(admin)
                await self._shift(admin, table)
                await self._wait(half, "after: the extracted services have taken over")
                end = await self._latencies(admin)
                output = Console()
                output.width = max(output.width, MIN_TABLE_WIDTH)
                output.print(comparison(difference(middle, start), difference(end, middle)))
                output.print(f"\n{CANDIDATES_TITLE}", style="bold")
                output.print(f"  strangler candidates --sensitive '{SENSITIVE}'\n")
                print_candidates(output, candidates, CANDIDATES)
                output.print()
                self._say_where_to_look(table)
                if self.args.seconds is None:
                    self.console.print("Traffic goes on until Ctrl-C.")
                    await self._watch_processes()
            finally:
                for task in traffic:
                    task.cancel()
                await asyncio.gather(*traffic, return_exceptions=True)
        self.console.print(f"{self.requests} requests were sent, {self.failures} of them failed.")
        if self.failures:
            raise DemoError("requests failed: see the logs in " + str(folder))

    def _prepare(self, folder: Path) -> Path:
        """A fresh folder with a copy of the table, at the weights the story begins with."""
        args = self.args
        ports = (("--port", args.port), ("--https-port", args.https_port), ("--admin-port", args.admin_port))
        for name, port in ports:
            if not _is_free(port):
                raise DemoError(f"port {port} is in use: choose another one with {name}")
        for name in (*MODULES, STATE_FOLDER, *(f"{name}-functions" for name in demo_aws.FUNCTIONS)):
            shutil.rmtree(folder / name, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        text = (REPOSITORY / "routes.yaml").read_text(encoding="utf-8")
        text = text.replace("port: 8080 ", f"port: {self.args.port} ")
        text = text.replace("$schema=docs/", f"$schema={REPOSITORY / 'docs'}/")
        text = demo_aws.with_what_runs(text, aws=bool(self.aws))
        for rule, weights in BEFORE.items():
            text = set_weights(text, rule, weights)
        text = with_https(text, args.https_port)
        write_certificate(folder)
        table = folder / "routes.yaml"
        table.write_text(text, encoding="utf-8")
        return table

    async def _start_processes(self, folder: Path, table: Path) -> None:
        ports = {name: _free_port() for name in MODULES}
        for name, module in MODULES.items():
            command = [module, "--port", str(ports[name]), "--data", str(folder / name)]
            self.started.append(self.start(name, command, folder / f"{name}.log", {}))
        urls = {f"{name.upper()}_URL": f"http://127.0.0.1:{port}" for name, port in ports.items()}
        with self.console.status("The monolith fills its database ..."):
            for name, port in ports.items():
                await self._until_ready(name, f"http://127.0.0.1:{port}/health")
        if self.aws:
            with self.console.status("Bucket, stream and functions are made ..."):
                urls |= await self._start_aws(folder)
        command = ["proxy", "serve", "--config", str(table), "--host", "127.0.0.1"]
        command += ["--admin-port", str(self.args.admin_port), "--access-log", str(folder / "access.log")]
        self.started.append(self.start("gateway", command, folder / "gateway.log", urls))
        with self.console.status("The gateway checks its targets ..."):
            await self._until_ready("gateway", f"http://127.0.0.1:{self.args.admin_port}/readyz")

    async def _start_aws(self, folder: Path) -> dict[str, str]:
        """Start what is behind the added rules; return what the gateway has to know of it."""
        aws = dict(self.aws)
        hosts = {name: _free_port() for name in demo_aws.FUNCTIONS}
        addresses = {name: f"http://127.0.0.1:{port}" for name, port in hosts.items()}
        try:
            environment = {**os.environ, **aws}
            await asyncio.to_thread(demo_aws.create_resources, REPOSITORY, addresses["uploads"], environment)
        except subprocess.CalledProcessError as error:
            raise DemoError(f"bucket and stream cannot be made:\n{error.stderr[-2000:]}") from None
        for name, port in hosts.items():
            file = REPOSITORY / "extracted_services" / name / "functions.yaml"
            command = ["proxy", "functions", "--functions", str(file), "--functions-port", str(port)]
            command += ["--functions-folder", str(folder / f"{name}-functions")]
            self.started.append(self.start(f"{name}-functions", command, folder / f"{name}-functions.log", aws))
            await self._until_ready(f"{name}-functions", f"{addresses[name]}/metrics")
        port = _free_port()
        command = ["extracted_services.uploads", "--port", str(port), "--bucket", demo_aws.BUCKET]
        self.started.append(self.start("uploads", command, folder / "uploads.log", aws))
        url = f"http://127.0.0.1:{port}"
        await self._until_ready("uploads", f"{url}/health")
        return {**aws, "UPLOADS_URL": url}

    async def _until_ready(self, name: str, url: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
            while True:
                self._check_processes()
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(url)).status_code == 200:
                        return
                if time.monotonic() > deadline:
                    raise DemoError(f"{name} was not ready within {READY_SECONDS:g} s ({url})")
                await asyncio.sleep(0.1)

    def _check_processes(self) -> None:
        for process in self.started:
            process.check()

    async def _visit(self, number: int) -> None:
        """One visitor after the other, each with a connection of its own kept open."""
        from monolith_stub.traffic import sample

        base = f"http://127.0.0.1:{self.args.port}"
        # Cookies are the visitors' own: none are kept from one request to the next.
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=30) as client:
            for request in sample(number + 1):
                client.cookies.clear()
                try:
                    response = await client.request(
                        request.method, request.path, headers=dict(request.headers), content=request.body
                    )
                except httpx.TransportError:
                    self.failures += 1
                    await asyncio.sleep(0.2)
                else:
                    self.failures += response.status_code >= 500
                self.requests += 1

    async def _wait(self, seconds: float, what: str) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[sent]} requests")
        with Progress(*columns, console=self.console, transient=not self.console.is_terminal) as progress:
            task: TaskID = progress.add_task(what, total=seconds, sent=self.requests)
            began = time.monotonic()
            while (passed := time.monotonic() - began) < seconds:
                self._check_processes()
                progress.update(task, completed=passed, sent=self.requests)
                await asyncio.sleep(0.1)
            progress.update(task, completed=seconds, sent=self.requests)

    async def _latencies(self, admin: httpx.AsyncClient) -> dict[Route, Latency]:
        response = await admin.get(f"http://127.0.0.1:{self.args.admin_port}/metrics")
        return read_latencies(response.text)

    async def _shift(self, admin: httpx.AsyncClient, table: Path) -> None:
        shifts = {**SHIFTS, **(demo_aws.SHIFTS if self.aws else {})}
        for rule, weights in shifts.items():
            words = " ".join(f"{group}={weight}" for group, weight in weights.items())
            self.console.print(f"  strangler shift {rule} {words} --config {_from_here(table)}", soft_wrap=True)
        await asyncio.to_thread(_edit, table, shifts)
        deadline = time.monotonic() + 5
        wanted = 'strangler_rule_weight{listener="web",rule="users",target_group="users"} 90.0'
        while wanted not in (await admin.get(f"http://127.0.0.1:{self.args.admin_port}/metrics")).text:
            if time.monotonic() > deadline:
                raise DemoError(f"the gateway did not take up the change of {table} within 5 s")
            await asyncio.sleep(0.1)

    async def _candidates(self, admin: httpx.AsyncClient) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.args.admin_port}/api/candidates"
        document: dict[str, Any] = (await admin.get(url, params={"sensitive": SENSITIVE})).raise_for_status().json()
        return document

    def _say_where_to_look(self, table: Path) -> None:
        admin = f"http://127.0.0.1:{self.args.admin_port}"
        certificate = table.parent / CERTIFICATE_FILE

        def say(line: str) -> None:
            self.console.print(line, soft_wrap=True, highlight=False)

        say(f"the shop, through the gateway  http://127.0.0.1:{self.args.port}/")
        say(f"the same over HTTPS            https://localhost:{self.args.https_port}/  (certificate: {certificate})")
        say(f"from HTTP to HTTPS             http://{REDIRECTED_HOST}:{self.args.port}/")
        say(f"the gateway's admin page       {admin}/  (API: {admin}/docs, metrics: {admin}/metrics)")
        if self.aws:
            say(f"AWS on this machine            {self.aws['AWS_ENDPOINT_URL']}")
        say(f"the rule table: edit a weight  {table}")
        say(f"one line a request             {table.parent / 'access.log'}")

    async def _watch_processes(self) -> None:
        while True:
            self._check_processes()
            await asyncio.sleep(0.5)


def _edit(table: Path, shifts: Mapping[str, Mapping[str, int]]) -> None:
    """Shift the weights as `strangler shift` does."""
    text = table.read_text(encoding="utf-8")
    for rule, weights in shifts.items():
        text = set_weights(text, rule, weights)
    replace_file(table, text)


def _from_here(path: Path) -> Path:
    """The path as one would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
