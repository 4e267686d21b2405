"""`strangler check FILE`: is this table good? Exit code 0 good, 1 problems, 2 unreadable."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from proxy.cli.files import files_beside, read_table
from proxy.cli.ports import tls_problems
from proxy.cli.problems import render, summary
from proxy.cli.terminal import Paint
from proxy.config.load import load_with_warnings
from proxy.config.problem import ConfigError, Problem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the table; - for standard input")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    content = read_table(args.file)
    try:
        config, problems = load_with_warnings(content, os.environ, args.file, files_beside(args.file))
        problems += tls_problems(config)
        ok = not any(problem.severity == "error" for problem in problems)
    except ConfigError as error:
        problems, ok = error.problems, False
    if args.json:
        print(json.dumps(report(problems, ok=ok), indent=2))
    else:
        text = content.decode("utf-8", "replace")
        print(render(problems, args.file, text, Paint()) + summary(problems, args.file))
    return 0 if ok else 1


def report(problems: list[Problem], *, ok: bool) -> dict[str, Any]:
    """The document of `check --json`."""
    return {
        "ok": ok,
        "problems": [
            {
                "severity": problem.severity,
                "code": problem.code,
                "line": problem.place.line,
                "column": problem.place.column,
                "path": problem.place.path,
                "message": problem.message,
            }
            for problem in problems
        ],
    }
