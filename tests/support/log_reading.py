"""Logs given as text, read by the embedded engine."""

from __future__ import annotations

import gzip
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from proxy.carveout.logs import queries
from proxy.carveout.logs.detect import KNOWN
from proxy.carveout.logs.duck import DuckEngine
from proxy.carveout.logs.files import find
from proxy.carveout.logs.formats import Format
from proxy.carveout.logs.measure import Settings, measure, overview
from proxy.carveout.workload import TransactionLoad, Workload

PARSED_COLUMNS = (
    "file", "bad_line", "is_told", "ended_us", "started_us", "lasted_us", "first_byte_us", "method", "path", "client",
    "target_group", "status", "request_bytes", "response_bytes", "asked", "is_stream",
)  # fmt: skip
ARN = "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/monolith/73e2d6bc24d8a067"


class PlainNames:
    """Names a request by its method and its path as it is: nothing to learn, nothing to guess in a test."""

    class _Template:
        def __init__(self, method: str, path: str) -> None:
            self.method = method if method in ("GET", "POST") else "OTHER"
            self.name, self.regex = f"{method} {path}", re.escape(path)

    def __init__(self) -> None:
        self.learned: dict[tuple[str, str], None] = {}

    def name(self, method: bytes, path: bytes) -> str:
        return f"{method.decode('latin-1')} {path.decode('latin-1')}"

    def learn(self, method: bytes, path: bytes, status: int, client: int) -> None:
        self.learned[method.decode("latin-1"), path.decode("latin-1")] = None

    def settle(self, *, at_leisure: bool = False) -> bool:
        return True

    def templates(self) -> Sequence[Any]:
        return [self._Template(*key) for key in self.learned]


def alb_line(**changes: Any) -> str:
    """A line as the load balancer writes it: received at 12:00:00, sent 1 ms later, answered after 20 ms more."""
    fields = {
        "type": "https",
        "time": "2026-11-24T12:00:00.021000Z",
        "client": "192.0.2.7:40000",
        "target": "10.0.0.1:80",
        "times": "0.001 0.020 0.000",
        "status": "200",
        "target_status": "200",
        "bytes": "300 500",
        "request": "GET https://shop.example.com:443/orders?x=1 HTTP/1.1",
        "user_agent": "curl/8",
        "arn": ARN,
        "created": "2026-11-24T12:00:00.000000Z",
        "tail": '"forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1 "-" "-" "-"',
    } | changes
    line = (
        "{type} {time} app/shop/50dc6c495c0c9188 {client} {target} {times} {status} {target_status} {bytes}"
        ' "{request}" "{user_agent}" TLS_AES_128_GCM_SHA256 TLSv1.3 {arn} "Root=1-58337262-36d228ad5d99923122bbe354"'
    ).format(**fields)
    if fields["created"]:
        line += ' "-" "-" 0 {created} {tail}'.format(**fields)
    return line


def nginx_line(**changes: Any) -> str:
    """Combined, with `$request_time $upstream_response_time`."""
    fields = {
        "client": "192.0.2.7",
        "time": "24/Nov/2026:12:00:00 +0000",
        "request": "GET /orders?x=1 HTTP/1.1",
        "status": "200 500",
        "user_agent": "curl/8",
        "times": "0.021 0.020",
    } | changes
    return '{client} - - [{time}] "{request}" {status} "-" "{user_agent}" {times}'.format(**fields)


def write(folder: Path, lines: Iterable[str], name: str = "access.log") -> Path:
    path = folder / name
    text = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


def parsed(lines: Sequence[str], known: Format | str = "alb") -> list[dict[str, Any]]:
    """What `queries.PARSED` makes of lines, by `ended_us` and path."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), lines)
        engine = _engine(Path(folder))
        try:
            engine.load(find([str(Path(folder) / "access.log")]), KNOWN[known] if isinstance(known, str) else known)
            rows = list(engine.rows(f"SELECT {', '.join(PARSED_COLUMNS)} FROM parsed ORDER BY rowid"))
        finally:
            engine.close()
    return [dict(zip(PARSED_COLUMNS, row, strict=True)) for row in rows]


def workload_of(lines: Sequence[str], known: Format | str = "alb", **settings: Any) -> Workload:
    """The workload of some lines, named by `PlainNames`."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), lines)
        engine = _engine(Path(folder))
        try:
            engine.load(find([str(Path(folder) / "access.log")]), KNOWN[known] if isinstance(known, str) else known)
            engine.define("requests", queries.REQUESTS)
            return measure(engine, PlainNames(), Settings(**settings), overview(engine))
        finally:
            engine.close()


def by_name(workload: Workload) -> dict[tuple[str, str], TransactionLoad]:
    return {(load.name, load.target_group): load for load in workload.transactions}


def _engine(folder: Path) -> DuckEngine:
    place = folder / "engine"
    place.mkdir()
    return DuckEngine(place, memory="200MB", threads=1)
