"""`strangler status`: rules with their weights, targets with their health, and how the last reload went."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from proxy.cli.admin_api import add_admin_url, get_document
from proxy.cli.figures import ago, percentile, rate
from proxy.cli.terminal import visible

PIPED_WIDTH = 160
_STATES = {"healthy": "green", "unavailable": "green", "unhealthy": "red"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    add_admin_url(parser)


def run(args: argparse.Namespace) -> int:
    """Return 0 when the gateway answered, whatever it said; 2 when nobody did."""
    document = read_status(args.admin_url)
    if args.json:
        print(json.dumps(document, indent=2))
        return 0
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, PIPED_WIDTH)
    for part in render(document):
        console.print(part)
    return 0


def read_status(url: str) -> dict[str, Any]:
    """What the admin API says of state, rules, targets and troubles, in one document; raise UsageError."""
    overview = get_document(url, "/api/overview")
    return {
        **get_document(url, "/api/status"),
        **get_document(url, "/api/rules"),
        **get_document(url, "/api/target-groups"),
        "window_seconds": overview["window_seconds"],
        "routes": overview["routes"],
        "troubles": overview["troubles"],
    }


def render(document: dict[str, Any], now: float | None = None) -> Iterator[RenderableType]:
    """The document for a person."""
    yield _heading(document, now)
    routes = {(each["listener"], each["rule"], each["target_group"]): each for each in document["routes"]}
    for listener in document["listeners"]:
        yield Text()
        yield Text(f"{listener['name']}: {listener['protocol']} on port {listener['port']}", style="bold")
        yield _rules(listener, routes, now)
    yield Text()
    yield _targets(document["target_groups"], now)
    if document["troubles"]:
        yield Text()
        yield Text("To look at", style="bold")
        for trouble in document["troubles"]:
            style = "red" if trouble["severity"] == "error" else "yellow"
            yield Text(f"  {trouble['kind']:8} {visible(trouble['text'])}", style=style)


def _heading(document: dict[str, Any], now: float | None) -> Text:
    reload, totals = document["reload"], document["totals"]
    text = Text()
    when = ago(reload["timestamp"], now)
    if reload["successful"]:
        text.append("table in force", style="green").append(f", loaded {when}")
    else:
        text.append(f"last edit refused {when}", style="bold red").append(", the table before it serves")
    text.append(f" · version {document['version']}")
    text.append(f" · {totals['requests']:,} requests, {totals['in_flight']} in flight")
    if totals["elb_errors"] or totals["cut_responses"]:
        text.append(f" · {totals['elb_errors']:,} answered by the gateway itself, {totals['cut_responses']:,} cut")
    return text


def _rules(listener: dict[str, Any], routes: dict[tuple[str, str, str], dict[str, Any]], now: float | None) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("priority", justify="right")
    table.add_column("rule")
    table.add_column("target group")
    for title in ("weight", "requests", "p95", "5xx"):
        table.add_column(title, justify="right")
    table.add_column("last hit")
    for rule in listener["rules"]:
        first = True
        for group, weight in _ways(rule["action"]):
            route = routes.get((listener["name"], rule["name"], group if rule["action"]["target_groups"] else ""))
            errors = str(route["errors"]) if route else "0"
            table.add_row(
                ("–" if rule["priority"] is None else str(rule["priority"])) if first else "",
                visible(rule["name"]) if first else "",
                visible(group),
                weight,
                rate(route["rate"] if route else 0.0),
                percentile(route["p95"] if route else None),
                Text(errors, style="red" if errors != "0" else ""),
                ago(rule["last_hit"], now) if first else "",
                style="" if rule["hits"] else "dim",
            )
            first = False
    return table


def _ways(action: dict[str, Any]) -> list[tuple[str, str]]:
    """Target groups with their weights, where there is a choice, or what the gateway answers itself."""
    if action["target_groups"]:
        weights = action["target_groups"].items()
        return [(group, str(weight) if len(weights) > 1 else "") for group, weight in weights]
    if action["redirect"]:
        return [(f"redirect {action['redirect']['status_code']}", "")]
    return [(f"answer {action['fixed_response']['status_code']}", "")]


def _targets(groups: list[dict[str, Any]], now: float | None) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("target group", "target", "state"):
        table.add_column(title)
    for title in ("in flight", "requests"):
        table.add_column(title, justify="right")
    table.add_column("since")
    table.add_column("why", overflow="fold")
    for group in groups:
        if not group["targets"]:
            table.add_row(
                visible(group["name"]), Text("no target", style="red"), "", "", "", "", group["resolve_error"]
            )
        for target in group["targets"]:
            why = ": ".join(filter(None, (target["reason"], target["detail"])))
            table.add_row(
                visible(group["name"]),
                target["id"],
                Text(target["state"], style=_STATES.get(target["state"], "yellow")),
                str(target["in_flight"]),
                f"{target['requests']:,}",
                ago(target["since"], now),
                visible(why),
            )
    return table
