"""`strangler explain METHOD URL`: which rule takes this request, and why each earlier one does not. Sends nothing."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from proxy.cli.files import read_table
from proxy.cli.flags import UsageError
from proxy.cli.problems import render, summary
from proxy.cli.terminal import Paint, columns, visible
from proxy.config.load import load
from proxy.config.model import Config
from proxy.config.problem import ConfigError
from proxy.errors import GatewayError
from proxy.explanation import explain_question
from proxy.rules.compile import compile_table
from proxy.rules.question import QuestionError, read_question


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument("url", metavar="URL", help="path and query are taken as written, nothing is normalised")
    parser.add_argument("--config", metavar="FILE", default="routes.yaml", help="the table")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "-H", "--header", metavar="'NAME: VALUE'", action="append", help="a request header; may come several times"
    )
    parser.add_argument("--source-ip", metavar="IP", default="127.0.0.1", help="the client's address")
    parser.add_argument("--listener", metavar="NAME", help="the listener; else the URL's port chooses")
    parser.add_argument("--target", metavar="RAW", help="the request target, where a URL cannot express it")


_FLAGS = {"method": "METHOD", "url": "URL", "source_ip": "--source-ip", "header": "--header"}


def run(args: argparse.Namespace) -> int:
    config = _config(args.config)
    try:
        question = read_question(
            config.listeners,
            method=args.method,
            url=args.url,
            target=args.target,
            headers=args.header or [],
            source_ip=args.source_ip,
            listener=args.listener,
        )
    except QuestionError as error:
        raise UsageError(f"{_FLAGS.get(error.field, f'--{error.field}')}: {error}") from None
    try:
        document = explain_question(config, compile_table(question.listener), question)
    except GatewayError as error:
        raise UsageError(f"the gateway answers {error.status}, no rule decides: {error}") from None
    print(json.dumps(document, indent=2) if args.json else render_document(document, args.method, Paint()))
    return 0


def render_document(document: dict[str, Any], method: str, paint: Paint) -> str:
    """The answer for people."""
    rule = document["rule"]
    priority = "" if rule["priority"] is None else f" (priority {rule['priority']})"
    facts = [
        ("listener", document["listener"]),
        ("rule", f"{rule['name']}{priority}"),
    ]
    if first := document["authentication"]:
        mode = first["on_unauthenticated_request"]
        facts.append(("first", f"{first['type']}, issuer {first['issuer']}" + (f", else {mode}" if mode else "")))
    facts.append(("action", document["action"]))
    weights: dict[str, int] = document["target_groups"]
    total = sum(weights.values())
    for name, weight in weights.items():
        share = f"{100 * weight / total:.4g} %" if total else "no group can be chosen: 503"
        facts.append(("target group", f"{name}, weight {weight} ({share})"))
    if redirect := document["redirect"]:
        facts.append(("redirect", f"{redirect['status']} to {redirect['location']}"))
    if fixed := document["fixed_response"]:
        facts.append(("response", f"{fixed['status']} {fixed['content_type']} {fixed['body']}".rstrip()))
    if forwarded := document["forwarded"]:
        facts.append(("target gets", f"{method} {forwarded['target']} with Host: {forwarded['host']}"))
    tried = [_tried(one) for one in document["tried"]]
    lines = [*columns([(name, visible(value)) for name, value in facts]), "", paint("rules tried", "bold")]
    for one, line in zip(document["tried"], columns(tried), strict=True):
        lines.append(paint(line, "green") if one["matched"] else line)
    return "\n".join(lines)


def _tried(one: dict[str, Any]) -> tuple[str, str, str]:
    priority = "-" if one["priority"] is None else str(one["priority"])
    refused = one["refused_by"]
    if refused is None:
        return priority, visible(one["name"]), "matches"
    saw = refused["saw"]
    seen = "saw nothing" if saw in (None, "") else f"saw {visible(str(saw))}"
    return priority, visible(one["name"]), f"refused by {refused['condition']}: {seen}"


def _config(file: str) -> Config:
    content = read_table(file)
    try:
        return load(content, os.environ, file)
    except ConfigError as error:
        text = content.decode("utf-8", "replace")
        print(render(error.problems, file, text, Paint(sys.stderr)), end="", file=sys.stderr)
        raise UsageError(summary(error.problems, file)) from None
