"""An AWS endpoint on this machine, for as long as a `with` block: MiniStack, in a virtual environment of its own.

    with embedded_aws() as endpoint:
        subprocess.run(command, env={**os.environ, **aws_environment(endpoint)})

MiniStack pins a botocore that is older than the project's, so it is installed once into a cache folder and never beside
it. It listens on 127.0.0.1 only: whoever reaches it can run code (it executes uploaded functions).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

MINISTACK = "ministack==1.5.33"
REGION = "us-east-1"
START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_ATTEMPTS = 3
"""A port that was free may be taken before MiniStack binds to it."""
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


_GUARD = """
import os, signal, subprocess, sys, threading
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Thread(target=lambda: os._exit(process.wait() & 255), daemon=True).start()
sys.stdin.buffer.read()
os.killpg(0, signal.SIGKILL)
"""
"""Stands between: its standard input ends with whoever started it, and MiniStack, which runs code, must not stay."""


class EmbeddedAwsError(Exception):
    """MiniStack cannot be installed or does not start; the message holds what it said."""


@contextlib.contextmanager
def embedded_aws(cache: Path | None = None) -> Iterator[str]:
    """Run MiniStack while the block lasts and give its address, `http://127.0.0.1:<port>`.

    The first use on a machine installs it from the package index (some 20 s). Everything it holds is gone afterwards.

    Args:
        cache: Where it is installed; else `cache_folder(os.environ)`.

    Raises:
        EmbeddedAwsError: It cannot be installed, or is not healthy within `START_SECONDS`.
    """
    python = installed(cache or cache_folder(os.environ))
    with tempfile.TemporaryDirectory(prefix="strangler-aws-", ignore_cleanup_errors=True) as folder:
        process, endpoint = _started(python, Path(folder))
        try:
            yield endpoint
        finally:
            stop(process)


def aws_environment(endpoint: str) -> dict[str, str]:
    """The variables that point every AWS SDK at `endpoint`, with keys that are none."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def cache_folder(env: Mapping[str, str]) -> Path:
    """Where MiniStack is kept between runs: `$STRANGLER_CACHE`, else the user's cache folder."""
    if chosen := env.get("STRANGLER_CACHE"):
        return Path(chosen)
    return Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "strangler-fig"


def installed(cache: Path) -> Path:
    """The Python that has MiniStack, installed first if it is not there; safe when several processes ask at once."""
    cache.mkdir(parents=True, exist_ok=True)
    name = f"{MINISTACK.replace('==', '-')}-py{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache / name
    python, complete = folder / "bin" / "python", folder / ".complete"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(folder)])
            _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", MINISTACK])
            complete.touch()
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise EmbeddedAwsError(f"cannot install {MINISTACK}: {' '.join(command)} failed:\n{done.stdout[-2000:]}")


def started_at(port: int, python: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start MiniStack at a port of 127.0.0.1, in a process group of its own; what it holds ends with it.

    It ends when whoever started it does, however that comes about.

    Args:
        python: The one that has it (`installed`).
        folder: For its files; what it says goes to `log` there.

    Raises:
        EmbeddedAwsError: It is not healthy within `START_SECONDS`.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_ENDPOINT_URL")}
    environment |= {
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _GUARD, str(python.with_name("ministack"))],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    if _becomes_healthy(process, f"http://127.0.0.1:{port}/_ministack/health"):
        return process
    stop(process)
    said = log.read_text(errors="replace")[-2000:]
    raise EmbeddedAwsError(f"MiniStack did not become healthy within {START_SECONDS:.0f} s:\n{said}")


def _started(python: Path, folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    attempts = _ATTEMPTS
    while True:
        port, attempts = _free_port(), attempts - 1
        try:
            return started_at(port, python, folder), f"http://127.0.0.1:{port}"
        except EmbeddedAwsError:
            if not attempts:
                raise


def _becomes_healthy(process: subprocess.Popen[bytes], url: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with _DIRECT.open(url, timeout=5) as response:
                # Asked once more: the answer may be another program's, that took the port before it.
                return response.status == 200 and process.poll() is None
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it and whatever it started: its functions run as its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
