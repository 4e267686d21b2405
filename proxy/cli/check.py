"""`strangler check [FILE]`: is this table good? Exit code 0 good, 1 problems, 2 unreadable.

A table without errors is analysed for rules that can never win, which are warnings.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from proxy.cli.files import files_beside, read_table
from proxy.cli.ports import tls_problems
from proxy.cli.problems import render, summary
from proxy.cli.terminal import Paint, visible
from proxy.config.api_codes import api_code
from proxy.config.load import load_with_warnings
from proxy.config.problem import ConfigError, Problem, in_order
from proxy.rules.coverage import Undecided, analyse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default="routes.yaml", help="the table; - for standard input"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--verbose", action="store_true", help="also tell which rules could not be judged, and why")


def run(args: argparse.Namespace) -> int:
    content = read_table(args.file)
    undecided: list[Undecided] = []
    try:
        config, warnings = load_with_warnings(content, os.environ, args.file, files_beside(args.file))
        if refused := tls_problems(config):
            raise ConfigError(in_order([*warnings, *refused]), args.file)
        ok = True
    except ConfigError as error:
        problems, ok = error.problems, False
    else:
        analysis = analyse(config, os.environ)
        problems, undecided = in_order([*warnings, *analysis.problems]), analysis.undecided
    if args.json:
        print(json.dumps(report(problems, undecided, ok=ok), indent=2))
    else:
        text = content.decode("utf-8", "replace")
        if args.verbose:
            print("".join(f"{_in_words(rule, args.file)}\n" for rule in undecided), end="")
        print(render(problems, args.file, text, Paint()) + summary(problems, args.file))
    return 0 if ok else 1


def _in_words(rule: Undecided, source: str) -> str:
    place = rule.place
    name = visible(rule.rule)
    return f"{source}:{place.line}:{place.column}: not known whether {name!r} can win: {rule.reason} [undecided]"


def report(problems: list[Problem], undecided: list[Undecided], *, ok: bool) -> dict[str, Any]:
    """The document of `check --json`."""
    return {
        "ok": ok,
        "problems": [
            {
                "severity": problem.severity,
                "code": problem.code,
                "api_code": api_code(problem),
                "line": problem.place.line,
                "column": problem.place.column,
                "path": problem.place.path,
                "message": problem.message,
            }
            for problem in problems
        ],
        "undecided": [
            {
                "listener": rule.listener,
                "rule": rule.rule,
                "line": rule.place.line,
                "column": rule.place.column,
                "path": rule.place.path,
                "reason": rule.reason,
            }
            for rule in undecided
        ],
    }
