"""All rows, and the page made of them."""

# ruff: noqa: E501 - the page has its own width

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conformance import (
    section_1,
    section_1_tls,
    section_2,
    section_3,
    section_3_login,
    section_4,
    section_5,
    section_5_health,
    section_5_stories,
    section_6,
    section_6_desync,
    section_7,
    section_8,
    section_9,
)
from tests.conformance.rows import (
    Checked,
    Exchange,
    Http2Connection,
    Invoked,
    Login,
    Matching,
    Probed,
    Row,
    Secured,
    Story,
)

SECTIONS = (
    section_1, section_1_tls, section_2, section_3, section_3_login, section_4, section_5, section_5_stories,
    section_5_health, section_6, section_6_desync, section_7, section_8, section_9,
)  # fmt: skip
ROWS: list[Row] = sorted(
    [row for section in SECTIONS for row in section.ROWS],
    key=lambda row: [int(part) for part in row.section.split(".")],
)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"

_HEAD = """\
# What of the load balancer's behaviour is tested?

One row for each rule of [alb.md](alb.md) that a request, a few of them or a table can show. Every row is run on each
change: requests go over real sockets, by both doors where the rule concerns neither raw bytes nor TLS, HTTP/2 or tunnels;
tables go through `strangler check`. This page is written by `python -m tests.conformance`. What differs from the load
balancer is in [alb-differences.md](alb-differences.md).

| section | rows |
| --- | --- |
"""


def rows_by_door(kind: type[Row]) -> pytest.MarkDecorator:
    """Parametrize a test with `row` and `door`, for every row of a kind and each of its doors."""
    pairs = [
        (row, door) for row in ROWS if isinstance(row, kind) for door in getattr(row, "doors", ("listener", "asgi"))
    ]
    return pytest.mark.parametrize(
        ("row", "door"), pairs, ids=[f"{row.section}-{row.id}-{door}" for row, door in pairs]
    )


def page() -> str:
    """docs/conformance.md."""
    sections = list(dict.fromkeys(row.section for row in ROWS))
    counts = "".join(f"| {name} | {sum(row.section == name for row in ROWS)} |\n" for name in sections)
    parts = [_HEAD, counts, f"| all | {len(ROWS)} |\n"]
    for name in sections:
        parts.append(f"\n## {name}\n\n| rule | shown by | expected |\n| --- | --- | --- |\n")
        parts += [
            f"| {_cell(row.id)} | {_how(row)} | {_cell(_expected(row))} |\n" for row in ROWS if row.section == name
        ]
    return "".join(parts)


_DOORS = {"listener": "listener", "asgi": "ASGI", "http2": "HTTP/2"}


def _how(row: Row) -> str:
    if isinstance(row, Checked):
        return "check"
    if isinstance(row, Probed):
        return "health checks"
    if isinstance(row, Secured):
        return "TLS"
    if isinstance(row, Http2Connection):
        return "HTTP/2"
    doors: Any = getattr(row, "doors", ("listener", "asgi"))
    return " and ".join(_DOORS[door] for door in doors)


def _expected(row: Row) -> str:
    match row:
        case Exchange():
            text = str(row.status) if row.status else "no answer"
            if row.closes is not None:
                text += ", closed after" if row.closes else ", goes on"
            return text
        case Invoked():
            return str(row.status) if row.reason == "-" else f"{row.status}, {row.reason}"
        case Matching():
            return f"{len(row.takes)} taken, {len(row.leaves)} left"
        case Checked():
            return row.code or (f"accepted, {row.warning}" if row.warning else "accepted")
        case Story() | Login():
            return "; ".join(row.steps)
        case Http2Connection():
            return "SETTINGS" if row.setting else "GOAWAY"
        case Probed():
            return f"{row.state} {row.reason}".strip()
        case Secured():
            return str(row.status) if row.status else "no connection"
    raise TypeError(row)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
