"""The log that `bench.logs` makes up is one of a load balancer."""

from __future__ import annotations

import gzip
from pathlib import Path

from athena import access_log_row
from log_reading import parsed

from bench.logs import ROUTES, write_log


def test_a_made_up_log_reads_as_the_documented_one(tmp_path: Path) -> None:
    """Every line but the last, plain and compressed alike; with failures and scanners in it."""
    files = write_log(tmp_path, 1000, ["plain", "gzip"])
    (plain,) = (tmp_path / "plain").rglob("*.log")
    (packed,) = (tmp_path / "gzip").rglob("*.gz")
    *lines, last = plain.read_text().splitlines()
    rows = parsed(lines)

    assert files == 1
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    assert len(lines) == 1000
    assert last == "cut short in the mid"
    assert all(row["is_told"] and row["asked"] for row in rows)
    assert {access_log_row(line)["type"] for line in lines} == {"https"}
    assert {504, 404, 200} <= {row["status"] for row in rows}
    assert {"POST", "GET", "PUT", "DELETE"} == {row["method"] for row in rows} == {route[0] for route in ROUTES}
