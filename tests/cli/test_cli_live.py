"""`strangler status` and `strangler top`, against an admin port and without one."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from admin_page import AdminPage, admin_page
from rich.console import Console

from proxy.cli import main
from proxy.cli.admin_api import get_document
from proxy.cli.figures import ago, duration, percentile, rate, share, size
from proxy.cli.top import SORTS, following, render
from proxy.config.load import load

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shop() -> Iterator[AdminPage]:
    with admin_page(is_live=False) as page:
        yield page


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


def test_status_shows_rules_weights_and_health(shop: AdminPage, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "status", "--admin-url", shop.url).splitlines()

    assert lines[0].startswith("table in force, loaded ")
    users = next(number for number, line in enumerate(lines) if line.split()[:2] == ["60", "users"])
    assert lines[users].split()[2:4] == ["monolith", "90"]
    assert lines[users + 1].split()[:2] == ["users", "10"]
    assert any(line.split()[1:4] == ["bots", "answer", "403"] for line in lines if len(line.split()) > 3)
    assert any("10.0.2.5:8000" in line and "unhealthy" in line and "Target.Timeout" in line for line in lines)
    assert any(line.strip().startswith("target") and "is unhealthy" in line for line in lines)


def test_status_as_json_is_one_document(shop: AdminPage, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(printed(capsys, "status", "--json", "--admin-url", shop.url))

    assert document["reload"]["successful"] is True
    assert [listener["name"] for listener in document["listeners"]] == ["web"]
    table = load((REPOSITORY / "routes.yaml").read_text(), {})
    assert {group["name"] for group in document["target_groups"]} == set(table.target_groups)
    assert document["troubles"][0]["kind"] == "target"


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("work", "GET /images/{id}/{size}"),
        ("rate", "GET /products"),
        ("mean", "GET /reports/sales"),
        ("errors", "GET /reports/sales"),
        ("bandwidth", "GET /images/{id}/{size}"),
    ],
)
def test_top_is_sorted(shop: AdminPage, capsys: pytest.CaptureFixture[str], sort: str, first: str) -> None:
    lines = printed(capsys, "top", "--once", "--sort", sort, "--admin-url", shop.url).splitlines()

    assert lines[0] == "14 transactions in the last 10 min"
    assert lines[2].startswith(first)


@pytest.mark.parametrize("sort", ["work", "bandwidth"])
def test_top_on_a_narrow_terminal_cuts_names_and_no_figures(shop: AdminPage, sort: str) -> None:
    document = get_document(shop.url, "/api/transactions")
    console = Console(width=80, record=True, file=StringIO())
    console.print(render(document, sort, 0, console.width))
    lines = console.export_text().splitlines()

    assert f"{sort} ↓" in lines[1]
    assert "p99" not in lines[1]
    for line in lines[2:]:
        assert "…" not in line[line.index("/s") - 6 :]


def test_top_has_no_more_rows_than_asked_for(shop: AdminPage, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "top", "--limit", "3", "--admin-url", shop.url).splitlines()

    assert lines[0].endswith(" · 3 of 16 rows")
    assert len(lines) == 5


@pytest.mark.parametrize("verb", ["status", "top"])
def test_without_a_gateway_it_says_so(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--admin-url", "http://127.0.0.1:9"]) == 2

    said = capsys.readouterr().err
    assert "is the gateway running" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("arguments", [["--limit", "-1"], ["--interval", "0"]])
def test_top_refuses(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", *arguments]) == 2
    assert arguments[0] in capsys.readouterr().err


def test_the_key_s_goes_through_all_columns() -> None:
    sort, seen = "work", []
    for _ in SORTS:
        seen.append(sort)
        sort = following(sort)

    assert (sorted(seen), sort) == (sorted(SORTS), "work")


def test_top_on_a_terminal_sorts_by_key_and_ends_with_q(shop: AdminPage) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "proxy", "top", "--admin-url", shop.url]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140", "LINES": "30"}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""

    def wait_for(text: bytes) -> None:
        nonlocal shown
        deadline = time.monotonic() + 30
        while text not in shown:
            assert time.monotonic() < deadline, shown
            if select.select([ours], [], [], 0.2)[0]:
                shown += os.read(ours, 65536)

    try:
        wait_for(b"sorted by work")
        os.write(ours, b"s")
        wait_for(b"sorted by rate")
        os.write(ours, b"q")
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (duration(None), "–"),
        (duration(0.00021), "210 µs"),
        (duration(0.0844), "84.4 ms"),
        (duration(1.238), "1.24 s"),
        (rate(0.0), "0/s"),
        (rate(12.34), "12.3/s"),
        (share(0.0213), "2.1%"),
        (size(999), "999 B"),
        (size(924_000), "924 kB"),
        (percentile(0.00475), "< 5 ms"),
        (percentile(0.005), "5.00 ms"),
        (percentile(None), "–"),
        (ago(None), "never"),
        (ago(100.0, 160.0), "60 s ago"),
        (ago(100.0, 100.0 + 3 * 86_400), "3 days ago"),
    ],
)
def test_figures(text: str, expected: str) -> None:
    assert text == expected
