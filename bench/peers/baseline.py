"""FastAPI with httpx, a catch-all route: the usual way to write a proxy in Python, as a baseline."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

from bench.peers.peer import Site, output_of
from bench.processes import BenchError


class Baseline:
    name: ClassVar[str] = "fastapi-httpx"
    file_name: ClassVar[str] = "baseline.json"
    counts: ClassVar[str] = "requests per rule and code"
    decides: ClassVar[bool] = True

    def missing(self) -> str | None:
        absent = [name for name in ("fastapi", "httpx", "uvicorn") if importlib.util.find_spec(name) is None]
        return f"not installed: pip install {' '.join(absent)}" if absent else None

    def version(self) -> str:
        return output_of(sys.executable, "-c", "import fastapi; print(fastapi.__version__)")

    def configuration(self, site: Site) -> str:
        if site.access_log or site.tls or site.workers > 1:
            raise BenchError("written for one worker without TLS and access log")
        rules = [asdict(rule) for rule in site.table.rules]
        return json.dumps({"rules": rules, "target_ports": dict(site.target_ports)})

    def command(self, file: Path, site: Site) -> Sequence[str]:
        options = ["--host", "127.0.0.1", "--port", str(site.port), "--no-access-log", "--no-proxy-headers"]
        quiet = ["--log-level", "warning", "--no-server-header", "--no-date-header"]
        factory = ["--factory", "bench.baseline:create_app"]
        settings = [f"BENCH_BASELINE={file}"]
        return ["env", *settings, sys.executable, "-m", "uvicorn", *options, *quiet, *factory]

    def check_command(self, file: Path) -> Sequence[str] | None:
        return None

    def environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": os.pathsep.join(filter(None, [".", os.environ.get("PYTHONPATH")]))}
