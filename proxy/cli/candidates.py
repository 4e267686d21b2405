"""`strangler candidates`: what to carve out of the monolith next, why, and how sure that is.

A document from anywhere is shown the same way: `render` takes what `proxy.carveout.candidates` writes.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from proxy.carveout.candidates import candidates_document
from proxy.cli.admin_api import add_admin_url, get_document
from proxy.cli.flags import UsageError
from proxy.cli.log_workload import add_log_arguments, read_logs
from proxy.cli.terminal import visible
from proxy.config.load import load
from proxy.config.model import Config
from proxy.config.problem import ConfigError

BAR_CELLS: Final = 10
WIDTH_WITH_BARS: Final = 100
"""Columns; on a narrower terminal the names need the room."""
PIPED_WIDTH: Final = 160
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_GRADE_STYLES: Final = {"A": "green", "B": "yellow", "C": "dim"}
_METHODS: Final = {
    "worked": "work told from waiting by the order in which requests end",
    "quiet": "work taken from quiet moments",
    "wall": "response times as they are, waiting included",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--sensitive",
        metavar="NAME",
        action="append",
        help="a transaction or path with sensitive data, * for any characters; may come several times",
    )
    parser.add_argument(
        "--monolith",
        metavar="GROUP",
        action="append",
        help="a target group that is the monolith; default those of the listeners' default actions",
    )
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many candidates to show")
    add_admin_url(parser)
    logs = parser.add_argument_group("from access logs, without a running gateway")
    add_log_arguments(logs)
    logs.add_argument("--config", metavar="FILE", default="", help="the table that the rule is for")


def run(args: argparse.Namespace) -> int:
    """Return 0, also when nothing can be said yet; 2 when no gateway answers or the logs cannot be used."""
    if args.top < 1:
        raise UsageError(f"--top {args.top} is not 1 or more")
    config = _config(args.config) if args.config else None
    workload = read_logs(args, config)
    monolith, sensitive = args.monolith or [], args.sensitive or []
    if workload is None:
        document = get_document(args.admin_url, "/api/candidates", sensitive=sensitive, monolith=monolith)
    else:
        document = candidates_document(workload, config, monolith=monolith or None, sensitive=sensitive)
    show(document, as_json=args.json, top=args.top)
    return 0


def _config(path: str) -> Config:
    try:
        return load(Path(path).read_bytes().decode("utf-8"), os.environ, path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    except ConfigError as error:
        raise UsageError(f"{path} is no good table; see `strangler check {path}`: {error.problems[0]}") from None


def show(document: dict[str, Any], *, as_json: bool, top: int) -> None:
    """Print a candidates document on standard output."""
    if as_json:
        print(json.dumps(document, indent=2))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, PIPED_WIDTH)
    print_candidates(console, document, top)


def print_candidates(console: Console, document: dict[str, Any], top: int) -> None:
    """Print the document for a person; what is to be pasted is never wrapped."""
    for part in render(document, top, with_bars=console.width >= WIDTH_WITH_BARS):
        console.print(part, soft_wrap=isinstance(part, Text) and bool(part.no_wrap))


def render(document: dict[str, Any], top: int, *, with_bars: bool = True) -> Iterator[RenderableType]:
    """The document for a person: one table, the reasons, the rule of the first."""
    yield _heading(document)
    candidates = document["candidates"][:top]
    if not candidates:
        yield Text("No transaction of the monolith was seen yet: send it some traffic, or read an access log.")
        return
    yield _table(candidates, with_bars=with_bars)
    for candidate in candidates[:5]:
        yield from _reasons(candidate)
    for bundle in document["bundles"][:5]:
        yield from _bundle(bundle)
    yield from _rule(candidates[0])


def _heading(document: dict[str, Any]) -> Text:
    seconds = document["seconds"]
    measured = f"{seconds / 3600:.1f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"
    if seconds < 120:
        measured = f"{seconds:.0f} seconds"
    remaining = document["remaining"]
    text = Text()
    text.append(f"{document['requests']:,} requests to the monolith in {measured} ({document['source']}), ")
    text.append(f"{remaining['time_share']:.0%} of all target time; ")
    text.append(f"confidence {document['confidence']}", style=_GRADE_STYLES[document["confidence"]])
    text.append(f"; {_METHODS[document['method']]}")
    if document["workers"]:
        text.append(f" ({document['workers']} workers)")
    if document["state"] == "collecting":
        text.append("\nStill collecting: less than a day, or too few requests. The order may change.", style="yellow")
    return text


def _table(candidates: list[dict[str, Any]], *, with_bars: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("transaction", overflow="fold")
    table.add_column("benefit", justify="left" if with_bars else "right")
    table.add_column("ease", justify="left" if with_bars else "right")
    table.add_column("of the work", justify="right")
    table.add_column("grade")
    for candidate in candidates:
        share = candidate["share"]
        grade = Text(candidate["grade"], style=_GRADE_STYLES[candidate["grade"]])
        if candidate["state"] == "collecting" and with_bars:
            grade.append(" collecting", style="dim")
        table.add_row(
            str(candidate["rank"]),
            Text(visible(candidate["name"])),
            *(
                Text(bar(candidate[axis]) if with_bars else f"{candidate[axis]:.0%}", style=style)
                for axis, style in (("benefit", "green"), ("ease", "cyan"))
            ),
            f"{share['value']:.0%} ({share['low']:.0%} to {share['high']:.0%})",
            grade,
        )
    return table


def bar(share: float) -> str:
    """A bar of `BAR_CELLS` cells for a share from 0 to 1, with its percentage."""
    eighths = round(min(max(share, 0.0), 1.0) * BAR_CELLS * 8)
    full, part = divmod(eighths, 8)
    cells = "█" * full + (_EIGHTHS[part] if part else "")
    return f"{cells.ljust(BAR_CELLS)} {share:4.0%}"


def _reasons(candidate: dict[str, Any]) -> Iterator[RenderableType]:
    yield Text(f"\n{candidate['rank']}  {visible(candidate['name'])}", style="bold")
    for sentence in candidate["reasons"]:
        yield _indented(visible(sentence))
    yield _indented(_without(candidate["without"]))


def _indented(text: str) -> Padding:
    """A paragraph whose further lines, if it does not fit into one, begin below the first."""
    return Padding(Text(text), (0, 0, 0, 3), expand=False)


def _without(without: dict[str, Any]) -> str:
    flight, now = without["requests_in_flight"], without["requests_in_flight_now"]
    text = f"Without it: {now:.1f} -> {flight:.1f} requests in flight"
    if without["model"] == "no queue seen":
        return text + "; no queue is seen, so the others may not get faster."
    return text + (
        f", p95 of the rest {_seconds(without['p95_of_rest_now'])} -> {_seconds(without['p95_of_rest'])} "
        f"({_seconds(without['low'])} to {_seconds(without['high'])})."
    )


def _bundle(bundle: dict[str, Any]) -> Iterator[RenderableType]:
    names = ", ".join(map(visible, bundle["transactions"]))
    yield Text(f"\nTogether ({bundle['benefit']:.0%} benefit, {bundle['ease']:.0%} ease): {names}", style="bold")
    for why in bundle["why"][:4]:
        yield _indented(visible(why))
    if bundle["patterns"]:
        yield _indented(f"path-pattern: {', '.join(map(visible, bundle['patterns']))}")


def _rule(candidate: dict[str, Any]) -> Iterator[Text]:
    if not candidate["rule"]:
        if candidate["rule_note"]:
            yield Text(f"\nTo carve out the first: {visible(candidate['rule_note'])}", style="bold")
        return
    listener = f" of listener {candidate['rule_listener']}" if candidate["rule_listener"] else ""
    yield Text(f"\nTo carve out the first, put this under rules:{listener}", style="bold")
    yield Text(candidate["rule"].rstrip(), no_wrap=True)
    if candidate["rule_target_group"]:
        yield Text("\nand this under target_groups:", style="bold")
        yield Text(candidate["rule_target_group"].rstrip(), no_wrap=True)
    if candidate["rule_note"]:
        yield Text(f"Mind: {candidate['rule_note']}", style="yellow")


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
