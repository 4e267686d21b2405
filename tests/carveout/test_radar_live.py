"""Coverage and progress of a gateway as it is run, in one process and in several."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from scripted_target import ScriptedTarget
from served import REPOSITORY, Served, serving

from proxy.carveout.progress import open_ledger

TABLE = """
version: 1
listeners:
  - port: PORT
    name: web
    default: {{forward: monolith}}
    rules:
      - name: users
        priority: 10
        conditions: [{{path-pattern: [/users, /users/*]}}]
        forward: users
      - name: late
        priority: 20
        conditions: [{{path-pattern: /users/7}}]
        forward: monolith
target_groups:
  monolith: {{targets: ["http://127.0.0.1:{monolith}"], health_check: {{interval_seconds: 5, timeout_seconds: 2}}}}
  users: {{targets: ["http://127.0.0.1:{users}"], health_check: {{interval_seconds: 5, timeout_seconds: 2}}}}
"""


@pytest.fixture
def targets() -> Iterator[tuple[ScriptedTarget, ScriptedTarget]]:
    both = ScriptedTarget(), ScriptedTarget()
    yield both
    for target in both:
        target.close()


def coverage(served: Served) -> dict[str, dict[str, Any]]:
    return {rule["rule"]: rule for rule in served.admin.get("/api/coverage").json()["rules"]}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_coverage_and_progress(tmp_path: Path, targets: tuple[ScriptedTarget, ScriptedTarget], workers: str) -> None:
    """Values that took requests are told apart, whichever worker took them; what was served is on disk afterwards."""
    monolith, users = targets
    table = TABLE.format(monolith=monolith.port, users=users.port)
    with serving(tmp_path, table, "--workers", workers) as served:
        # Each on a connection of its own, so that the kernel spreads them over the workers.
        for path in ["/users"] * 3 + ["/users/1"] * 5 + ["/"] * 7:
            url = f"http://127.0.0.1:{served.port}{path}"
            assert httpx.get(url, trust_env=False).status_code == 200

        served.eventually(lambda: coverage(served)["users"]["sampled"] == 8, "not every request was looked at")
        rules = coverage(served)
        assert rules["users"]["hits"] == 8
        assert [(value["value"], value["hits"]) for value in rules["users"]["conditions"]] == [
            ("/users", 3),
            ("/users/*", 5),
        ]
        assert rules["late"]["never"]
        assert 'satisfies rule "users"' in rules["late"]["shadowed_by"]
        assert rules["default"]["hits"] == 7
        assert served.admin.get("/api/candidates").json()["state"] == "collecting"
        assert served.stop() == 0

    ledger = open_ledger(tmp_path / ".strangler")
    points = ledger.points()
    ledger.close()
    assert sum(point.monolith_requests for point in points) == 7
    assert sum(point.moved_requests for point in points) == 8
    assert sum(point.moved_seconds for point in points) > 0.0


def test_candidates_of_a_running_gateway(tmp_path: Path, targets: tuple[ScriptedTarget, ScriptedTarget]) -> None:
    """The command asks the admin port and prints what `/api/candidates` answers."""
    monolith, users = targets
    with serving(tmp_path, TABLE.format(monolith=monolith.port, users=users.port)) as served:
        asked = subprocess.run(
            [sys.executable, "-m", "proxy", "candidates", "--json"],
            cwd=REPOSITORY,
            env={**os.environ, "STRANGLER_ADMIN_URL": f"http://127.0.0.1:{served.admin_port}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert asked.returncode == 0, asked.stderr
        document = json.loads(asked.stdout)
        assert document["source"] == "live"
        assert document.keys() == served.admin.get("/api/candidates").json().keys()
