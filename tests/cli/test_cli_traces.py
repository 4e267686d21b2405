"""`strangler serve` with a collector: with workers, with one that is not there, and with flags that do not fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from otlp_collector import collecting
from served import REPOSITORY, serving

TABLE = """
version: 1
listeners:
- port: PORT
  name: web
  default: {fixed-response: {status_code: "200"}}
"""


def test_workers_send_spans_of_their_own_and_their_last_ones_when_they_end(tmp_path: Path) -> None:
    with collecting() as collector:
        with serving(tmp_path, TABLE, "--workers", "2", "--otlp-endpoint", collector.endpoint) as served:
            for _ in range(10):
                assert served.client.get("/a").status_code == 200
            assert served.stop() == 0
        assert [span.name for span in collector.spans] == ["GET"] * 10


def test_a_collector_that_refuses_costs_spans_and_no_request(tmp_path: Path) -> None:
    with collecting() as collector:
        collector.status = 400
        fast = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
        with serving(tmp_path, TABLE, "--otlp-endpoint", collector.endpoint, environment=fast) as served:
            for _ in range(3):
                assert served.client.get("/a").status_code == 200
            served.eventually(lambda: served.metric("strangler_spans_dropped_total") == 3, "drops are not counted")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--otlp-endpoint", "banana"], "--otlp-endpoint: 'banana' is no URL of a collector"),
        (["--rewrite-traceparent"], "give --otlp-endpoint, too"),
    ],
    ids=["no URL", "a parent that nobody gets"],
)
def test_flags_that_do_not_fit_are_named(flags: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "serve", "--config", str(tmp_path / "none.yaml"), *flags],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
