"""All rows, and the page made of them."""

# ruff: noqa: E501 - the page has its own width

from __future__ import annotations

from pathlib import Path

from tests.conformance import section_1, section_2, section_3, section_6, section_7
from tests.conformance.rows import Checked, Exchange, Invoked, Matching, Row

ROWS: list[Row] = sorted(
    [*section_1.ROWS, *section_2.ROWS, *section_3.ROWS, *section_6.ROWS, *section_7.ROWS],
    key=lambda row: [int(part) for part in row.section.split(".")],
)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"

_HEAD = """\
# What of the load balancer's behaviour is tested?

One row for each rule of [alb.md](alb.md) that a request or a table can show. Every row is run on each change: requests go
over real sockets, by both doors where the rule does not concern raw bytes; tables go through `strangler check`. This page
is written by `python -m tests.conformance`. What differs from the load balancer is in
[alb-differences.md](alb-differences.md); target groups, TLS, HTTP/2 and authentication have tests of their own.

| section | rows |
| --- | --- |
"""


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


def _how(row: Row) -> str:
    if isinstance(row, Exchange | Invoked):
        return " and ".join(row.doors) + " door" + "s" * (len(row.doors) > 1)
    return "listener and asgi doors" if isinstance(row, Matching) else "check"


def _expected(row: Row) -> str:
    if isinstance(row, Exchange):
        text = str(row.status)
        if row.closes is not None:
            text += ", closed after" if row.closes else ", goes on"
        return text
    if isinstance(row, Invoked):
        return str(row.status) if row.reason == "-" else f"{row.status}, {row.reason}"
    if isinstance(row, Matching):
        return f"{len(row.takes)} taken, {len(row.leaves)} left"
    assert isinstance(row, Checked)
    return row.code or "accepted"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_")
