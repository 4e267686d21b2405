"""`strangler candidates`: what it prints, and what it says when nobody answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rich.console import Console
from served import free_port
from workloads import transaction, workload

from proxy.carveout.candidates import candidates_document
from proxy.carveout.workload import Workload
from proxy.cli import main
from proxy.cli.candidates import bar, render, show


def document(**changes: Any) -> dict[str, Any]:
    load = workload(
        transaction("GET /api/recommendations/users/{id}/products", each=20, mean=2.0),
        transaction("GET /api/orders/{id}", each=200, mean=0.1),
        transaction("POST /api/orders", each=50, mean=0.2, writes=2400),
    )
    load.workers["monolith"] = 16
    return candidates_document(load) | changes


def printed(one: dict[str, Any], top: int = 10) -> str:
    console = Console(width=120, no_color=True, force_terminal=False)
    with console.capture() as capture:
        for part in render(one, top):
            console.print(part)
    return capture.get()


def test_a_person_sees_order_reasons_and_the_rule() -> None:
    text = printed(document())

    assert "confidence A" in text
    assert "(16 workers)" in text
    lines = text.splitlines()
    assert next(line for line in lines if "GET /api/recommendations" in line).split()[0] == "1"
    assert "Long response time: 2.0 s" in text
    assert "Without it: " in text
    assert "POST /api/orders writes what GET /api/orders/{id} reads" in text
    assert "path-pattern: /api/orders*" in text
    assert "    - path-pattern: ['/api/recommendations/users/*/products']" in text
    assert "and this under target_groups:" in text


def test_what_comes_from_outside_cannot_move_the_cursor_or_mark_text_up() -> None:
    load = workload(transaction("GET /[red]\x1b[2J/{id}"))

    text = printed(candidates_document(load))

    assert "\x1b" not in text
    assert "[red]" in text


def test_thin_data_says_so() -> None:
    assert "Still collecting" in printed(document(state="collecting"))
    assert "No transaction of the monolith was seen yet" in printed(candidates_document(Workload(0.0, 60.0, 0, 1.0)))


def test_json_is_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    show(document(), as_json=True, top=1)

    assert json.loads(capsys.readouterr().out) == document()


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, "             0%"),
        (0.5, "█████        50%"),
        (1.0, "██████████ 100%"),
        (0.33, "███▎        33%"),
        (7.0, "██████████ 700%"),
    ],
)
def test_bars(share: float, expected: str) -> None:
    assert bar(share).split() == expected.split()
    assert len(bar(share)) == 15


def test_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["candidates", "--admin-url", f"http://127.0.0.1:{free_port()}"]) == 2

    assert "is the gateway running" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--top", "0"], "--top 0 is not 1 or more"),
        (["--admin-url", "no url"], "no answer from no url"),
    ],
)
def test_usage_errors(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["candidates", *arguments]) == 2

    assert expected in capsys.readouterr().err
