"""`strangler top`: what transactions cost now, refreshed until q."""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from proxy.cli.admin_api import add_admin_url, get_document
from proxy.cli.figures import duration, rate, share, size
from proxy.cli.flags import UsageError
from proxy.cli.terminal import visible

SORTS: Final = {
    "work": "in_flight",
    "rate": "rate",
    "mean": "mean",
    "p95": "p95",
    "errors": "error_rate",
    "bandwidth": "bandwidth",
}
"""What `--sort` and the key s choose from, and the field of a transaction that it is about."""

COLUMNS: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "rate": lambda row: rate(row["rate"]),
    "mean": lambda row: duration(row["mean"]),
    "p95": lambda row: duration(row["p95"]),
    "p99": lambda row: duration(row["p99"]),
    "errors": lambda row: share(row["error_rate"]),
    "bandwidth": lambda row: f"{size(row['bandwidth'])}/s",
    "work": lambda row: f"{row['in_flight']:.2f}",
}
"""What is shown of a transaction."""
NARROW: Final = ("rate", "p95", "errors", "work")
"""What of it a narrow terminal has room for."""
LEAST_NAME: Final = 16
GAP: Final = 2
WIDTH_WITH_ALL: Final = 110
WIDTH_WITH_BARS: Final = 130
PIPED_WIDTH: Final = 160
BAR: Final = 12
_TITLE_LINES: Final = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="print one table and end; so it is without a terminal, too")
    parser.add_argument("--sort", choices=list(SORTS), default="work", help="the largest of this first")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="rows; as many as fit when 0")
    parser.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="between two looks")
    add_admin_url(parser)


def run(args: argparse.Namespace) -> int:
    """Return 0 after q or a single table; 2 when no gateway answers at the start."""
    if args.limit < 0:
        raise UsageError(f"--limit {args.limit} is below 0")
    if not 0.2 <= args.interval <= 3600:
        raise UsageError(f"--interval {args.interval:g} is not from 0.2 to 3600 seconds")
    document = get_document(args.admin_url, "/api/transactions")
    console = Console(highlight=False)
    if args.once or not (console.is_terminal and sys.stdin.isatty()):
        if not console.is_terminal:
            console.width = max(console.width, PIPED_WIDTH)
        console.print(render(document, args.sort, args.limit, console.width))
        return 0
    watch(args, console, document)
    return 0


def watch(args: argparse.Namespace, console: Console, document: dict[str, Any]) -> None:
    """Refresh until q; s sorts by the next column. A gateway that is gone for a while is said, and waited for."""
    sort, trouble = args.sort, ""
    with keys() as key_within, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            limit = args.limit or max(1, console.height - _TITLE_LINES)
            shown = render(document, sort, limit, console.width, help_line=True, trouble=trouble)
            live.update(shown, refresh=True)
            match key_within(args.interval):
                case "q" | "Q" | "\x03" | "\x04":
                    return
                case "s" | "S":
                    sort = following(sort)
                case None:
                    try:
                        document, trouble = get_document(args.admin_url, "/api/transactions"), ""
                    except UsageError as error:
                        trouble = str(error)


def following(sort: str) -> str:
    """What the key s chooses after this."""
    names = list(SORTS)
    return names[(names.index(sort) + 1) % len(names)]


def render(
    document: dict[str, Any], sort: str, limit: int, width: int, *, help_line: bool = False, trouble: str = ""
) -> RenderableType:
    """The transactions as a table, `limit` rows of it unless that is 0, in as many columns as `width` has room for."""
    rows = sorted(document["transactions"], key=lambda row: row[SORTS[sort]] or 0.0, reverse=True)
    shown = rows[:limit] if limit else rows
    titles = _columns(sort, width)
    most = max((row["in_flight"] for row in rows), default=0.0) or 1.0
    cells = [[visible(row["target_group"]), *(COLUMNS[title](row) for title in titles)] for row in shown]
    headers = ["target group", *(f"{title} ↓" if title == sort else title for title in titles)]
    if width >= WIDTH_WITH_BARS:
        headers.append("")
        for row, line in zip(shown, cells, strict=True):
            line.append("█" * max(1, round(BAR * row["in_flight"] / most)) if row["in_flight"] else "")
    taken = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    room = max(LEAST_NAME, width - sum(taken) - GAP * len(taken))
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    table.add_column("transaction", no_wrap=True)
    for header in headers:
        is_sort = header.endswith("↓")
        table.add_column(
            Text(header, style="bold" if is_sort else ""),
            justify="left" if header in ("target group", "") else "right",
            style="green" if header == "" else "",
            no_wrap=True,
        )
    for row, line in zip(shown, cells, strict=True):
        name = visible(row["name"])
        figures = [
            Text(cell, style="red") if _is_bad(row, header) else cell
            for header, cell in zip(headers, line, strict=True)
        ]
        table.add_row(name if len(name) <= room else f"{name[: room - 1]}…", *figures)
    heading = _heading(document, len({row["name"] for row in rows}), sort, help_line, trouble)
    if len(shown) < len(rows):
        heading.append(f" · {len(shown)} of {len(rows)} rows", style="dim")
    return Group(heading, table)


def _is_bad(row: dict[str, Any], header: str) -> bool:
    return header.startswith("errors") and row["error_rate"] > 0.01


def _columns(sort: str, width: int) -> list[str]:
    """The figures that there is room for; what sorts is always among them."""
    return [title for title in COLUMNS if width >= WIDTH_WITH_ALL or title in NARROW or title == sort]


def _heading(document: dict[str, Any], known: int, sort: str, help_line: bool, trouble: str) -> Text:
    window = document["window"]["seconds"]
    measured = f"{window / 60:.0f} min" if window >= 120 else f"{window:.0f} s"
    text = Text(f"{known} transaction{'' if known == 1 else 's'} in the last {measured}")
    if not known:
        text.append(": none yet; send some traffic through the gateway")
    if help_line:
        text.append(f" · sorted by {sort} · s sorts by the next column, q ends", style="dim")
    if trouble:
        text.append(f"\n{trouble}", style="red")
    return text


@contextlib.contextmanager
def keys() -> Iterator[Callable[[float], str | None]]:
    """A function that waits for a key for some seconds and returns it, or None; the terminal is put back afterwards."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def key_within(seconds: float) -> str | None:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        # Not by `sys.stdin`, whose buffer `select` does not see. At the end of the input nobody can press q.
        return (os.read(descriptor, 1).decode("latin-1") or "q") if ready else None

    try:
        tty.setcbreak(descriptor)
        yield key_within
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
