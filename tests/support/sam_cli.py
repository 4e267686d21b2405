"""AWS's SAM command line, and the emulator with SAM's translator, each in an environment of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from proxy.functions.embedded_aws import aws_environment, cache_folder, embedded_aws, installed

SAM = "aws-sam-cli==1.170.0"
TRANSLATOR = "aws-sam-translator>=1.90"


def sam(folder: Path, *arguments: str, environment: Mapping[str, str]) -> str:
    """Run it in a folder and return what it said; it fails loudly.

    Functions are built for the Python that runs the tests. pip does not take wheels here that its runtime cannot load:
    the image of python3.11 has an older libc than Pillow's newest wheels want.
    """
    constraint = folder / "constraint.txt"
    constraint.write_text("pillow<12\n" if sys.version_info < (3, 12) else "")
    done = subprocess.run(
        [str(_installed_sam()), *arguments],
        cwd=folder,
        env={
            **os.environ,
            **environment,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PIP_CONSTRAINT": str(constraint),
            "SAM_CLI_TELEMETRY": "0",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"sam {' '.join(arguments)}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@contextlib.contextmanager
def emulator_for_templates() -> Iterator[Mapping[str, str]]:
    """An AWS endpoint that knows SAM's resources; gives the variables that point at it."""
    cache = cache_folder(os.environ) / "with-sam"
    with _locked(cache):
        python, complete = installed(cache), cache / ".translator"
        if not complete.exists():
            _pip(python, TRANSLATOR)
            complete.touch()
    with embedded_aws(cache) as endpoint:
        yield aws_environment(endpoint)


def _installed_sam() -> Path:
    name = f"{SAM.replace('==', '-')}-py{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache_folder(os.environ) / name
    with _locked(folder):
        complete = folder / ".complete"
        if not complete.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            _pip(folder / "bin" / "python", SAM)
            complete.touch()
    return folder / "bin" / "sam"


def _pip(python: Path, package: str) -> None:
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package], check=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
